"""Recipes: the epochs, batch, learning rate, schedule, decay and augmentation of one training."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import replace as _replace
from typing import Any

from lthbench.errors import InputError, unknown
from lthbench.training.augment import AUGMENTATIONS
from lthbench.training.clock import Clock
from lthbench.training.schedule import SCHEDULES


@dataclass(frozen=True)
class Bound:
    """The values that a field of a recipe may have: whole or other finite numbers from `low` to `high`.

    `below`: `high` itself is not among them.
    """

    low: float
    high: float = math.inf
    below: bool = False

    def __contains__(self, value: Any) -> bool:
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        return number and self.low <= value <= self.high and not (self.below and value == self.high)

    def __str__(self) -> str:
        if self.high == math.inf:
            return f"a finite number, at least {self.low:g}"
        return f"a number from {self.low:g} to {'below ' if self.below else ''}{self.high:g}"


BOUNDS = {
    "epochs": Bound(1),
    "batch": Bound(1),
    "lr": Bound(0.0),
    "gamma": Bound(0.0, 1.0),
    "warmup": Bound(0.0, 1.0),
    "momentum": Bound(0.0, 1.0, below=True),
    "weight_decay": Bound(0.0),
    "label_smoothing": Bound(0.0, 1.0),
    "fine_tune_lr": Bound(0.0),
    "examples": Bound(1),
    "shards": Bound(1),
}
OPTIONAL = ("fine_tune_lr", "examples")


@dataclass(frozen=True)
class Recipe:
    """The settings of one training. `drops` and `warmup` are fractions of the whole; `lr` is the peak learning rate.

    The optimizer is SGD with momentum and weight decay on every parameter, as in torch.optim.SGD. A step schedule
    multiplies the learning rate by `gamma` at every drop. `examples` trains on a fixed seeded subset of that size.
    `fine_tune_lr` is the learning rate of Run.fine_tune, by default the last one of the schedule (Renda et al. 2020).
    `shards` is the number of parts of a batch that are normalised separately, one for each device; on fewer devices the
    result is the same.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012  a suite with another key is refused

    epochs: int
    batch: int
    lr: float
    schedule: str = "step"
    drops: tuple[float, ...] = ()
    gamma: float = 0.1
    warmup: float = 0.0
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    augment: str = "none"
    fine_tune_lr: float | None = None
    examples: int | None = None
    shards: int = 1

    def __post_init__(self) -> None:
        if wrong := [*self._out_of_bounds(), *self._unknown()]:
            raise InputError("; ".join(f"recipe: {problem}" for problem in wrong))

    def _out_of_bounds(self) -> Iterator[str]:
        for name, bound in BOUNDS.items():
            value = getattr(self, name)
            if value not in bound and not (value is None and name in OPTIONAL):
                yield f"{name} = {value!r} must be {bound}"
        for drop in self.drops:
            if drop not in Bound(0.0, 1.0):
                yield f"drops are fractions of the training, from 0 to 1, not {drop!r}"

    def _unknown(self) -> Iterator[str]:
        for name, known in (("schedule", SCHEDULES), ("augment", AUGMENTATIONS)):
            if getattr(self, name) not in known:
                yield unknown(name, getattr(self, name), known)

    def replace(self, **changes: Any) -> "Recipe":
        """Return the recipe with some fields changed."""
        for name in changes.keys() - vars(self).keys():
            raise InputError(unknown("field of a recipe", name, vars(self)))
        return _replace(self, **changes)

    def clock(self, size: int) -> Clock:
        """Return the clock of this recipe on a training split of `size` examples."""
        if self.examples is not None and self.examples > size:
            raise InputError(f"recipe: examples = {self.examples}, but the training split has {size}")
        return Clock(self.epochs, self.batch, self.examples or size)

    def smallest_batch(self, size: int) -> int:
        """Return the fewest images that are normalised together, on a training split of `size` examples."""
        return max(1, self.clock(size).smallest_batch // self.shards)

    @property
    def pace(self) -> tuple[Any, ...]:
        """The fields that decide what a position in the schedule means; the learning rate is not among them."""
        return self.epochs, self.batch, self.examples, self.warmup

    @property
    def identity(self) -> dict[str, Any]:
        """The fields that change a training, coerced to their declared types, for keys."""
        fields = dict(vars(self))
        fields.pop("fine_tune_lr")
        if self.shards == 1:  # keys from before there were shards stay valid
            fields.pop("shards")
        floats = ("lr", "gamma", "warmup", "momentum", "weight_decay", "label_smoothing")
        return fields | {name: float(fields[name]) for name in floats} | {"drops": [float(d) for d in self.drops]}

    def fine_tuning(self, epochs: int) -> "Recipe":
        """Return a recipe of constant training for `epochs` at `fine_tune_lr`, by default the schedule's last learning rate.

        Raises InputError where the schedule ends under a thousandth of its peak and the recipe has no fine_tune_lr.
        """
        last = self.lr * SCHEDULES[self.schedule](self, 1.0)
        rate = last if self.fine_tune_lr is None else self.fine_tune_lr
        if self.fine_tune_lr is None and last < self.lr / 1000:
            raise InputError(f"a {self.schedule} schedule ends at {last:g}: name fine_tune_lr in the recipe")
        return self.replace(epochs=epochs, lr=rate, schedule="constant", drops=(), warmup=0.0)
