"""The counters of batch-norm layers, which a recorded step leaves alone: one kernel adds many steps, not one a layer each."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

NAME = "num_batches_tracked"


class Counters:
    """The counters of a module's batch-norm layers that only count. With momentum None, the counter enters the statistics."""

    def __init__(self, module: nn.Module):
        self._layers = [layer for layer in module.modules() if _only_counts(layer)]

    @property
    def values(self) -> list[Tensor]:
        """The counters, int64 scalars, in the order of the layers."""
        return [getattr(layer, NAME) for layer in self._layers]

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Run the layers without their counters inside the context."""
        before = self.values
        for layer in self._layers:
            setattr(layer, NAME, None)
        try:
            yield
        finally:
            for layer, counter in zip(self._layers, before, strict=True):
                setattr(layer, NAME, counter)

    def add(self, ticks: Sequence[Tensor], steps: int) -> None:
        """Add to each counter what it counts in one step, times the number of steps."""
        if ticks:
            torch._foreach_add_(self.values, list(ticks), alpha=steps)


def _only_counts(layer: nn.Module) -> bool:
    plain = isinstance(layer, _BatchNorm) and type(layer).forward is _BatchNorm.forward
    return plain and layer.momentum is not None and isinstance(layer.num_batches_tracked, Tensor)
