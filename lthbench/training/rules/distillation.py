"""Distillation: a network learns from the outputs of another one, beside the labels."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lthbench.training.rules.rule import Rule, TrainingState


@dataclass(frozen=True)
class Distillation(Rule):
    """(1 − share) · cross-entropy + share · T² · KL(teacher ‖ student), both softened by the temperature T.

    The teacher is given in run.train(networks={"teacher": …}). Two passes a step, one of them through the teacher, which
    sees the same augmented images. Hinton et al., 2015, arXiv:1503.02531.
    """

    share: float = 0.9
    temperature: float = 4.0
    network: str = "teacher"
    passes = 2

    def loss(self, s: TrainingState, logits: Tensor, labels: Tensor, images: Tensor) -> Tensor:
        with torch.no_grad():
            teacher = self._softened(s.forward(images, network=self.network))
        soft = F.kl_div(self._softened(logits), teacher, log_target=True, reduction="batchmean")
        return (1 - self.share) * super().loss(s, logits, labels, images) + self.share * self.temperature**2 * soft

    def _softened(self, logits: Tensor) -> Tensor:
        """Return logarithms of probabilities."""
        return F.log_softmax(logits.float() / self.temperature, 1)
