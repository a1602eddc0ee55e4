"""What a basis is: weights W = B(C) of coefficients C of the same shape, by parameter name."""

from dataclasses import fields
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Size, Tensor


class Basis(Protocol):
    """A frozen dataclass; its name, `version` and fields are its identity, tensors by their digest.

    Both functions keep the shape, are each other's inverse, and take what they need to the device of their argument.
    """

    def inverse(self, name: str, weight: Tensor) -> Tensor:
        """The coefficients of a weight."""
        ...

    def forward(self, name: str, coefficients: Tensor) -> Tensor:
        """The weight of some coefficients. Part of every training step: it may not look at values."""
        ...


class Orthonormal:
    """Base of the bases that are an orthonormal matrix along some dimensions of the weight, one after another.

    A subclass says which: `axes` gives, by dimension, a float64 matrix [n, n] whose rows are the basis vectors. Lengths
    are kept: |C| = |W|, so that weight decay and magnitudes mean the same.
    """

    def axes(self, name: str, shape: Size) -> dict[int, Tensor]:
        raise NotImplementedError

    def inverse(self, name: str, weight: Tensor) -> Tensor:
        for dim, matrix in self._axes(name, weight).items():
            weight = _along(dim, matrix, weight)
        return weight

    def forward(self, name: str, coefficients: Tensor) -> Tensor:
        for dim, matrix in self._axes(name, coefficients).items():
            coefficients = _along(dim, matrix.T, coefficients)
        return coefficients

    def _axes(self, name: str, like: Tensor) -> dict[int, Tensor]:
        """The matrices in the type and on the device of a tensor, put there once."""
        where = name, like.shape, like.dtype, like.device
        if where not in self._placed:
            self._placed[where] = {dim: matrix.to(like) for dim, matrix in self.axes(name, like.shape).items()}
        return self._placed[where]

    @cached_property
    def _placed(self) -> dict[Any, dict[int, Tensor]]:
        return {}

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]


def mixed(shape: Size) -> tuple[int, ...]:
    """The dimensions that a transform goes over: the kernel's, where it is larger than one pixel, else outputs and inputs.

    A 3x3 convolution [O, I, 3, 3] is transformed kernel by kernel, a linear layer [O, I] and a 1x1 convolution as a matrix.
    """
    kernel = tuple(dim for dim in range(2, len(shape)) if shape[dim] > 1)
    return kernel or tuple(range(min(2, len(shape))))


def _along(dim: int, matrix: Tensor, tensor: Tensor) -> Tensor:
    with torch.autocast(tensor.device.type, enabled=False):  # half the digits would be no basis any more
        return torch.matmul(tensor.movedim(dim, -1), matrix.T).movedim(-1, dim).contiguous()
