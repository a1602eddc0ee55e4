"""How one training goes: epochs, batch, learning rate, schedule, decay, augmentation."""

from dataclasses import dataclass
from dataclasses import replace as _replace
from typing import Any

from lthbench.errors import InputError, unknown
from lthbench.training.augment import AUGMENTATIONS
from lthbench.training.clock import Clock
from lthbench.training.schedule import SCHEDULES


@dataclass(frozen=True)
class Recipe:
    """How one training goes. `drops` and `warmup` are fractions of the whole; `lr` is the peak rate.

    SGD with momentum and weight decay on every parameter, as in torch.optim.SGD. A step schedule multiplies the rate by
    `gamma` at every drop. `examples`: train on a fixed seeded subset of so many. `fine_tune_lr`: the rate of
    Run.fine_tune, by default the last one of the schedule (Renda et al. 2020). `shards`: parts of a batch that are normalised
    apart, for so many devices; on fewer the result is the same.
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
        for name, low in (("epochs", 1), ("batch", 1), ("lr", 0.0), ("examples", 1), ("warmup", 0.0), ("shards", 1)):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, int | float) and value >= low):
                raise InputError(f"recipe: {name} = {value!r} must be a number, at least {low}")
        wrong = [f for f in (*self.drops, self.warmup) if not 0 <= f <= 1]
        if wrong:
            raise InputError(f"recipe: drops and warmup are fractions of the training, from 0 to 1, not {wrong[0]!r}")
        for name, known in (("schedule", SCHEDULES), ("augment", AUGMENTATIONS)):
            if getattr(self, name) not in known:
                raise InputError("recipe: " + unknown(name, getattr(self, name), known))

    def replace(self, **changes: Any) -> "Recipe":
        """The same recipe with some fields changed."""
        for name in changes.keys() - vars(self).keys():
            raise InputError(unknown("field of a recipe", name, vars(self)))
        return _replace(self, **changes)

    def clock(self, size: int) -> Clock:
        """The clock of this recipe on a training split of `size` examples."""
        if self.examples is not None and self.examples > size:
            raise InputError(f"recipe: examples = {self.examples}, but the training split has {size}")
        return Clock(self.epochs, self.batch, self.examples or size)

    @property
    def pace(self) -> tuple[Any, ...]:
        """What a position in the schedule means under this recipe; another learning rate does not change it."""
        return self.epochs, self.batch, self.examples, self.warmup

    @property
    def identity(self) -> dict[str, Any]:
        """All fields that change a training, coerced to their declared types, for keys."""
        fields = dict(vars(self))
        fields.pop("fine_tune_lr")
        if self.shards == 1:  # keys from before there were any hold
            fields.pop("shards")
        floats = ("lr", "gamma", "warmup", "momentum", "weight_decay", "label_smoothing")
        return fields | {name: float(fields[name]) for name in floats} | {"drops": [float(d) for d in self.drops]}

    def fine_tuning(self, epochs: int) -> "Recipe":
        """Constant training for `epochs` at `fine_tune_lr`, by default the last rate of the schedule.

        Raises InputError where the schedule ends under a thousandth of its peak and names no rate.
        """
        last = self.lr * SCHEDULES[self.schedule](self, 1.0)
        rate = last if self.fine_tune_lr is None else self.fine_tune_lr
        if self.fine_tune_lr is None and last < self.lr / 1000:
            raise InputError(f"a {self.schedule} schedule ends at {last:g}: name fine_tune_lr in the recipe")
        return self.replace(epochs=epochs, lr=rate, schedule="constant", drops=(), warmup=0.0)
