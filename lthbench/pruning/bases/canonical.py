"""The canonical basis, whose coefficients are the weights. Pruning in it is ordinary pruning, bit for bit."""

from dataclasses import dataclass

from torch import Size, Tensor

from lthbench.pruning.bases.basis import Orthonormal


@dataclass(frozen=True)
class Canonical(Orthonormal):
    """The identity: C = W."""

    def axes(self, name: str, shape: Size) -> dict[int, Tensor]:
        return {}
