"""Penalties: terms added to the loss of every step."""

from dataclasses import dataclass

import torch
from torch import Tensor

from lthbench.training.rules.rule import Rule, TrainingState


@dataclass(frozen=True)
class L1(Rule):
    """The L1 norm of the prunable weights, times `strength`, added to the loss."""

    strength: float

    def penalty(self, s: TrainingState) -> Tensor:
        return self.strength * torch.stack([s.params[n].abs().sum() for n in s.prunable]).sum()
