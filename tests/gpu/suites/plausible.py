"""Plausible values where numbers of the GPU on paper mean nothing and a method would fail for that alone.

All that is read from its device is zero. Four values are known without it: the mask of a training whose rule sets none is
the one that it began with; a counter of batches has counted; SynFlow's image, the only one in float64, is of ones; and
greedy selection finds neurons among any outputs. The Triton kernels that torch puts in place of its own need a compiler
for the device.
"""

from typing import Any

import torch
from torch import Generator, Tensor

from lthbench.training.metering import meter
from lthbench.training.probes import greedy
from lthbench.training.trainer import Trainer

SETS_NONE = ("ADMM", "Power")  # rules that change no mask, after which a method prunes; Power is powerpropagation's


def set_up() -> None:
    """Put the values in place, in this process."""
    _masks()
    _counters()
    _greedy()
    meter._constant = lambda images: images.dtype == torch.float64
    if hasattr(torch, "_native"):
        torch._native.registry.deregister_op_overrides(disable_dsl_names="triton")


def _masks() -> None:
    starting, copying = Trainer.__init__, Trainer._copy

    def start(self: Any, trajectory: Any, state: Any, *args: Any, **options: Any) -> None:
        keeps = trajectory.rule is None or type(trajectory.rule).__name__ in SETS_NONE
        self.known = state.mask if keeps else {}
        starting(self, trajectory, state, *args, **options)

    def copied(self: Any, current: Any) -> Any:
        state = copying(self, current)
        state.mask.update({name: keep.clone() for name, keep in self.known.items()})
        return state

    Trainer.__init__, Trainer._copy = start, copied  # type: ignore[method-assign]


def _counters() -> None:
    value = Tensor.__float__

    def counted(self: Tensor) -> float:
        read = value(self)
        return max(1.0, read) if self.is_cuda and self.dtype == torch.int64 else read

    Tensor.__float__ = counted  # type: ignore[method-assign,assignment]


def _greedy() -> None:
    inputs = greedy._inputs

    def here(model: Any, layer: Any, batches: Any) -> tuple[Tensor, Tensor]:
        hidden, labels = inputs(model, layer, batches)
        layer.cpu()
        return torch.rand(hidden.shape, generator=Generator().manual_seed(0)), labels.cpu()

    greedy._inputs = here
