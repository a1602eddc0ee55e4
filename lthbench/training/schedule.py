"""Learning-rate schedules: the share of the peak rate at a fraction of the whole training."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from lthbench.training.recipe import Clock, Recipe


def constant(recipe: "Recipe", done: float) -> float:
    return 1.0


def step(recipe: "Recipe", done: float) -> float:
    """x gamma at each of the drops."""
    return recipe.gamma ** sum(done >= drop for drop in recipe.drops)


def cosine(recipe: "Recipe", done: float) -> float:
    """Half a cosine from 1 to 0, after the warm-up. Loshchilov and Hutter, ICLR 2017."""
    return (1 + math.cos(math.pi * _after_warmup(recipe, done))) / 2


def linear(recipe: "Recipe", done: float) -> float:
    """A straight line from 1 to 0, after the warm-up."""
    return 1 - _after_warmup(recipe, done)


SCHEDULES: dict[str, Callable[["Recipe", float], float]] = {
    "constant": constant,
    "step": step,
    "cosine": cosine,
    "linear": linear,
}


def rates(recipe: "Recipe", clock: "Clock") -> Tensor:
    """The learning rate of every step, float32 [clock.total]. Warm-up rises linearly over its fraction of the steps."""
    shape = SCHEDULES[recipe.schedule]
    total, warm = clock.total, round(recipe.warmup * clock.total)
    values = [recipe.lr * (min(1.0, (t + 1) / warm) if warm else 1.0) * shape(recipe, t / total) for t in range(total)]
    return torch.tensor(values, dtype=torch.float64).to(torch.float32)


def _after_warmup(recipe: "Recipe", done: float) -> float:
    return max(0.0, done - recipe.warmup) / (1 - recipe.warmup) if recipe.warmup < 1 else 0.0
