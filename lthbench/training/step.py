"""One optimizer step as a program on tensors of one device.

Nothing in it looks at a value or waits for the device, and what it changes it changes in place, so that the same program
serves every step of a training, and a CUDA graph can hold it.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from lthbench.pruning.state import in_weights
from lthbench.training.rules import Live, Rule, overrides
from lthbench.training.trajectory import Trajectory


class Step:
    """The forward pass, the backward pass, SGD as torch.optim.SGD has it, and the mask.

    `live` is the training that it changes, `seen` what the hooks of a rule are shown of it.
    """

    def __init__(self, trajectory: Trajectory, module: nn.Module, live: Live):
        self.recipe, self.module, self.live = trajectory.recipe, module, live
        self.seen: Any = live
        self.rule, self.basis = trajectory.rule or Rule(), trajectory.start.basis
        self.trained = {name: t.requires_grad_() for name, t in self.rule.trained(live).items()}
        self._penalised, self._own_weights = (overrides(trajectory.rule, hook) for hook in ("penalty", "weights"))
        self.factors = {} if self._own_weights else self._factors()

    def __call__(self, images: Tensor, labels: Tensor, rate: Tensor) -> None:
        """One step on images [B, C, H, W] and labels [B], at a learning rate that is a scalar on the device."""
        live = self.live
        live.lr.copy_(rate)
        loss = F.cross_entropy(self._forward(images).float(), labels, label_smoothing=self.recipe.label_smoothing)
        if self._penalised:
            loss = loss + self.rule.penalty(self.seen)
        grads = list(torch.autograd.grad(loss, list(self.trained.values())))
        with torch.no_grad():
            live.grads.update(zip(self.trained, grads, strict=True))
            self._update(grads)

    def remask(self) -> None:
        """Take over a mask that has changed."""
        for name, factor in self.factors.items():
            factor.copy_(self.live.mask[name])

    def _update(self, grads: list[Tensor]) -> None:
        recipe, params = self.recipe, list(self.trained.values())
        momentum = [self.live.momentum[name] for name in self.trained]
        decayed = torch._foreach_add(grads, params, alpha=recipe.weight_decay)
        if self.factors:
            masked = [t for name, t in zip(self.trained, decayed, strict=True) if name in self.factors]
            torch._foreach_mul_(masked, list(self.factors.values()))
        torch._foreach_mul_(momentum, recipe.momentum)
        torch._foreach_add_(momentum, decayed)
        moved = torch._foreach_add(decayed, momentum, alpha=recipe.momentum) if recipe.nesterov else momentum
        torch._foreach_sub_(params, torch._foreach_mul(moved, self.live.lr))

    def _forward(self, images: Tensor) -> Tensor:
        if self.basis is None and not self._own_weights:
            return self.module(images)
        weights = in_weights(self.basis, self.rule.weights(self.seen), self.live.prunable)
        return functional_call(self.module, weights, (images,))

    def _factors(self) -> dict[str, Tensor]:
        """Masks as factors of the gradient: what is removed is zero and stays so. None for a tensor that lacks no weight
        and, as no rule looks in, never will. A rule with weights of its own masks them itself."""
        masks = self.live.mask.items()
        lacking = {name: mask for name, mask in masks if self.rule.every or not mask.all()}
        return {n: torch.empty_like(t).copy_(lacking[n]) for n, t in self.trained.items() if n in lacking}
