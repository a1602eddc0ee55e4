"""Linear mode connectivity: the error on the straight line between two networks. Frankle et al., ICML 2020, arXiv:1912.05671."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from lthbench.errors import MethodError
from lthbench.models import Model
from lthbench.pruning.state import State, module_of
from lthbench.training.numerics import for_evaluation

POINTS = 11  # both ends among them


def barrier(errors: Sequence[float]) -> float:
    """Return the largest error on the line minus the mean of those at its ends, in the unit of the errors."""
    return max(errors) - (errors[0] + errors[-1]) / 2


def along(
    model: Model,
    a: State,
    b: State,
    images: Callable[[], Iterable[Tensor]],
    error: Callable[[nn.Module], dict[str, float]],
    device: torch.device,
) -> dict[str, list[float]]:
    """Return the errors at `POINTS` equal steps on the line between two networks of one model, by part of the data.

    Batch-norm statistics are measured anew at every point, also at the ends: one pass over the training images, without
    augmentation, averaged over its batches.
    """
    if a.params.keys() != b.params.keys() or any(t.shape != b.params[name].shape for name, t in a.params.items()):
        raise MethodError("barrier: the two networks are of different models; there is no line between them")
    found: dict[str, list[float]] = {}
    for point in range(POINTS):
        share = point / (POINTS - 1)
        between = {name: torch.lerp(t, b.params[name], share) for name, t in a.params.items()}
        module = for_evaluation(module_of(model, replace(a, params=between), device).eval(), device)
        measure_norms(module, images())
        for part, value in error(module).items():
            found.setdefault(part, []).append(value)
    return found


def measure_norms(module: nn.Module, images: Iterable[Tensor]) -> None:
    """Set the running statistics of every batch-norm to the averages over these batches. The module is in eval mode."""
    norms = [layer for layer in module.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average
        norm.train()
    with torch.no_grad():
        for batch in images:
            module(batch)
    for norm in norms:
        norm.eval()
