"""The penalty of network slimming. Liu et al., ICCV 2017, arXiv:1708.06519."""

from dataclasses import dataclass

import torch
from torch import Tensor

from lthbench.training.rules.rule import Rule, TrainingState


@dataclass(frozen=True)
class Slimming(Rule):
    """The L1 norm of the batch-norm scales of all units, times `strength`, added to the loss.

    Raises MethodError if no unit has a scale.
    """

    strength: float = 1e-4

    def penalty(self, s: TrainingState) -> Tensor:
        return self.strength * torch.stack([g.abs().sum() for g in s.units.param("gamma", s.params).values()]).sum()
