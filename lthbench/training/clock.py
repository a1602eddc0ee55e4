"""Positions in a training, in epochs or steps, and the clock that converts between them."""

from dataclasses import dataclass

from lthbench.errors import MethodError


class Steps(int):
    """A number of optimizer steps, where a plain int means epochs: `run.train(net, until=Steps(100))`."""


Position = int | Steps


def check_position(what: str, position: Position) -> None:
    """Raise MethodError for a position that is negative, or is not a whole number of epochs or steps."""
    if isinstance(position, bool) or not isinstance(position, int) or position < 0:
        raise MethodError(f"{what} {position!r}: a position is a whole number of epochs, or Steps(n), and at least 0")


@dataclass(frozen=True)
class Clock:
    """Converts between epochs, steps and examples. An epoch has `size` examples, and its last batch may be smaller."""

    epochs: int
    batch: int
    size: int

    @property
    def steps_per_epoch(self) -> int:
        return -(-self.size // self.batch)

    @property
    def total(self) -> int:
        """Return the number of optimizer steps of the whole training."""
        return self.epochs * self.steps_per_epoch

    @property
    def smallest_batch(self) -> int:
        """Return the number of examples in the smallest batch of an epoch."""
        return min(self.size, self.batch, self.size % self.batch or self.batch)

    def step(self, position: Position) -> int:
        """Return the step at a position given in epochs or in Steps."""
        return int(position) if isinstance(position, Steps) else int(position) * self.steps_per_epoch

    def examples(self, step: int) -> int:
        """Return the number of training examples used in the first `step` steps."""
        epochs, rest = divmod(step, self.steps_per_epoch)
        return epochs * self.size + min(rest * self.batch, self.size)
