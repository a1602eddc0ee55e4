"""A rule has a network of its own see examples after every step. Cost: T epochs."""

from dataclasses import dataclass

import torch
from torch import nn

from lthbench import Network, Rule, Run, TrainingState, magnitude, method


@dataclass(frozen=True)
class Beside(Rule):
    every: int = 1

    def after_step(self, s: TrainingState) -> None:
        nn.Tanh()(torch.linspace(0, 1, 400).view(100, 4))


@method("rule-with-a-pass", cost="T", cite="none")
def rule_with_a_pass(run: Run) -> Network:
    init = run.init()
    return run.train(init.masked(run.select(magnitude(init))), rule=Beside())
