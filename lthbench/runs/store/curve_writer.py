"""Write the states of a training to the store, each with the learning curve up to it."""

from collections.abc import Callable
from contextlib import suppress

from lthbench.errors import MissingEntry
from lthbench.pruning.state import State
from lthbench.runs.store.curve import Curve, Point
from lthbench.runs.store.store import Store
from lthbench.training.trainer import Trainer
from lthbench.training.trajectory import Trajectory

Validate = Callable[[State], tuple[float, int]]
"""A function that returns the mean loss and the right answers of a network on the held-out examples."""


class CurveWriter:
    """The curve of a training under way, which goes on with that of the state from which it continues.

    A watched training also leaves the state where its validation loss was least, so that it can be evaluated.
    """

    def __init__(self, store: Store, trajectory: Trajectory, trainer: Trainer, begin: int, validate: Validate):
        self._store, self._trajectory, self._trainer, self._validate = store, trajectory, trainer, validate
        self._before = self._stored(begin)
        self._points = [*self._before.points] if self._before else []
        self._least: tuple[int, State] | None = None  # found in this training, and not yet written
        if self._before:
            trainer.add_loss(self._before.under_way)

    def watch(self, step: int, state: State) -> None:
        """Note the network at a step. It is kept while no other one has less validation loss."""
        self._points.append(Point(step, *self._validate(state)))
        least = Curve(points=tuple(self._points)).least
        if least and least.step == step:
            self._least = step, state

    def keep(self, stop: int, state: State) -> None:
        """Write the state at a stop, the curve up to it, and the state of least validation loss."""
        key, ended = self._trajectory.state(stop).key, self._trainer.current.step
        if self._least:
            step, best = self._least
            self._store.write_state(self._trajectory.state(step).key, best, step)
            self._least = None
        self._store.write_state(key, state, ended)
        if self._before:  # a state from before there were curves has none, and nothing can be joined to it
            losses, under_way = self._trainer.losses
            self._store.write_curve(
                self._trajectory.curve(stop), Curve((*self._before.losses, *losses), under_way, tuple(self._points))
            )

    def _stored(self, begin: int) -> Curve | None:
        if begin == self._trajectory.first:
            return Curve()
        with suppress(MissingEntry):
            return self._store.read_curve(self._trajectory.curve(begin))
        return None
