"""The broker: has every operation done once. It looks in the store, then among those in flight, and then asks a worker."""

import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from lthbench.errors import LthbenchError, MissingEntry
from lthbench.pruning.lineage import Init, Lineage, Trained
from lthbench.pruning.state import State, edited, initial_state
from lthbench.pruning.tensors import Tensors
from lthbench.runs.executors import Executor
from lthbench.runs.operations import Evaluate, Measure, Operation, Train, Validate
from lthbench.runs.store import Store
from lthbench.runs.worker import Reply
from lthbench.training.trajectory import Trajectory

TRIES = 4  # an entry may be found damaged when it is read, and is then computed again

Content = Mapping[str, Tensors]
"""The tensors of edits, by digest."""


@dataclass
class Counts:
    """What was computed in this execution."""

    operations: int = 0
    epochs: float = 0.0


@dataclass
class Broker:
    """A store and an executor, shared by the runs of a driver."""

    store: Store
    executor: Executor
    counts: Counts = field(default_factory=Counts)

    def __post_init__(self) -> None:
        self._lock = threading.RLock()
        self._flying: dict[str, Future[Reply]] = {}
        self._trajectories: dict[str, Trajectory] = {}
        self._left: dict[str, set[int]] = defaultdict(set)  # stops by trajectory

    def state(
        self, trajectory: Trajectory, stop: int, content: Content, stops: Iterable[int] = (), remainder: float = 0.0
    ) -> float:
        """Have a state of a trajectory in the store, and on the way there one at each of the planned `stops`.

        Returns the epochs that this call had computed; 0 where they were there, or on their way.
        """
        key = trajectory.state(stop).key
        self._trajectories[trajectory.key] = trajectory
        computed = 0.0
        for _ in range(TRIES):
            if self.store.has("states", key):
                return computed
            with self._lock:
                operation = self._training(trajectory, stop, stops)
            with suppress(MissingEntry):
                computed += self._done(operation, content, remainder)
        if self.store.has("states", key):
            return computed
        raise LthbenchError(f"state {key} could not be computed in {TRIES} tries: its source goes missing each time")

    def value(self, operation: Measure | Validate | Evaluate, content: Content) -> tuple[dict[str, Tensor], Any, float]:
        """What a probe or an evaluation finds: tensors, a note, and the epochs that were computed for it."""
        computed = 0.0
        for _ in range(TRIES):
            try:
                if not self.store.has("values", operation.key):
                    computed += self._done(operation, content, 0.0)
                return *self.store.read("values", operation.key), computed
            except MissingEntry:
                continue
        raise LthbenchError(f"{operation.key} could not be computed in {TRIES} tries: an entry goes missing each time")

    def network(self, lineage: Lineage, content: Content) -> State:
        """The tensors of a network."""
        for _ in range(TRIES):
            try:
                return edited(self._root(lineage.root), lineage.edits, content.__getitem__)
            except MissingEntry:
                self._ensure(lineage, content)
        raise LthbenchError(f"network {lineage.key} could not be read in {TRIES} tries")

    def ended(self, trajectory: Trajectory, stop: int, content: Content) -> int:
        """The step at which a training ended that its rule may have ended before this stop."""
        for _ in range(TRIES):
            try:
                return self.store.read_state(trajectory.state(stop).key)[1]
            except MissingEntry:
                self.state(trajectory, stop, content)
        raise LthbenchError(f"state {trajectory.state(stop).key} could not be read in {TRIES} tries")

    def _root(self, root: Init | Trained) -> State:
        return initial_state(root) if isinstance(root, Init) else self.store.read_state(root.key)[0]

    def _training(self, trajectory: Trajectory, stop: int, stops: Iterable[int]) -> Train:
        """From the last state that is there, to this stop and those planned that are not there."""
        left = self._left[trajectory.key] | set(stops)
        there = [s for s in left if s < stop and self.store.has("states", trajectory.state(s).key)]
        begin = max([trajectory.first, *there])
        wanted = {s for s in {*stops, stop} if s > begin}
        self._left[trajectory.key] |= {*stops, stop}
        return Train(trajectory, begin, tuple(sorted(wanted)))

    def _done(self, operation: Operation, content: Content, remainder: float) -> float:
        """Wait for an operation, which is started unless it is in flight. Epochs that this call had computed."""
        self._ensure(operation.source, content)
        names = _names(operation)
        with self._lock:
            future = next((self._flying[name] for name in names if name in self._flying), None)
            mine = future is None
            if future is None:
                if all(self.store.has(_kind(operation), name) for name in names):
                    return 0.0  # it ended between the look at the store and now
                future = self.executor.submit(operation, remainder)
                self._flying |= dict.fromkeys(names, future)
        try:
            reply = future.result()
        finally:
            if mine:
                with self._lock:
                    for name in names:
                        self._flying.pop(name, None)
        if not mine:
            return 0.0
        with self._lock:
            self.counts.operations += 1
            self.counts.epochs += reply.epochs
        return reply.epochs

    def _ensure(self, lineage: Lineage, content: Content) -> None:
        """Have in the store what a worker needs to make a network: the state of its root, the tensors of its edits."""
        root = lineage.root
        if isinstance(root, Trained) and not self.store.has("states", root.key):
            self.state(self._trajectories[root.trajectory], root.step, content)
        for edit in lineage.edits:
            if not self.store.has("tensors", edit.digest):
                self.store.write_tensors(content[edit.digest])


def _names(operation: Operation) -> list[str]:
    """The keys under which an operation is found in flight."""
    if isinstance(operation, Train):
        return [operation.trajectory.state(stop).key for stop in operation.stops]
    return [operation.key]


def _kind(operation: Operation) -> str:
    """The part of the store that its result goes to."""
    return "states" if isinstance(operation, Train) else "values"
