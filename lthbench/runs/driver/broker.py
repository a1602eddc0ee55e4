"""The broker has every operation done once.

It looks in the store, then among the running operations, here or with another driver on the same store. Then it asks a
worker.
"""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from torch import Tensor

from lthbench.errors import LthbenchError, MissingEntry
from lthbench.methods.internals.operations import Operation, Train, Value, sources
from lthbench.pruning.lineage import Init, Lineage, Trained
from lthbench.pruning.state import State, edited
from lthbench.pruning.tensors import Tensors
from lthbench.runs.store.curve import Curve
from lthbench.runs.store.locks import FOLDER, FileLocks
from lthbench.runs.store.store import Store
from lthbench.runs.workers.executors import Executor
from lthbench.training.trajectory import Trajectory

TRIES = 4  # an entry that is found damaged when it is read is computed again

EditTensors = Mapping[str, Tensors]
"""The tensors of edits, by digest."""


@dataclass
class Counts:
    """Counts of the operations computed in this execution."""

    operations: int = 0
    epochs: float = 0.0


@dataclass
class Work:
    """The work behind an entry of the store: epochs, and seconds in workers.

    `how`: the entry was "found" in the store, "waited for" while another run or driver had it computed, or "computed".
    """

    how: Literal["found", "waited for", "computed"] = "found"
    epochs: float = 0.0
    seconds: float = 0.0
    cpu: float = 0.0
    seen: int = 0  # examples that networks saw


@dataclass
class Broker:
    """A store and an executor, shared by the runs of a driver."""

    store: Store
    executor: Executor
    counts: Counts = field(default_factory=Counts)

    def __post_init__(self) -> None:
        self.locks = FileLocks(self.store.root / FOLDER)
        self._lock = threading.Lock()
        self._trajectories: dict[str, Trajectory] = {}
        self._left: dict[str, set[int]] = defaultdict(set)  # stops by trajectory

    def state(
        self,
        trajectory: Trajectory,
        stop: int,
        edit_tensors: EditTensors,
        stops: Iterable[int] = (),
        remainder: float = 0.0,
    ) -> Work:
        """Have a state of a trajectory in the store, and one at each planned stop (`stops`) before it."""
        key = trajectory.state(stop).key
        self._trajectories[trajectory.key] = trajectory
        work = Work()
        there = partial(self._trained, trajectory, stop)
        for _ in range(TRIES):
            if there():
                return work
            with suppress(MissingEntry), self._claimed(trajectory.key, there, work) as mine:
                if mine:
                    self._done(self._training(trajectory, stop, stops), edit_tensors, remainder, work)
        if there():
            return work
        raise LthbenchError(f"state {key} could not be computed in {TRIES} tries: its source goes missing each time")

    def value(self, operation: Value, edit_tensors: EditTensors) -> tuple[dict[str, Tensor], Any, Work]:
        """Return the result of a probe or an evaluation: tensors, a note, and the work."""
        work = Work()
        for _ in range(TRIES):
            try:
                with self._claimed(operation.key, partial(self.store.has, "values", operation.key), work) as mine:
                    if mine:
                        self._done(operation, edit_tensors, 0.0, work)
                return *self.store.read("values", operation.key), work
            except MissingEntry:
                continue
        raise LthbenchError(f"{operation.key} could not be computed in {TRIES} tries: an entry goes missing each time")

    def network(self, lineage: Lineage, edit_tensors: EditTensors) -> State:
        """Return the tensors of a network."""
        for _ in range(TRIES):
            try:
                return edited(self.store.root_state(lineage.root), lineage.edits, edit_tensors.__getitem__)
            except MissingEntry:
                self._ensure(lineage, edit_tensors)
        raise LthbenchError(f"network {lineage.key} could not be read in {TRIES} tries")

    def ended(self, trajectory: Trajectory, stop: int, edit_tensors: EditTensors) -> int:
        """Return the step at which a training ended. Its rule may have ended it before this stop."""
        for _ in range(TRIES):
            try:
                return self.store.read_state(trajectory.state(stop).key)[1]
            except MissingEntry:
                self.state(trajectory, stop, edit_tensors)
        raise LthbenchError(f"state {trajectory.state(stop).key} could not be read in {TRIES} tries")

    def curve(self, trajectory: Trajectory, stop: int, edit_tensors: EditTensors) -> Curve | None:
        """Return the learning curve up to a stop. None where a training that is not watched left none."""
        for _ in range(TRIES):
            with suppress(MissingEntry):
                return self.store.read_curve(trajectory.curve(stop))
            if not trajectory.recipe.watch:
                return None
            self.state(trajectory, stop, edit_tensors)
        raise LthbenchError(f"the curve of {trajectory.state(stop).key} could not be read in {TRIES} tries")

    def _trained(self, trajectory: Trajectory, stop: int) -> bool:
        """Tell whether the state at a stop is stored and, where the training is watched, its curve."""
        curve = not trajectory.recipe.watch or self.store.has("curves", trajectory.curve(stop))
        return curve and self.store.has("states", trajectory.state(stop).key)

    def _training(self, trajectory: Trajectory, stop: int, stops: Iterable[int]) -> Train:
        """Return the training from the last stored state to this stop, through the planned stops that are not stored."""
        left = self._left[trajectory.key] | set(stops)
        there = [s for s in left if s < stop and self._trained(trajectory, s)]
        begin = max([trajectory.first, *there])
        wanted = {s for s in {*stops, stop} if s > begin}
        self._left[trajectory.key] |= {*stops, stop}
        return Train(trajectory, begin, tuple(sorted(wanted)))

    @contextmanager
    def _claimed(self, name: str, there: Callable[[], bool], work: Work) -> Iterator[bool]:
        """Wait until an entry is `there`, or this driver may compute it. Yields whether this driver has to compute it."""
        if there():
            yield False
            return
        with self.locks.held(name, there) as held:
            mine = held and not there()
            if not mine and work.how == "found":
                work.how = "waited for"
            yield mine

    def _done(self, operation: Operation, edit_tensors: EditTensors, remainder: float, work: Work) -> None:
        """Have a claimed operation done."""
        for source in sources(operation):
            self._ensure(source, edit_tensors, getattr(operation, "trajectory", None))
        reply = self.executor.submit(operation, remainder).result()
        with self._lock:
            self.counts.operations += 1
            self.counts.epochs += reply.epochs
        work.how, work.epochs, work.seconds = "computed", work.epochs + reply.epochs, work.seconds + reply.seconds
        work.cpu, work.seen = work.cpu + reply.cpu, work.seen + reply.seen

    def _ensure(self, lineage: Lineage, edit_tensors: EditTensors, on: Trajectory | None = None) -> None:
        """Have in the store the entries that a worker needs to make a network: the root's state, the tensors of its start
        and of the edits.

        A root on the claimed trajectory (`on`) was stored just now. If it is gone, the worker raises an error.
        """
        root = lineage.root
        if (
            isinstance(root, Trained)
            and not (on and root.trajectory == on.key)
            and not self.store.has("states", root.key)
        ):
            self.state(self._trajectories[root.trajectory], root.step, edit_tensors)
        digests = [edit.digest for edit in lineage.edits if edit.kind != "in_basis"]
        digests += [root.start] if isinstance(root, Init) and root.start else []
        for digest in digests:
            if not self.store.has("tensors", digest):
                self.store.write_tensors(edit_tensors[digest])
