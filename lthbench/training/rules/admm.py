"""ADMM: weights are pulled to their own sparse projection while they train."""

from dataclasses import dataclass

import torch
from torch import Tensor

from lthbench.training.rules.rule import Rule, TrainingState


@dataclass(frozen=True)
class ADMM(Rule):
    """The loss plus ρ/2 ‖W − Z + U‖²; every `every` steps Z = top(W + U) and U += W − Z.

    Zhang et al., ECCV 2018, arXiv:1804.03294. `top` keeps all but `sparsity` by the suite's allocation. The mask does
    not change: prune the result by magnitude.
    """

    sparsity: float
    rho: float = 1e-3
    every: int = 100

    def start(self, s: TrainingState) -> dict[str, Tensor]:
        zeros = {n: torch.zeros_like(s.params[n]) for n in s.prunable}
        drawn = self._projected(s, {n: s.params[n].detach() for n in s.prunable})
        return {f"u/{n}": u for n, u in zeros.items()} | {f"z/{n}": z for n, z in drawn.items()}

    def penalty(self, s: TrainingState) -> Tensor:
        far = [s.params[n] - s.state[f"z/{n}"] + s.state[f"u/{n}"] for n in s.prunable]
        return self.rho / 2 * torch.stack([t.square().sum() for t in far]).sum()

    def after_step(self, s: TrainingState) -> None:
        drawn = self._projected(s, {n: s.params[n].detach() + s.state[f"u/{n}"] for n in s.prunable})
        for name, z in drawn.items():
            s.state[f"z/{name}"].copy_(z)
            s.state[f"u/{name}"].add_(s.params[name].detach() - z)

    def _projected(self, s: TrainingState, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        keep = s.select({n: w.abs() for n, w in weights.items()}, self.sparsity)
        return {n: w * keep[n] for n, w in weights.items()}
