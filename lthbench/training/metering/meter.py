"""The meter counts the examples that networks see. A pass costs one for each example that goes forward.

Hooks on every `nn.Module` count the outermost calls of the metered thread. Inside `torch.func.vmap` the examples behind the
mapped tensor count. An input whose images are all constant (SynFlow's image of ones, the zeros that a tracer sends) is not
a training example and is free. The meter also counts the floating-point operations of matrix products and convolutions, for
code that computes a network without calling a module.
"""

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


@dataclass
class Meter:
    """The examples seen so far, and the floating-point operations. `depth`: the number of open module calls."""

    seen: int = 0
    flops: int = 0
    depth: int = 0


class _Flops(TorchDispatchMode):
    """A dispatch mode that adds up the operations of matrix products and convolutions, by torch's own formulas."""

    def __init__(self, meter: Meter):
        super().__init__()
        self._meter = meter

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if _thread.meter is self._meter and (formula := flop_registry.get(func._overloadpacket)):
            self._meter.flops += int(formula(*args, **(kwargs or {}), out_val=found))
        return found


class _Thread(threading.local):
    meter: Meter | None = None


_thread = _Thread()
_installing = threading.Lock()
_users = 0
_handles: list[Any] = []


@contextmanager
def metered(meter: Meter | None = None, flops: bool = True) -> Iterator[Meter]:
    """Count the examples that networks see in this thread, and with `flops` the operations, in a given or a new meter."""
    meter = meter or Meter()
    before, _thread.meter = _thread.meter, meter
    _install(1)
    try:
        with _Flops(meter) if flops else nullcontext():
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


def _install(users: int) -> None:
    """Install the hooks while a meter is in use, and remove them afterwards."""
    global _users
    with _installing:
        _users += users
        if _users and not _handles:
            _handles.append(register_module_forward_pre_hook(_enter))
            _handles.append(register_module_forward_hook(_leave, always_call=True))
        elif not _users:
            while _handles:
                _handles.pop().remove()


def _enter(module: nn.Module, inputs: tuple[Any, ...]) -> None:
    meter = _thread.meter
    if meter is None:
        return
    if not meter.depth:
        meter.seen += sum(map(_examples, [t for t in inputs if isinstance(t, Tensor)][:1]))
    meter.depth += 1


def _leave(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
    if (meter := _thread.meter) is not None:
        meter.depth = max(0, meter.depth - 1)


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
    values = images.detach()
    return bool((values == values.flatten()[0]).all())
