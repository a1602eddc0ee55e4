"""The discrete cosine transform, type II."""

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Size, Tensor

from lthbench.pruning.bases.basis import Orthonormal, mixed


@dataclass(frozen=True)
class DCT2(Orthonormal):
    """The orthonormal 2-D DCT-II of every kernel, or of the weight matrix. Ahmed, Natarajan and Rao, 1974."""

    def axes(self, name: str, shape: Size) -> dict[int, Tensor]:
        return {dim: cosine(shape[dim]) for dim in mixed(shape)}


@lru_cache
def cosine(n: int) -> Tensor:
    """Return the matrix [n, n] whose row k is sqrt((1 if k == 0 else 2) / n) cos(π k (2 i + 1) / 2n)."""
    k, i = torch.arange(n, dtype=torch.float64)[:, None], torch.arange(n, dtype=torch.float64)
    rows = torch.cos(math.pi * k * (2 * i + 1) / (2 * n)) * math.sqrt(2 / n)
    rows[0] /= math.sqrt(2)
    return rows
