"""Movement pruning: weights that move away from zero stay."""

from dataclasses import dataclass

import torch
from torch import Tensor

from lthbench.training.rules.gradual import Gradual
from lthbench.training.rules.rule import TrainingState


@dataclass(frozen=True)
class Movement(Gradual):
    """Movement pruning along the cubic of Gradual.

    The score of a weight w is −Σ learning rate · w · ∂L/∂w, over all steps. Sanh et al., NeurIPS 2020, arXiv:2005.07683
    (hard movement pruning). The scores are trained beside the weights: the forward pass uses w · top(score), whose
    straight-through derivative by the score is w · ∂L/∂(masked w). So they follow the recipe's learning rate, momentum
    and decay. Weights keep their value while they are pruned, and may come back.
    """

    def start(self, s: TrainingState) -> dict[str, Tensor]:
        return super().start(s) | {f"score/{n}": torch.zeros_like(s.params[n]) for n in s.prunable}

    def trained(self, s: TrainingState) -> dict[str, Tensor]:
        return s.params | s.state

    def weights(self, s: TrainingState) -> dict[str, Tensor]:
        scores = {n: s.state[f"score/{n}"] for n in s.prunable}
        return s.params | {n: s.params[n] * (s.mask[n] + (t - t.detach())) for n, t in scores.items()}

    def after_step(self, s: TrainingState) -> None:
        scores = {n: s.state[f"score/{n}"].detach() for n in s.prunable}
        for name, keep in s.select(scores, self.due(s)).items():
            s.mask[name].copy_(keep)

    def finish(self, s: TrainingState) -> None:
        for name in s.prunable:
            s.params[name].masked_fill_(~s.mask[name], 0.0)
