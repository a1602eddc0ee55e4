"""The left singular vectors of given weights. Pruning whole rows of coefficients truncates the rank."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Size, Tensor

from lthbench.errors import MethodError, unknown
from lthbench.pruning.bases.basis import Orthonormal
from lthbench.pruning.tensors import Tensors
from lthbench.pruning.units import Units


@dataclass(frozen=True)
class LeftSingular(Orthonormal):
    """The basis C = UᵀW with W as a matrix [outputs, rest]. `left` holds U [outputs, outputs] by parameter name.

    Make it with `LeftSingular.of(weights)`. In the basis of its own weights, row i has the i-th singular value as its
    norm.
    """

    left: Mapping[str, Tensor]

    @classmethod
    def of(cls, weights: Tensors) -> "LeftSingular":
        """Return the basis of the left singular vectors of weights, say of a trained network: `of(dense.prunable)`."""
        return cls({name: _left(weight.flatten(1)) for name, weight in weights.items()})

    def rows(self) -> Units:
        """Return the rows of the coefficients as units. Keeping k of a matrix truncates it to rank k."""
        return Units.rows({name: vectors.shape for name, vectors in self.left.items()})

    def axes(self, name: str, shape: Size) -> dict[int, Tensor]:
        if name not in self.left:
            raise MethodError("LeftSingular: " + unknown("parameter", name, self.left))
        return {0: self.left[name].T}


def _left(matrix: Tensor) -> Tensor:
    """Return U of a matrix [m, n], square even if m > n, in float64."""
    return torch.linalg.svd(matrix.double(), full_matrices=matrix.shape[0] > matrix.shape[1])[0]
