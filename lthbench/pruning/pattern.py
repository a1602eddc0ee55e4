"""N:M patterns: of every M weights in a row along the input dimension, N stay. Mishra et al., 2021, arXiv:2104.08378.

The input dimension of a matrix [outputs, inputs] and of a kernel [outputs, inputs, …] is the second. Groups of M inputs
begin at the multiples of M. A kernel has such groups at every position of its window, as GPUs with 2:4 kernels read it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

import torch
import torch.nn.functional as F
from torch import Size, Tensor

from lthbench.errors import InputError, MethodError
from lthbench.pruning.tensors import Tensors

_TYPED = re.compile(r"([1-9]\d{0,3}):([1-9]\d{0,3})")


@dataclass(frozen=True)
class Pattern:
    """The pattern n:m, in which n weights of every group of m stay."""

    n: int
    m: int

    def __post_init__(self) -> None:
        if not 0 < self.n < self.m:
            raise InputError(f"the pattern {self} keeps none or all of a group; write N:M with N below M, as in 2:4")

    def __str__(self) -> str:
        return f"{self.n}:{self.m}"

    @classmethod
    def named(cls, text: str) -> Self | None:
        """Return the pattern that a text such as `2:4` names; None where it names none. InputError unless N is below M."""
        found = _TYPED.fullmatch(text)
        return cls(int(found[1]), int(found[2])) if found else None

    @property
    def sparsity(self) -> float:
        """Return the share of weights that the pattern removes."""
        return 1 - self.n / self.m

    def unfit(self, shapes: Mapping[str, Size]) -> list[str]:
        """Return the names of the tensors whose input dimension does not divide into groups."""
        return [name for name, shape in shapes.items() if len(shape) < 2 or shape[1] % self.m]

    def removable(self, scores: Tensor, ties: Tensor) -> Tensor:
        """Mark the m − n lowest scores of every group, lower numbers of `ties` first where scores are equal.

        Returns a boolean tensor of the scores' shape. MethodError where more of a group are -inf, which marks what is
        pruned already.
        """
        grouped = self._groups(scores)
        if crowded := int(((grouped == -torch.inf).sum(-1) > self.m - self.n).sum()):
            raise MethodError(
                f"{crowded} groups of the pattern {self} have lost more than {self.m - self.n} weights already (their "
                "scores are -inf); score from a network that follows the pattern"
            )
        by_tie = self._groups(ties).argsort(-1)
        order = by_tie.gather(-1, grouped.gather(-1, by_tie).argsort(dim=-1, stable=True))
        lowest = torch.zeros_like(order, dtype=torch.bool).scatter_(-1, order[..., : self.m - self.n], True)
        return lowest.flatten(-2).movedim(-1, 1)

    def broken(self, mask: Tensors) -> int:
        """Count the groups that keep more than n weights. A network of which nothing is removed is dense, and breaks none."""
        if all(bool(kept.all()) for kept in mask.values()):
            return 0
        return sum(int((self._groups(_filled(kept, self.m)).sum(-1) > self.n).sum()) for kept in mask.values())

    def _groups(self, t: Tensor) -> Tensor:
        """Return a view [outputs, …, groups, m] of a tensor [outputs, inputs, …]."""
        return t.movedim(1, -1).unflatten(-1, (-1, self.m))


def _filled(kept: Tensor, m: int) -> Tensor:
    """Return a mask [outputs, inputs, …] with removed weights behind its last inputs, up to a multiple of m."""
    matrix = kept if kept.dim() > 1 else kept[:, None]
    return F.pad(matrix.movedim(1, -1), (0, -matrix.shape[1] % m)).movedim(-1, 1)


def check_fit(pattern: Pattern, shapes: Mapping[str, Size]) -> None:
    """Raise InputError where the input dimension of a tensor does not divide into groups."""
    if unfit := pattern.unfit(shapes):
        raise InputError(f"{_listed(unfit)} cannot follow the pattern {pattern}: {_why(pattern, shapes[unfit[0]])}")


def _listed(names: Iterable[str]) -> str:
    first, *others = names
    return f"{first} and {len(others)} more" if others else first


def _why(pattern: Pattern, shape: Size) -> str:
    if len(shape) < 2:
        return "it has no input dimension"
    return f"its {shape[1]} inputs are not a multiple of {pattern.m}"
