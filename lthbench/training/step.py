"""One optimizer step on tensors of one device.

A step never looks at a value, never waits for the device, and changes tensors in place. The same sequence of operations
therefore serves every step of a training, and a CUDA graph can hold it.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from lthbench.pruning.state import in_weights
from lthbench.training.optimizer import optimizer
from lthbench.training.rules import Rule, TrainingState, overrides
from lthbench.training.shards import Shards
from lthbench.training.trajectory import Trajectory


class Step:
    """The forward pass, the backward pass, the optimizer, and the mask.

    `current` is the training that it changes, `shown` what the hooks of a rule may look at. `seen` counts examples.
    `loss` is the sum of the losses of examples, without a penalty, since it was last set to zero.
    """

    def __init__(
        self, trajectory: Trajectory, module: nn.Module, current: TrainingState, devices: Sequence[torch.device] = ()
    ):
        self.optimizer = optimizer(trajectory.recipe)
        self.recipe, self.module, self.current = trajectory.recipe, module, current
        self.shown: Any = current
        self.seen = 0  # examples
        self.loss = torch.zeros((), dtype=torch.float64, device=current.lr.device)
        self.rule, self.basis = trajectory.rule or Rule(), trajectory.start.basis
        self.trained = {name: t.requires_grad_() for name, t in self.rule.trained(current).items()}
        self._penalised, self._own_weights = (overrides(trajectory.rule, hook) for hook in ("penalty", "weights"))
        self.factors = {} if self._own_weights else self._factors()
        count = self.recipe.shards
        self.shards = Shards(module, count, devices or [current.lr.device]) if count > 1 else None

    def __call__(self, images: Tensor, labels: Tensor, rate: Tensor) -> None:
        """Do one step on images [B, C, H, W] and labels [B], at a learning rate that is a scalar on the device."""
        current = self.current
        self.seen += len(images)
        current.lr.copy_(rate)
        grads = self._grads(images, labels) if self.shards is None else self._averaged(self.shards, images, labels)
        with torch.no_grad():
            current.grads.update(zip(self.trained, grads, strict=True))
            self.optimizer.update(self.trained, grads, current.slots, self.factors, current.lr)

    def remask(self) -> None:
        """Apply a mask that has changed."""
        for name, factor in self.factors.items():
            factor.copy_(self.current.mask[name])

    def _grads(self, images: Tensor, labels: Tensor) -> list[Tensor]:
        loss = self._loss(self._forward(images), labels)
        self._add(loss, len(images))
        return self._by_trained(self._with_penalty(loss))

    def _averaged(self, shards: Shards, images: Tensor, labels: Tensor) -> list[Tensor]:
        """Return the gradients of the mean over the parts of the batch."""
        sums: list[Tensor] = []
        for some, theirs, share in shards.split(images, labels):
            loss = share * self._loss(shards.forward(self._weights(), some), theirs)
            self._add(loss.to(self.loss.device), len(images))
            if sums:
                torch._foreach_add_(sums, self._by_trained(loss))
            else:
                sums = self._by_trained(self._with_penalty(loss))
        shards.settle()
        return sums

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(logits.float(), labels, label_smoothing=self.recipe.label_smoothing)

    def _add(self, loss: Tensor, examples: int) -> None:
        """Add the mean loss of some examples to the sum, on the device."""
        self.loss.add_(loss.detach(), alpha=examples)

    def _with_penalty(self, loss: Tensor) -> Tensor:
        return loss + self.rule.penalty(self.shown) if self._penalised else loss

    def _by_trained(self, loss: Tensor) -> list[Tensor]:
        return list(torch.autograd.grad(loss, list(self.trained.values())))

    def _forward(self, images: Tensor) -> Tensor:
        weights = self._weights()
        return functional_call(self.module, weights, (images,)) if weights else self.module(images)

    def _weights(self) -> dict[str, Tensor]:
        """Return the weights that the module computes with, if they are not its own."""
        if self.basis is None and not self._own_weights:
            return {}
        return dict(in_weights(self.basis, self.rule.weights(self.shown), self.current.prunable))

    def _factors(self) -> dict[str, Tensor]:
        """Return masks as factors of the gradient: removed weights are zero and stay zero.

        There is no factor for a tensor that is whole and, as no rule has a hook between steps, stays so. A rule with
        weights of its own masks them itself.
        """
        masks = self.current.mask.items()
        lacking = {name: mask for name, mask in masks if self.rule.every or not mask.all()}
        return {n: torch.empty_like(t).copy_(lacking[n]) for n, t in self.trained.items() if n in lacking}
