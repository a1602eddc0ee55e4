"""A random rotation, the control for every other basis."""

from dataclasses import dataclass

import torch
from torch import Generator, Size, Tensor

from lthbench import keys
from lthbench.pruning.bases.basis import Orthonormal, mixed


@dataclass(frozen=True)
class RandomOrthogonal(Orthonormal):
    """Orthogonal matrices drawn uniformly (Haar measure), one for every parameter and dimension. `seed` fixes them.

    They act on the same dimensions as the other transforms. Mezzadri, 2007, arXiv:math-ph/0609050.
    """

    seed: int

    def axes(self, name: str, shape: Size) -> dict[int, Tensor]:
        return {dim: self._drawn(name, dim, shape[dim]) for dim in mixed(shape)}

    def _drawn(self, name: str, dim: int, n: int) -> Tensor:
        generator = Generator().manual_seed(keys.seed("basis", self.seed, name, dim, n))
        q, r = torch.linalg.qr(torch.randn(n, n, generator=generator, dtype=torch.float64))
        return q * r.diagonal().sign()
