"""Tensors by name: their digests, copies and bit-packed form, and planned tensors."""

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from lthbench import keys
from lthbench.errors import MethodError, ValueLooked

Tensors = Mapping[str, Tensor]
"""Tensors by parameter name (or unit name); read-only."""


class Planned(torch.Tensor):
    """A tensor with a shape and a lineage but no values, for planning a method without running it.

    Every torch operation on it returns another planned tensor, whose lineage is a key of the operation and its inputs.
    Asking for a value raises ValueLooked.
    """

    shadow: Tensor
    lineage: str
    aliased: bool  # shares memory with another tensor: a change in place would go unnoticed

    @staticmethod
    def __new__(cls, shadow: Tensor, lineage: str) -> "Planned":
        self = torch.Tensor._make_wrapper_subclass(
            cls, shadow.shape, strides=shadow.stride(), dtype=shadow.dtype, device=torch.device("cpu")
        )
        self.shadow, self.lineage, self.aliased = shadow, lineage, False
        return self

    @classmethod
    def of(cls, shape: torch.Size, lineage: str, dtype: torch.dtype = torch.float32) -> "Planned":
        return cls(torch.empty(shape, dtype=dtype, device="meta"), lineage)

    def __repr__(self) -> str:  # type: ignore[override]
        return f"Planned({list(self.shape)}, {self.lineage})"

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        lineage = keys.key("planned", str(func), _plain(args), _plain(kwargs))
        mutable = func._schema.is_mutable
        if mutable and not (isinstance(args[0], Planned) and not args[0].aliased):
            raise ValueLooked(f"{func} changes a tensor through a view, a list, or by planned values")
        out = _on_meta(func, args, kwargs) if mutable else _known_on_meta(func, args, kwargs)
        if mutable:
            args[0].lineage = lineage
            return args[0]
        wrapped = iter(range(1 << 30))
        result = tree_map_only(Tensor, lambda t: cls(t, keys.key(lineage, next(wrapped))), out)
        if any(argument.alias_info for argument in func._schema.arguments):
            tree_map_only(Planned, _alias, (args, kwargs, result))
        return result

    def tolist(self) -> NoReturn:
        raise ValueLooked("tolist() needs the values of a tensor")

    def numpy(self, *, force: bool = False) -> NoReturn:
        raise ValueLooked("numpy() needs the values of a tensor")


def _known_on_meta(func: Any, args: Any, kwargs: Any) -> Any:
    """Return the result of `_on_meta`, computed once for each kind of arguments.

    A plan applies the same operations to thousands of networks.
    """
    kind = (func, _kind(args), _kind(kwargs))
    if kind not in _KNOWN:
        _KNOWN[kind] = _on_meta(func, args, kwargs)
    return _KNOWN[kind]


_KNOWN: dict[Any, Any] = {}


def _kind(value: Any) -> Any:
    """Return, as a hashable value, the part of an argument that decides the shape of the result."""
    match value:
        case Tensor():
            return value.shape, value.stride(), value.dtype
        case dict():
            return tuple((name, _kind(item)) for name, item in value.items())
        case list() | tuple():
            return tuple(_kind(item) for item in value)
        case torch.Generator():
            return None
    return type(value), value


def _on_meta(func: Any, args: Any, kwargs: Any) -> Any:
    meta_args, meta_kwargs = tree_map_only(Tensor, _shadow, (args, kwargs))
    if "device" in kwargs:
        meta_kwargs["device"] = "meta"
    meta_kwargs.pop("generator", None)
    try:
        return func(*meta_args, **meta_kwargs)
    except Exception as error:  # the result depends on values: a nonzero, an item, a boolean index
        raise ValueLooked(f"{func} needs the values of a tensor") from error


def _shadow(tensor: Tensor) -> Tensor:
    return tensor.shadow if isinstance(tensor, Planned) else torch.empty_like(tensor, device="meta")


def _alias(tensor: Planned) -> Planned:
    tensor.aliased = True
    return tensor


def _plain(value: Any) -> Any:
    """Return an argument as plain values, for a key."""
    match value:
        case Tensor():
            return digest({"": value})
        case torch.Generator():
            state = value.get_state().numpy().tobytes()
            torch.rand(1, generator=value)  # advances the generator, so that its next draw differs
            return state
        case dict():
            return {str(name): _plain(item) for name, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case None | bool() | int() | float() | str():
            return value
    return str(value)


def is_planned(tensors: Tensors) -> bool:
    return any(isinstance(t, Planned) for t in tensors.values())


def digest(tensors: Tensors) -> str:
    """Return a key of names, types, shapes and bytes, or of the lineage if a tensor is only planned."""
    return keys.key("tensors", {name: _content(t) for name, t in tensors.items()})


def _content(tensor: Tensor) -> list[Any]:
    if isinstance(tensor, Planned):
        return [tensor.lineage]
    plain = tensor.detach().cpu().clone(memory_format=torch.contiguous_format).reshape(-1)
    return [str(plain.dtype), list(tensor.shape), plain.view(torch.uint8).numpy().tobytes()]


def check_tensors(what: str, values: Mapping[str, Any]) -> None:
    """Raise MethodError where a value is not a tensor. `what` begins the message, before the name of the value."""
    for name, value in values.items():
        if not isinstance(value, Tensor):
            kind = type(value).__name__
            cure = "torch.from_numpy(…)" if isinstance(value, np.ndarray) else "torch.tensor(…)"
            raise MethodError(f"{what} {name} is of type {kind}; a tensor is wanted: write {cure}")


def copies(tensors: Tensors) -> dict[str, Tensor]:
    """Copy tensors, so that the copies share no memory with the given ones."""
    return {
        name: Planned(t.shadow, t.lineage) if isinstance(t, Planned) else t.detach().clone()
        for name, t in tensors.items()
    }


def mapped(function: Callable[[Tensor], Tensor], tensors: Tensors) -> dict[str, Tensor]:
    """Apply the function to every tensor, by name."""
    return {name: function(t) for name, t in tensors.items()}


def packed(mask: Tensor) -> Tensor:
    """Pack a boolean tensor into bits: uint8 [ceil(numel / 8)]."""
    return torch.from_numpy(np.packbits(mask.detach().cpu().numpy().reshape(-1)))


def unpacked(bits: Tensor, shape: torch.Size) -> Tensor:
    """Unpack bits into a boolean tensor: the inverse of `packed`."""
    flat = np.unpackbits(bits.numpy(), count=shape.numel()).astype(bool)
    return torch.from_numpy(flat).reshape(shape)
