"""The meter counts the examples that networks see. A pass costs one for each example that goes forward.

One function in front of `nn.Module.__call__` counts the outermost calls of the metered thread. (Global hooks would send every
module through the slow path of its call.) Inside `torch.func.vmap` the examples behind the mapped tensor count. An input whose
images are all constant (SynFlow's image of ones, the zeros that a tracer sends) is not a training example and is free. The
meter also counts the floating-point operations of products, for code that computes a network without calling a module.
"""

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from lthbench.training.metering.products import counted

FEW = 16  # values of a batch that are compared before all of them


@dataclass
class Meter:
    """The examples seen so far, and the floating-point operations. `open`: whether a call of a module is under way."""

    seen: int = 0
    flops: int = 0
    open: bool = False


class _Thread(threading.local):
    meter: Meter | None = None


_thread = _Thread()
_installing = threading.Lock()
_users = 0
_call = nn.Module.__call__


@contextmanager
def metered(meter: Meter | None = None, flops: bool = True) -> Iterator[Meter]:
    """Count the examples that networks see in this thread, and with `flops` the operations, in a given or a new meter."""
    meter = meter or Meter()
    before, _thread.meter = _thread.meter, meter
    _install(1)
    try:
        with counted(partial(_add, meter)) if flops else nullcontext():
            yield meter
    finally:
        _install(-1)
        _thread.meter = before


@contextmanager
def unmetered() -> Iterator[None]:
    """Count nothing in this thread inside the context, where work is charged elsewhere or uses no example."""
    before, _thread.meter = _thread.meter, None
    try:
        yield
    finally:
        _thread.meter = before


def counting() -> bool:
    """Tell whether a meter counts in this thread."""
    return _thread.meter is not None


def _add(meter: Meter, flops: int) -> None:
    if _thread.meter is meter:
        meter.flops += flops


def _install(users: int) -> None:
    """Stand in front of the calls of modules while a meter is in use, and step aside afterwards."""
    global _users, _call
    with _installing:
        if not _users:
            _call, nn.Module.__call__ = nn.Module.__call__, _counting_call  # type: ignore[method-assign]
        _users += users
        if not _users:
            nn.Module.__call__ = _call  # type: ignore[method-assign]


def _counting_call(module: nn.Module, *args: Any, **options: Any) -> Any:
    """Call a module, and count its examples where no other call is open in a metered thread."""
    meter = _thread.meter
    if meter is None or meter.open:
        return _call(module, *args, **options)
    meter.seen += sum(map(_examples, [t for t in args if isinstance(t, Tensor)][:1]))
    meter.open = True
    try:
        return _call(module, *args, **options)
    finally:
        meter.open = False


def _examples(images: Tensor) -> int:
    """Count the examples of a batch, mapped dimensions of `vmap` included."""
    mapped = 1
    shape = images.shape
    while torch._C._functorch.is_functorch_wrapped_tensor(images):
        if torch._C._functorch.is_batchedtensor(images):
            inner = torch._C._functorch.get_unwrapped(images)
            mapped *= inner.numel() // max(1, math.prod(images.shape))
        images = torch._C._functorch.get_unwrapped(images)
    if images.is_meta or not images.numel() or _constant(images):
        return 0
    return mapped * (shape[0] if len(shape) > 1 else 1)


def _constant(images: Tensor) -> bool:
    """Say whether every value of an image is the same. Such an input carries no information."""
    values = images.detach().flatten()
    some = values[:: len(values) // FEW + 1].tolist()  # most images differ among these
    return len(set(some)) == 1 and bool((values == values[0]).all())
