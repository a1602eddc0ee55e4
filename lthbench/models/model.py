"""A model: a name with its arguments, and which of its parameters are prunable."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

import torch
from torch import nn

from lthbench.errors import InputError, unknown
from lthbench.models import mlp

Build = Callable[[str, tuple[int, int, int], int, float], nn.Module]

FAMILIES: dict[str, tuple[str, Build]] = {  # family: (pattern of its names, how to build one)
    "mlp-W1-W2-…": (r"mlp(-[1-9]\d*)+", mlp.build),
}


@dataclass(frozen=True)
class Model:
    """An architecture for images of `shape` (channels, height, width) and so many classes.

    Every parameter name matches exactly one of the patterns in `prunable` and `dense` (as in fnmatch), or building it
    raises. `width` multiplies the number of channels or neurons.
    """

    name: str
    shape: tuple[int, int, int]
    classes: int
    prunable: tuple[str, ...]
    dense: tuple[str, ...]
    width: float = 1.0

    @property
    def identity(self) -> dict[str, Any]:
        """What enters a key: the tensors, not the patterns."""
        return {"name": self.name, "shape": self.shape, "classes": self.classes, "width": float(self.width)}

    def module(self) -> nn.Module:
        """A module of its own on the meta device: shapes without values, and no random number drawn."""
        with torch.device("meta"):
            return _builder(self.name)(self.name, self.shape, self.classes, self.width)

    @property
    def shapes(self) -> dict[str, torch.Size]:
        """Parameter shapes by name, in the module's order."""
        return _shapes(self)

    @property
    def prunable_shapes(self) -> dict[str, torch.Size]:
        """The shapes of the parameters that pruning may touch."""
        return {name: shape for name, shape in self.shapes.items() if _prunable(self, name)}

    @property
    def prunable_count(self) -> int:
        """How many weights pruning may touch."""
        return sum(shape.numel() for shape in self.prunable_shapes.values())

    def narrowed(self, density: float) -> "Model":
        """The same depth, the widest that has at most density x prunable weights of this one.

        Raises InputError where even the narrowest has more.
        """
        allowed = round(density * self.prunable_count)
        low, high = 0.0, self.width
        if replace(self, width=low).prunable_count > allowed:
            raise InputError(
                f"no {self.name} is narrow enough for {allowed} prunable weights; ask for a lower sparsity"
            )
        if self.prunable_count <= allowed:
            return self
        while high - low > 1e-6:
            middle = (low + high) / 2
            low, high = (middle, high) if replace(self, width=middle).prunable_count <= allowed else (low, middle)
        return replace(self, width=low)


def _builder(name: str) -> Build:
    for pattern, build in FAMILIES.values():
        if re.fullmatch(pattern, name):
            return build
    raise InputError(unknown("model", name, FAMILIES))


@lru_cache(maxsize=4096)
def _shapes(model: Model) -> dict[str, torch.Size]:
    shapes = {name: parameter.shape for name, parameter in model.module().named_parameters()}
    unclear = [name for name in shapes if _prunable(model, name) == _matches(name, model.dense)]
    if unclear:
        raise InputError(
            f"{model.name}: {', '.join(unclear)} must match either prunable = {list(model.prunable)} or "
            f"dense = {list(model.dense)}, and not both"
        )
    return shapes


def _prunable(model: Model, name: str) -> bool:
    return _matches(name, model.prunable)


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
