"""Recipes: the epochs, batch, learning rate, schedule, optimizer and augmentation of one training."""

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields
from dataclasses import replace as _replace
from typing import Any

from lthbench.errors import InputError, unknown
from lthbench.training.augment import AUGMENTATIONS
from lthbench.training.clock import Clock
from lthbench.training.optimizer import DECAYS, OPTIMIZERS, keys_of
from lthbench.training.schedule import SCHEDULES


@dataclass(frozen=True)
class Bound:
    """The values that a field of a recipe may have: whole or other finite numbers from `low` to `high`.

    `below`: `high` itself is not among them; `above`: nor is `low`.
    """

    low: float
    high: float = math.inf
    below: bool = False
    above: bool = False

    def __contains__(self, value: Any) -> bool:
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        excluded = [self.high] * self.below + [self.low] * self.above
        return number and self.low <= value <= self.high and value not in excluded

    def __str__(self) -> str:
        if self.high == math.inf:
            return f"a finite number, {'above' if self.above else 'at least'} {self.low:g}"
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
    "eps": Bound(0.0),
    "clip_norm": Bound(0.0, above=True),
    "watch": Bound(1),
}
OPTIONAL = ("fine_tune_lr", "examples", "clip_norm", "watch")
CHOICES: dict[str, Collection[str]] = {
    "schedule": SCHEDULES,
    "augment": AUGMENTATIONS,
    "optimizer": OPTIMIZERS,
    "decay": DECAYS,
}
LATER = ("shards", "optimizer", "betas", "eps", "clip_norm", "decay")
"""Fields that recipes did not always have. At their defaults they are in no key, so that earlier keys stay valid."""


@dataclass(frozen=True)
class Recipe:
    """The settings of one training. `drops` and `warmup` are fractions of the whole; `lr` is the peak learning rate.

    The optimizer is "sgd" (with `momentum` and `nesterov`), "adam" or "adamw" (with `betas` and `eps`), as in torch.optim.
    Weight decay is for all parameters, or with `decay` = "weights" not for biases, scales and shifts. `clip_norm` is the
    largest norm of the gradient. A step schedule multiplies the learning rate by `gamma` at every drop. `examples` trains
    on a fixed seeded subset of that size. `watch` is the number of steps between two looks at the held-out examples, which
    change no training.
    `fine_tune_lr` is the learning rate of Run.fine_tune, by default the last one of the schedule (Renda et al. 2020).
    `shards` is the number of parts of a batch that are normalised separately, one for each device; on fewer devices the
    result is the same.

    >>> recipe = Recipe(epochs=60, batch=64, lr=0.1, schedule="cosine")
    >>> recipe.replace(epochs=120).epochs
    120
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
    optimizer: str = "sgd"
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    clip_norm: float | None = None
    decay: str = "all"
    watch: int | None = None

    def __post_init__(self) -> None:
        if wrong := [*self._out_of_bounds(), *self._unknown(), *self._unused()]:
            raise InputError("; ".join(f"recipe: {problem}" for problem in wrong))

    def _out_of_bounds(self) -> Iterator[str]:
        for name, bound in BOUNDS.items():
            value = getattr(self, name)
            if value not in bound and not (value is None and name in OPTIONAL):
                yield f"{name} = {value!r} must be {bound}"
        for drop in self.drops:
            if drop not in Bound(0.0, 1.0):
                yield f"drops are fractions of the training, from 0 to 1, not {drop!r}"
        beta, betas = Bound(0.0, 1.0, below=True), self.betas
        if not (isinstance(betas, list | tuple) and len(betas) == 2 and all(value in beta for value in betas)):
            yield f"betas = {betas!r} must be two numbers, each {beta}"

    def _unknown(self) -> Iterator[str]:
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                yield unknown(name, getattr(self, name), known)

    def _unused(self) -> Iterator[str]:
        """Yield a line for each field of another optimizer that is set."""
        if self.optimizer not in OPTIMIZERS:
            return
        others = set().union(*map(keys_of, OPTIMIZERS)) - keys_of(self.optimizer)
        for name in sorted(others):
            if self._values[name] != _plain(name, _DEFAULTS[name]):
                yield f"{name} = {getattr(self, name)!r} is not used by optimizer = {self.optimizer!r}; leave it out"

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
        values = {name: value for name, value in self._values.items() if name not in ("fine_tune_lr", "watch")}
        return {n: v for n, v in values.items() if n not in LATER or v != _plain(n, _DEFAULTS[n])}

    @property
    def _values(self) -> dict[str, Any]:
        return {name: _plain(name, value) for name, value in vars(self).items()}

    def fine_tuning(self, epochs: int) -> "Recipe":
        """Return a recipe of constant training for `epochs` at `fine_tune_lr`, by default the schedule's last learning rate.

        Raises InputError where the schedule ends under a thousandth of its peak and the recipe has no fine_tune_lr.
        """
        last = self.lr * SCHEDULES[self.schedule](self, 1.0)
        rate = last if self.fine_tune_lr is None else self.fine_tune_lr
        if self.fine_tune_lr is None and last < self.lr / 1000:
            raise InputError(f"a {self.schedule} schedule ends at {last:g}: name fine_tune_lr in the recipe")
        return self.replace(epochs=epochs, lr=rate, schedule="constant", drops=(), warmup=0.0)


_DEFAULTS = {field.name: field.default for field in fields(Recipe)}
_FLOATS = {field.name for field in fields(Recipe) if field.type in (float, float | None)}


def _plain(name: str, value: Any) -> Any:
    """Return the value of a field with its numbers as declared: 1 as 1.0 where the field is a float."""
    if isinstance(value, list | tuple):
        return [float(number) for number in value]
    return float(value) if name in _FLOATS and value is not None else value
