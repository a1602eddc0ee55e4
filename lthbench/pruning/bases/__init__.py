"""Bases of parameter space in which networks can be pruned. Alabdulmohsin et al., 2021, arXiv:2107.06825."""

from collections.abc import Callable

from lthbench.errors import MethodError, unknown
from lthbench.pruning.bases.basis import Basis, Orthonormal
from lthbench.pruning.bases.canonical import Canonical
from lthbench.pruning.bases.cosine import DCT2
from lthbench.pruning.bases.haar import Haar
from lthbench.pruning.bases.hadamard import Hadamard
from lthbench.pruning.bases.rotation import RandomOrthogonal
from lthbench.pruning.bases.singular import LeftSingular

__all__ = [
    "BASES",
    "DCT2",
    "Basis",
    "Canonical",
    "Haar",
    "Hadamard",
    "LeftSingular",
    "Orthonormal",
    "RandomOrthogonal",
    "named_basis",
]

BASES: dict[str, Callable[[int], Basis]] = {  # by name: the basis for a seed
    "canonical": lambda seed: Canonical(),
    "dct": lambda seed: DCT2(),
    "haar": lambda seed: Haar(),
    "hadamard": lambda seed: Hadamard(),
    "random": RandomOrthogonal,
}


def named_basis(name: str, seed: int = 0) -> Basis:
    """Return a basis that needs no weights, by name: canonical, dct, haar, hadamard, or random (drawn from the seed).

    >>> import torch
    >>> named_basis("hadamard").inverse("w", torch.ones(4, 1)).flatten()
    tensor([2., 0., 0., 0.])
    """
    if name not in BASES:
        raise MethodError(unknown("basis", name, BASES))
    return BASES[name](seed)
