"""The learning curve of a training, as it stands in the store beside each of its states."""

import math
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, Self


class Point(NamedTuple):
    """The network after some steps: its mean loss in nats on the held-out examples, and its right answers there."""

    step: int
    loss: float
    right: int


@dataclass(frozen=True)
class Curve:
    """The training loss of every epoch, and the points on held-out examples that the recipe asked for, up to a step.

    `losses` are means over the examples of an epoch, in nats. `under_way` is the sum in an epoch that has not ended.
    """

    losses: tuple[float, ...] = ()
    under_way: float = 0.0
    points: tuple[Point, ...] = ()

    @classmethod
    def of(cls, note: dict[str, Any]) -> Self:
        """Return the curve of a note in the store."""
        return cls(tuple(note["losses"]), note["under_way"], tuple(Point(*point) for point in note["points"]))

    @property
    def note(self) -> dict[str, Any]:
        """Return the note that is written to the store."""
        return asdict(self)

    @property
    def least(self) -> Point | None:
        """Return the first point of least loss. None without a point whose loss is finite."""
        return min((p for p in self.points if math.isfinite(p.loss)), key=lambda p: p.loss, default=None)
