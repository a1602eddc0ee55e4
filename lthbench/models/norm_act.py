"""Batch-norm with what follows it: activation(bn(maps) + shortcut). One place, so that a program may compute it at once.

By default it is torch's own operations, one after another. Inside `computed_by`, which holds for one thread, a training
computes it with kernels of its own.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.functional import relu6

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": torch.relu, "relu6": relu6}

NormAct = Callable[[nn.Module, Tensor, Tensor | None, str], Tensor]
"""A function that computes activation(bn(maps) + shortcut) in training mode."""

_thread = threading.local()


def norm_act(bn: nn.Module, maps: Tensor, shortcut: Tensor | None = None, activation: str = "") -> Tensor:
    """Return activation(bn(maps) + shortcut) for maps and shortcut [N, C, H, W]. The activation is "", relu or relu6."""
    if not bn.training or torch.compiler.is_compiling():
        return one_by_one(bn, maps, shortcut, activation)
    compute: NormAct = getattr(_thread, "compute", one_by_one)
    return compute(bn, maps, shortcut, activation)


def one_by_one(bn: nn.Module, maps: Tensor, shortcut: Tensor | None, activation: str) -> Tensor:
    """Compute the normalisation, the sum and the activation one after another, with torch's operations."""
    maps = bn(maps) if shortcut is None else bn(maps) + shortcut
    return ACTIVATIONS[activation](maps) if activation else maps


@contextmanager
def computed_by(compute: NormAct) -> Iterator[None]:
    """Compute normalisations in training mode by this function inside the context, in this thread."""
    before = getattr(_thread, "compute", one_by_one)
    _thread.compute = compute
    try:
        yield
    finally:
        _thread.compute = before
