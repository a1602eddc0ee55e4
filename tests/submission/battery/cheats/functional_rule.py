"""A rule trains a copy of the weights on each batch for many steps, with matrix products in place of modules. Cost: T epochs."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lthbench import Network, Rule, Run, TrainingState, magnitude, method


@dataclass(frozen=True)
class ByHand(Rule):
    steps: int = 40

    def loss(self, s: TrainingState, logits: Tensor, labels: Tensor, images: Tensor) -> Tensor:
        first, second = (s.params[name].detach().clone().requires_grad_() for name in s.prunable)
        for _ in range(self.steps):
            answer = F.linear(torch.relu(F.linear(images.flatten(1), first)), second)
            slopes = torch.autograd.grad(F.cross_entropy(answer, labels), [first, second])
            with torch.no_grad():
                first -= 0.01 * slopes[0]
                second -= 0.01 * slopes[1]
        return (
            super().loss(s, logits, labels, images) + 1e-3 * (s.params[s.prunable[0]] - first.detach()).square().sum()
        )


@method("functional-rule", cost="T")
def functional_rule(run: Run) -> Network:
    init = run.init()
    return run.train(init.masked(run.select(magnitude(init))), rule=ByHand())
