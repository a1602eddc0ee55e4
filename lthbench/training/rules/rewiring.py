"""Sparse training: the mask moves and its count stays. Every few steps each layer drops weights and grows the same
number."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lthbench.pruning.allocate import keep_all_but
from lthbench.training.rules.gradual import Gradual
from lthbench.training.rules.rule import Rule, TrainingState


@dataclass(frozen=True)
class SET(Rule):
    """Sparse evolutionary training.

    Every `every` steps each layer drops its smallest weights and grows others at random. `rate` is the fraction of the
    weights that is dropped. As many grow, from zero. Mocanu et al., Nature Communications 2018, arXiv:1707.04780.
    """

    rate: float = 0.3
    every: int = 100

    def fraction(self, s: TrainingState) -> float:
        """Return the fraction of a layer's weights that is rewired now."""
        return self.rate

    def growth(self, s: TrainingState, name: str) -> Tensor:
        """Return the scores by which removed weights of a layer come back."""
        return torch.rand(s.params[name].shape, generator=s.generator).to(s.params[name].device)

    def after_step(self, s: TrainingState) -> None:
        fraction = self.fraction(s)
        s.set_mask({n: _rewired(s, n, fraction, self.growth(s, n)) for n in s.prunable})


@dataclass(frozen=True)
class RigL(SET):
    """SET that grows by |∂L/∂w|. The rewired fraction falls to zero along half a cosine, at `end` of the training.

    Evci et al., ICML 2020, arXiv:1911.11134. The gradient is that of the step just done.
    """

    end: float = 0.75

    def fraction(self, s: TrainingState) -> float:
        t = (s.step + 1) / (self.end * s.total)
        return self.rate / 2 * (1 + math.cos(math.pi * min(1.0, t)))

    def growth(self, s: TrainingState, name: str) -> Tensor:
        return s.grads[name].abs()


@dataclass(frozen=True)
class GraNet(Gradual):
    """Gradual magnitude pruning with one update of RigL after each of its own: neuroregeneration at no cost in weights.

    Liu et al., NeurIPS 2021, arXiv:2106.10404. `rate` is the fraction that is rewired at first.
    """

    begin: float = 0.0
    end: float = 0.5
    rate: float = 0.5

    def after_step(self, s: TrainingState) -> None:
        super().after_step(s)
        RigL(self.rate).after_step(s)


def _rewired(s: TrainingState, name: str, fraction: float, growth: Tensor) -> Tensor:
    """Return the mask of one layer after dropping a fraction of its smallest weights and growing the same number."""
    mask, weight = s.mask[name], s.params[name].detach()
    pruned = int((~mask).sum())
    dropped = int(fraction * (mask.numel() - pruned))
    kept = keep_all_but(pruned + dropped, {name: weight.abs().masked_fill(~mask, -math.inf)})[name]
    return keep_all_but(pruned, {name: growth.masked_fill(kept, math.inf)})[name]
