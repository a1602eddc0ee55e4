"""Optimizers: how the gradients of a step move the parameters, as a program on tensors that a CUDA graph can hold.

Another optimizer is a class here and a line in OPTIMIZERS. The fields of the class are the keys of a recipe that it uses.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from lthbench.pruning.state import Slots

DECAYS = {"all": 0, "weights": 2}
"""The fewest dimensions of a tensor that decays. Biases, and the scales and shifts of norms, have one."""

ALL = ""  # the name of a number of the whole training in its slot
ROUNDING = 1e-6  # beside the norm of the gradient, as in torch.nn.utils.clip_grad_norm_
SMALLEST = 2.0**-126  # of float32's normal numbers: MKL takes 30 times as long for the square root of zero


@dataclass(frozen=True)
class Optimizer(ABC):
    """A direction for each parameter, with weight decay and clipping, which all optimizers share.

    `slots` name the tensors that it keeps for each parameter, of its shape, and `numbers` the float64 scalars that it
    keeps for the whole training. All are zero at first. `decoupled`: the decay is added to the direction instead of the
    gradient. `clip_norm` is the largest norm of the gradient, of all parameters together.
    """

    slots: ClassVar[tuple[str, ...]]
    numbers: ClassVar[tuple[str, ...]] = ()
    decoupled: ClassVar[bool] = False

    weight_decay: float
    decay: str
    clip_norm: float | None

    @classmethod
    def of(cls, recipe: Any) -> Self:
        """Return the optimizer of a recipe, which has its fields."""
        return cls(**{field.name: getattr(recipe, field.name) for field in fields(cls)})

    @abstractmethod
    def direction(self, grads: list[Tensor], state: Mapping[str, list[Tensor]]) -> list[Tensor]:
        """Return the tensors that, times the learning rate, are subtracted from the parameters.

        `state` has, by slot, a list in the order of `grads`, or the one number. It is changed in place. Where gradient and
        state are zero, as at removed weights, the state stays and the direction is +0.0. Values must not be looked at.
        """

    def begin(self, trained: Mapping[str, Tensor], before: Slots) -> dict[str, dict[str, Tensor]]:
        """Return the state before the first step, in new memory: that of `before`, and zeros where it has none.

        Numbers of the whole training belong to all parameters. If one has no state before, all begin with zeros.
        """
        if self.numbers and not all(name in before.get(slot, {}) for slot in self.slots for name in trained):
            before = {}
        device = next(iter(trained.values())).device
        one = {ALL: torch.zeros((), dtype=torch.float64, device=device)}
        like = dict.fromkeys(self.slots, trained) | dict.fromkeys(self.numbers, one)
        return {slot: _continued(tensors, before.get(slot, {})) for slot, tensors in like.items()}

    def update(
        self, params: Mapping[str, Tensor], grads: Sequence[Tensor], state: Slots, factors: Mapping[str, Tensor],
        rate: Tensor,
    ) -> None:  # fmt: skip
        """Move the parameters and the state in place. `grads`, which are in the order of `params`, stay as they are.

        `factors` hold 0 where a weight is removed, by parameter name: it has zero state and does not move. `rate` is the
        learning rate, a scalar on the device.
        """
        weights, grads, lists = list(params.values()), list(grads), self._lists(state, params)
        kept = {at: factors[name] for at, name in enumerate(params) if name in factors}
        if self.clip_norm is not None:
            grads = _clipped(_masked(grads, kept), self.clip_norm)
        if self.decoupled:
            moves = self._decayed(self.direction(_masked(grads, kept), lists), weights, kept)
        else:
            moves = self.direction(self._decayed(grads, weights, kept), lists)
        torch._foreach_sub_(weights, torch._foreach_mul(moves, rate))

    def _decayed(self, tensors: list[Tensor], weights: list[Tensor], kept: Mapping[int, Tensor]) -> list[Tensor]:
        """Return tensors plus weight decay times weights, which is the gradient of weight_decay / 2 ‖weights‖², masked."""
        if self.decay == "all":
            decayed = torch._foreach_add(tensors, weights, alpha=self.weight_decay)
        else:
            amounts = [self.weight_decay * (weight.dim() >= DECAYS[self.decay]) for weight in weights]
            decayed = torch._foreach_add(tensors, torch._foreach_mul(weights, amounts))
        if kept:
            torch._foreach_mul_([decayed[at] for at in kept], list(kept.values()))
        return list(decayed)

    def _lists(self, state: Slots, params: Mapping[str, Tensor]) -> dict[str, list[Tensor]]:
        lists = {slot: [state[slot][name] for name in params] for slot in self.slots}
        return lists | {number: [state[number][ALL]] for number in self.numbers}


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent with momentum, Nesterov's too, as torch.optim.SGD."""

    slots = ("momentum",)

    momentum: float
    nesterov: bool

    def direction(self, grads: list[Tensor], state: Mapping[str, list[Tensor]]) -> list[Tensor]:
        momentum = state["momentum"]
        torch._foreach_mul_(momentum, self.momentum)
        torch._foreach_add_(momentum, grads)
        return list(torch._foreach_add(grads, momentum, alpha=self.momentum)) if self.nesterov else momentum


