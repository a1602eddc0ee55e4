"""Tensors by name: their digests, their copies, their bit-packed form, and tensors that are only planned."""

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map_only

from lthbench import keys
from lthbench.errors import ValueLooked

Tensors = Mapping[str, Tensor]
"""Tensors by parameter name (or unit name); read-only."""


class Planned(torch.Tensor):
    """A tensor with a shape and a lineage but no values, for planning a method without running it.

    Every torch operation on it gives another one, whose lineage is a key of the operation and of what went in. Asking
    for a value raises ValueLooked.
    """

    shadow: Tensor
    lineage: str

    @staticmethod
    def __new__(cls, shadow: Tensor, lineage: str) -> "Planned":
        self = torch.Tensor._make_wrapper_subclass(
            cls, shadow.shape, strides=shadow.stride(), dtype=shadow.dtype, device=torch.device("cpu")
        )
        self.shadow, self.lineage = shadow, lineage
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
        lineage = keys.key("planned", str(func), [_plain(leaf) for leaf in tree_flatten((args, kwargs))[0]])
        try:
            meta_args, meta_kwargs = tree_map_only(Tensor, _shadow, (args, {**kwargs, "device": "meta"}))
            if "device" not in kwargs:
                meta_kwargs.pop("device")
            out = func(*meta_args, **meta_kwargs)
        except Exception as error:  # values decide the result: a nonzero, an item, a boolean index
            raise ValueLooked(f"{func} needs the values of a tensor") from error
        if func._schema.is_mutable and isinstance(args[0], Planned):
            args[0].lineage = lineage
            return args[0]
        wrapped = iter(range(1 << 30))
        return tree_map_only(Tensor, lambda t: cls(t, keys.key(lineage, next(wrapped))), out)

    def tolist(self) -> NoReturn:
        raise ValueLooked("tolist() needs the values of a tensor")

    def numpy(self, *, force: bool = False) -> NoReturn:
        raise ValueLooked("numpy() needs the values of a tensor")


def _shadow(tensor: Tensor) -> Tensor:
    return tensor.shadow if isinstance(tensor, Planned) else torch.empty_like(tensor, device="meta")


def _plain(leaf: Any) -> Any:
    if isinstance(leaf, Tensor):
        return digest({"": leaf})
    return leaf if isinstance(leaf, None | bool | int | float | str) else str(leaf)


def is_planned(tensors: Tensors) -> bool:
    return any(isinstance(t, Planned) for t in tensors.values())


def digest(tensors: Tensors) -> str:
    """A key of names, types, shapes and bytes; of the lineage where a tensor is only planned."""
    return keys.key("tensors", {name: _content(t) for name, t in tensors.items()})


def _content(tensor: Tensor) -> list[Any]:
    if isinstance(tensor, Planned):
        return [tensor.lineage]
    plain = tensor.detach().cpu().contiguous()
    return [str(plain.dtype), list(plain.shape), plain.reshape(-1).view(torch.uint8).numpy().tobytes()]


def copies(tensors: Tensors) -> dict[str, Tensor]:
    """Tensors that share no memory with the given ones."""
    return {name: t if isinstance(t, Planned) else t.detach().clone() for name, t in tensors.items()}


def mapped(function: Callable[[Tensor], Tensor], tensors: Tensors) -> dict[str, Tensor]:
    """The function of every tensor, by name."""
    return {name: function(t) for name, t in tensors.items()}


def packed(mask: Tensor) -> Tensor:
    """A boolean tensor as bits: uint8 [ceil(numel / 8)]."""
    return torch.from_numpy(np.packbits(mask.detach().cpu().numpy().reshape(-1)))


def unpacked(bits: Tensor, shape: torch.Size) -> Tensor:
    """The inverse of `packed`."""
    flat = np.unpackbits(bits.numpy(), count=shape.numel()).astype(bool)
    return torch.from_numpy(flat).reshape(shape)
