"""Counts of the floating-point operations in matrix products, convolutions and attention, in front of torch's kernels.

A kernel of lthbench stands in front of each of these operators, on a dispatch key that torch leaves free and that is
switched on in the counting thread alone. Every other operator skips the key at no cost.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch._C import DispatchKeySet, _ExcludeDispatchKeyGuard, _IncludeDispatchKeyGuard
from torch._C._functorch import peek_interpreter_stack
from torch._ops import OpOverload
from torch.library import Library, fallthrough_kernel
from torch.utils.flop_counter import flop_registry, sdpa_backward_flop, sdpa_flop

Formula = Callable[[tuple[Any, ...], Any], int]  # arguments and result of an operator, to operations

NAME = "TESTING_ONLY_GenericMode"  # above autograd and vmap, so that a kernel sees each call first
KEY: Any = torch._C._parse_dispatch_key(NAME)
ONLY, BELOW = DispatchKeySet(KEY), torch._C._dispatch_keyset_full_after(KEY)

FIRST = {"mm": 0, "bmm": 0, "mv": 0, "dot": 0, "vdot": 0, "_scaled_mm": 0}
FIRST |= dict.fromkeys(("addmm", "addmm_", "baddbmm", "baddbmm_", "addbmm", "addbmm_", "addmv", "addmv_"), 1)
FIRST |= {"_addmm_activation": 1}
"""Operators that multiply two matrices or vectors, with the position of the left one among their arguments."""

ON_CPU = "_scaled_dot_product_flash_attention_for_cpu"
OTHERS = {ON_CPU: sdpa_flop, f"{ON_CPU}_backward": sdpa_backward_flop}
"""Operators that torch's registry of formulas lacks."""


class _Thread(threading.local):
    add: Callable[[int], None] | None = None


_thread = _Thread()


@contextmanager
def counted(add: Callable[[int], None]) -> Iterator[None]:
    """Pass the operations of each product that this thread computes to `add`, those of backward passes included."""
    _install()
    before, _thread.add = _thread.add, add
    try:
        with _IncludeDispatchKeyGuard(KEY):
            yield
    finally:
        _thread.add = before


@cache
def _install() -> tuple[Library, Library]:
    """Register the kernels. They last as long as the libraries that are returned."""
    ours, others = Library("aten", "IMPL", NAME), Library("_", "IMPL", NAME)
    others.fallback(fallthrough_kernel)
    for name, formula in _formulas().items():
        packet = getattr(torch.ops.aten, name, None)
        for overload in packet.overloads() if packet else ():
            operator = getattr(packet, overload)
            ours.impl(operator.name().removeprefix("aten::"), _kernel(operator, formula), NAME, with_keyset=True)
    return ours, others


def _formulas() -> dict[str, Formula]:
    """Return the formula of every operator that is counted, by name."""
    listed = {str(packet).removeprefix("aten."): f for packet, f in flop_registry.items() if str(packet)[:5] == "aten."}
    by_shape = {name: _remembered(formula) for name, formula in (listed | OTHERS).items()}
    return by_shape | {name: _product(first) for name, first in FIRST.items()}


def _kernel(operator: OpOverload, formula: Formula) -> Callable[..., Any]:
    """Return a kernel that counts and passes on. Inside vmap it counts where the tensors of all examples arrive."""
    redispatch = operator._handle.redispatch_boxed

    def kernel(keys: DispatchKeySet, *args: Any, **options: Any) -> Any:
        if peek_interpreter_stack() is not None:
            return redispatch(keys & BELOW, *args, **options)
        with _ExcludeDispatchKeyGuard(ONLY):  # an operator that calls another counts once
            found = redispatch(keys & BELOW, *args, **options)
        if _thread.add is not None:
            _thread.add(formula(args, found))
        return found

    return kernel


def _product(first: int) -> Formula:
    """Return the formula of a product: two operations for each number on the left and column on the right."""

    def formula(args: tuple[Any, ...], _: Any) -> int:
        left, right = args[first], args[first + 1]
        return int(2 * left.numel() * (right.shape[-1] if right.dim() > 1 else 1))

    return formula


def _remembered(formula: Callable[..., Any]) -> Formula:
    """Return a formula of torch's, asked once for each combination of shapes and settings."""
    known: dict[tuple[Any, ...], int] = {}

    def remembered(args: tuple[Any, ...], found: Any) -> int:
        case = tuple(map(_setting, args))
        if case not in known:
            known[case] = int(formula(*args, out_val=found))
        return known[case]

    return remembered


def _setting(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.shape
    return tuple(value) if isinstance(value, list) else value
