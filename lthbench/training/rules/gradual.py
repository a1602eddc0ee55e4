"""Gradual pruning: the sparsity rises while the network trains."""

import math
from dataclasses import dataclass

from torch import Tensor

from lthbench.errors import MethodError
from lthbench.pruning.allocate import removed_count
from lthbench.training.rules.rule import Rule, TrainingState


@dataclass(frozen=True)
class Gradual(Rule):
    """Gradual magnitude pruning: a cubic rise of the sparsity from `begin` to `end` (fractions of the training).

    s(t) = final (1 − (1 − (t − begin) / (end − begin))³). Zhu and Gupta, 2017, arXiv:1710.01878. The last update that
    fits prunes to `final`. Raises MethodError where none fits. A network that is sparser than the rise keeps its sparsity
    until the rise has reached it.
    """

    final: float
    every: int = 100
    begin: float = 0.2
    end: float = 0.75

    def start(self, s: TrainingState) -> dict[str, Tensor]:
        if self.every > s.total:
            name = type(self).__name__
            raise MethodError(f"{name}(every={self.every}): the training has {s.total} steps; prune more often")
        return {}

    def due(self, s: TrainingState) -> float:
        """Return the sparsity at the end of the current step."""
        last = s.step + 1 + self.every > s.total
        return self.final if last else self.sparsity((s.step + 1) / s.total)

    def sparsity(self, t: float) -> float:
        """Return the sparsity at a fraction of the training."""
        x = min(1.0, max(0.0, (t - self.begin) / (self.end - self.begin)))
        return self.final * (1 - (1 - x) ** 3)

    def after_step(self, s: TrainingState) -> None:
        scores = {n: s.params[n].detach().abs().masked_fill(~s.mask[n], -math.inf) for n in s.prunable}
        s.set_mask(s.select(scores, self._reachable(s)))

    def _reachable(self, s: TrainingState) -> float:
        """Return the sparsity that is due, or short of `final` that of the network where more is pruned already."""
        due, pruned = self.due(s), sum(int((~s.mask[n]).sum()) for n in s.prunable)
        size = sum(s.mask[n].numel() for n in s.prunable)
        return due if due == self.final or removed_count(size, due) >= pruned else pruned / size
