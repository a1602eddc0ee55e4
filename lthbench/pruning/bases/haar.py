"""The Haar wavelets."""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Size, Tensor

from lthbench.pruning.bases.basis import Orthonormal, mixed


@dataclass(frozen=True)
class Haar(Orthonormal):
    """The orthonormal 2-D Haar transform of every kernel, or of the weight matrix.

    For sizes that are powers of two it is Haar's transform. Other sizes are halved unevenly (Girardi and Sweldens,
    1997).
    """

    def axes(self, name: str, shape: Size) -> dict[int, Tensor]:
        return {dim: haar(shape[dim]) for dim in mixed(shape)}


@lru_cache
def haar(n: int) -> Tensor:
    """Return the matrix [n, n] of the wavelets: the constant, then the step between the halves of each interval, widest
    first."""
    rows = [torch.full((n,), n**-0.5, dtype=torch.float64)]
    intervals = [(0, n)]
    for start, end in intervals:  # the list grows during the loop
        middle = (start + end + 1) // 2
        if middle < end:
            left, right = middle - start, end - middle
            step = torch.zeros(n, dtype=torch.float64)
            step[start:middle] = (right / (left * (left + right))) ** 0.5
            step[middle:end] = -((left / (right * (left + right))) ** 0.5)
            rows.append(step)
            intervals += [(start, middle), (middle, end)]
    return torch.stack(rows)