@dataclass(frozen=True)
class Adam(Optimizer):
    """Running means of the gradient and of its square, without their bias towards zero, as torch.optim.Adam.

    Kingma and Ba, ICLR 2015, arXiv:1412.6980. The corrections of the bias are float64: in float32 the first one of the
    variance is wrong in its fifth digit.
    """

    slots = ("mean", "variance")
    numbers = ("steps",)

    betas: tuple[float, float]
    eps: float

    def direction(self, grads: list[Tensor], state: Mapping[str, list[Tensor]]) -> list[Tensor]:
        mean, variance, [steps] = state["mean"], state["variance"], state["steps"]
        steps.add_(1)
        torch._foreach_lerp_(mean, grads, 1 - self.betas[0])
        torch._foreach_mul_(variance, self.betas[1])
        torch._foreach_addcmul_(variance, grads, grads, 1 - self.betas[1])
        of_mean, of_root = (1 - self.betas[0] ** steps), (1 - self.betas[1] ** steps).sqrt()
        roots = torch._foreach_sqrt(torch._foreach_clamp_min(variance, SMALLEST))
        eps = (self.eps * of_root).to(roots[0].dtype)
        torch._foreach_add_(roots, [eps] * len(roots))  # of one tensor, a GPU would wait for its value
        moves = list(torch._foreach_div(mean, roots))
        torch._foreach_mul_(moves, (of_root / of_mean).to(roots[0].dtype))
        return moves


class AdamW(Adam):
    """Adam with the decay beside the gradient, as torch.optim.AdamW. Loshchilov and Hutter, ICLR 2019, arXiv:1711.05101."""

    decoupled = True


OPTIMIZERS: dict[str, type[Optimizer]] = {"sgd": SGD, "adam": Adam, "adamw": AdamW}


def optimizer(recipe: Any) -> Optimizer:
    """Return the optimizer that a recipe names."""
    return OPTIMIZERS[recipe.optimizer].of(recipe)


def keys_of(name: str) -> set[str]:
    """Return the keys of a recipe that an optimizer uses."""
    return {field.name for field in fields(OPTIMIZERS[name])}


def _continued(like: Mapping[str, Tensor], before: Mapping[str, Tensor]) -> dict[str, Tensor]:
    zeros = {name: torch.zeros_like(t) for name, t in like.items()}
    return {name: t.copy_(before[name]) if name in before else t for name, t in zeros.items()}


def _masked(tensors: list[Tensor], kept: Mapping[int, Tensor]) -> list[Tensor]:
    """Return the tensors times their factors, by position, where they have one."""
    products = torch._foreach_mul([tensors[at] for at in kept], list(kept.values())) if kept else ()
    masked = dict(zip(kept, products, strict=True))
    return [masked.get(at, t) for at, t in enumerate(tensors)]


def _clipped(grads: list[Tensor], most: float) -> list[Tensor]:
    """Return the gradients, shortened together to the norm `most` where they are longer. Pascanu et al., ICML 2013."""
    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(grads)))
    return list(torch._foreach_mul(grads, (most / (norm + ROUNDING)).clamp(max=1.0)))
