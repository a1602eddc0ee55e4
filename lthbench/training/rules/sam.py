"""Sharpness-aware minimisation: the gradient is taken where the loss nearby is highest."""

from dataclasses import dataclass

import torch
from torch import Tensor

from lthbench.training.rules.rule import GradientAt, Rule, TrainingState

TINY = 1e-12  # beside the norm of a gradient that is zero


@dataclass(frozen=True)
class SAM(Rule):
    """The gradient at w + ρ g/‖g‖, where g is that at w, over all weights that remain. Two passes a step.

    Foret et al., ICLR 2021, arXiv:2010.01412. The running statistics of batch-norm are those of the first pass.
    """

    rho: float = 0.05
    passes = 2

    def gradient(self, s: TrainingState, at: GradientAt) -> dict[str, Tensor]:
        g, w = s.masked(at()), self.trained(s)
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm([*g.values()])))
        return at({name: w[name] + self.rho / (norm + TINY) * g[name] for name in g})
