"""The Walsh-Hadamard transform."""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Size, Tensor

from lthbench.pruning.bases.basis import Orthonormal, mixed


@dataclass(frozen=True)
class Hadamard(Orthonormal):
    """The orthonormal 2-D Hadamard transform (Sylvester's order) of every kernel, or of the weight matrix.

    The transform exists for powers of two. Any other size is split into the powers of two that sum to it, largest
    first, and each part is transformed by itself (300 = 256 + 32 + 8 + 4; a side of 3 is 2 + 1).
    """

    def axes(self, name: str, shape: Size) -> dict[int, Tensor]:
        return {dim: hadamard(shape[dim]) for dim in mixed(shape)}


@lru_cache
def hadamard(n: int) -> Tensor:
    """Return the block-diagonal matrix [n, n]; every block of size p has entries ±1 / sqrt(p)."""
    powers = [1 << bit for bit in reversed(range(n.bit_length())) if n >> bit & 1]
    return torch.block_diag(*map(_sylvester, powers))


def _sylvester(power: int) -> Tensor:
    block = torch.ones(1, 1, dtype=torch.float64)
    while len(block) < power:
        block = torch.cat([torch.cat([block, block], 1), torch.cat([block, -block], 1)])
    return block / power**0.5
