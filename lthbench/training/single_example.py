"""Refuse batches that leave one example to a model whose batch-norm needs two."""

from lthbench.errors import InputError, MethodError
from lthbench.models import Model
from lthbench.training.clock import Clock


def check_batches(model: Model, clock: Clock, shards: int) -> None:
    """Raise MethodError where a step, or a shard of one, has a single example that the model cannot be trained on."""
    if clock.smallest_batch // shards > 1:
        return
    try:
        model.check_batch(1)
    except InputError as error:
        raise MethodError(
            f"{model.name} cannot be trained on a single example, but batch = {clock.batch}"
            f"{f' in {shards} shards' if shards > 1 else ''} leaves one of {clock.size} examples alone "
            f"({str(error).rpartition(': ')[2]}); choose another batch"
        ) from None
