"""The basis protocol: weights W = B(C) of coefficients C of the same shape, by parameter name."""

from dataclasses import fields
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Size, Tensor


class Basis(Protocol):
    """A frozen dataclass whose name, `version` and fields are its identity. Tensors enter it by their digest.

    The two functions keep the shape, are inverse to each other, and move what they need to the device of their
    argument.
    """

    def inverse(self, name: str, weight: Tensor) -> Tensor:
        """Return the coefficients of a weight."""
        ...

    def forward(self, name: str, coefficients: Tensor) -> Tensor:
        """Return the weight of some coefficients. It is part of every training step and must not look at values."""
        ...


class Orthonormal:
    """Base class for bases that apply an orthonormal matrix along one or more dimensions of the weight, one after
    another.

    A subclass defines `axes`: by dimension, a float64 matrix [n, n] whose rows are the basis vectors. Lengths are kept,
    |C| = |W|, so weight decay and magnitudes mean the same as without a basis.
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
        """Return the matrices in the type and on the device of a tensor. They are moved there once."""
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
    """Return the dimensions that a transform acts on: those of a kernel larger than one pixel, else outputs and inputs.

    A 3x3 convolution [O, I, 3, 3] is transformed kernel by kernel. A linear layer [O, I] and a 1x1 convolution are
    transformed as a matrix.
    """
    kernel = tuple(dim for dim in range(2, len(shape)) if shape[dim] > 1)
    return kernel or tuple(range(min(2, len(shape))))


def _along(dim: int, matrix: Tensor, tensor: Tensor) -> Tensor:
    with torch.autocast(tensor.device.type, enabled=False):  # bf16 matrices are not orthonormal
        return torch.matmul(tensor.movedim(dim, -1), matrix.T).movedim(-1, dim).contiguous()
