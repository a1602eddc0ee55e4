"""Learning-rate schedules: each gives the share of the peak learning rate at a fraction of the whole training."""

import math
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor


class Schedule(Protocol):
    """The fields of a recipe that a schedule reads. `drops` and `warmup` are fractions of the training."""

    @property
    def lr(self) -> float: ...
    @property
    def schedule(self) -> str: ...
    @property
    def drops(self) -> tuple[float, ...]: ...
    @property
    def gamma(self) -> float: ...
    @property
    def warmup(self) -> float: ...


def constant(recipe: Schedule, done: float) -> float:
    """Keep the peak."""
    return 1.0


def step(recipe: Schedule, done: float) -> float:
    """Multiply by gamma at each of the drops."""
    return recipe.gamma ** sum(done >= drop for drop in recipe.drops)


def cosine(recipe: Schedule, done: float) -> float:
    """Follow half a cosine from 1 to 0, after the warm-up. Loshchilov and Hutter, ICLR 2017."""
    return (1 + math.cos(math.pi * _after_warmup(recipe, done))) / 2


def linear(recipe: Schedule, done: float) -> float:
    """Follow a straight line from 1 to 0, after the warm-up."""
    return 1 - _after_warmup(recipe, done)


SCHEDULES: dict[str, Callable[[Schedule, float], float]] = {
    "constant": constant,
    "step": step,
    "cosine": cosine,
    "linear": linear,
}


def rates(recipe: Schedule, total: int) -> Tensor:
    """Return the learning rate of each of `total` steps, float32 [total]. The warm-up rises linearly over its fraction of them."""
    shape = SCHEDULES[recipe.schedule]
    warm = round(recipe.warmup * total)
    values = [recipe.lr * (min(1.0, (t + 1) / warm) if warm else 1.0) * shape(recipe, t / total) for t in range(total)]
    return torch.tensor(values, dtype=torch.float64).to(torch.float32)


def _after_warmup(recipe: Schedule, done: float) -> float:
    return max(0.0, done - recipe.warmup) / (1 - recipe.warmup) if recipe.warmup < 1 else 0.0
