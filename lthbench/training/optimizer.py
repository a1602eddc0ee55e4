"""The optimizer: how the gradients of a step move the parameters, as a program on tensors that a CUDA graph can hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lthbench.training.recipe import Recipe


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent with momentum, Nesterov's too, and weight decay on every parameter, as torch.optim.SGD."""

    momentum: float
    nesterov: bool
    weight_decay: float

    @classmethod
    def of(cls, recipe: Recipe) -> "SGD":
        """Return the optimizer of a recipe."""
        return cls(recipe.momentum, recipe.nesterov, recipe.weight_decay)

    def update(
        self, params: Mapping[str, Tensor], grads: Sequence[Tensor], state: Mapping[str, Tensor],
        factors: Mapping[str, Tensor], rate: Tensor,
    ) -> None:  # fmt: skip
        """Move the parameters in place, and their momentum, which is the optimizer's `state`, by name.

        `grads` are in the order of `params`. `factors` hold 0 where a weight is removed, by parameter name: it has no
        momentum and stays 0. `rate` is the learning rate, a scalar on the device.
        """
        weights, momentum = list(params.values()), [state[name] for name in params]
        decayed = torch._foreach_add(list(grads), weights, alpha=self.weight_decay)
        if factors:
            masked = [t for name, t in zip(params, decayed, strict=True) if name in factors]
            torch._foreach_mul_(masked, list(factors.values()))
        torch._foreach_mul_(momentum, self.momentum)
        torch._foreach_add_(momentum, decayed)
        moved = torch._foreach_add(decayed, momentum, alpha=self.momentum) if self.nesterov else momentum
        torch._foreach_sub_(weights, torch._foreach_mul(moved, rate))
