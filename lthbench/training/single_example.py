"""Refuse batches that leave one example to a model whose batch-norm needs two."""

from functools import lru_cache

import torch

from lthbench.errors import MethodError
from lthbench.models import Model
from lthbench.training.clock import Clock


def check_batches(model: Model, clock: Clock, shards: int) -> None:
    """Raise MethodError where a step, or a shard of one, has a single example that the model cannot be trained on."""
    full = min(clock.batch, clock.size)
    sizes = (full, clock.size % clock.batch or full)
    if min(sizes) // shards <= 1 and not trains_on_one(model):
        raise MethodError(
            f"{model.name} cannot be trained on a single example, as its batch-norm sees 1x1 maps, but batch = {clock.batch}"
            f"{f' in {shards} shards' if shards > 1 else ''} leaves one of {clock.size} examples alone; "
            "choose another batch"
        )


@lru_cache(maxsize=256)
def trains_on_one(model: Model) -> bool:
    """Return whether the model takes a batch of one image in training mode."""
    try:
        model.module().train()(torch.empty(1, *model.shape, device="meta"))
    except ValueError:  # torch's, for one value a channel
        return False
    return True
