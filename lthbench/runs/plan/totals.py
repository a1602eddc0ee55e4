"""What planned runs add up to, without the runs: operations, epochs, bytes."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

from lthbench.runs.plan.planned_run import PlannedRun, Step
from lthbench.suite import Workload

TEXT = 10_000  # bytes of a run's record, trace and notes, generously


@dataclass
class MethodTotals:
    """Of the runs of one method: `charged` are the epochs that are planned, `most` those that they may spend."""

    runs: int = 0
    asked: int = 0
    charged: Fraction = Fraction(0)
    most: Fraction | float = Fraction(0)
    refused: int = 0
    open: int = 0  # not complete: they look at values


class StateLifetime(NamedTuple):
    """A state: the first and the last block of runs that need it, and its bytes."""

    first: int
    last: int
    size: int


@dataclass(slots=True)
class Training:
    """One trajectory: what is trained of it, and the states that it leaves."""

    workload: Workload
    epoch: float  # steps
    spans: list[tuple[int, int]] = field(default_factory=list)
    states: dict[int, StateLifetime] = field(default_factory=dict)  # by stop

    def add(self, step: Step, block: int) -> None:
        if (step.start, step.stop) not in self.spans:
            self.spans.append((step.start, step.stop))
        first = self.states[step.stop].first if step.stop in self.states else block
        self.states[step.stop] = StateLifetime(first, block, step.size)

    @property
    def epochs(self) -> float:
        """Epochs that are trained when nothing is in the store."""
        return union(self.spans) / self.epoch


class PlanTotals:
    """Sums over runs, in the order in which they start. A run that is added stands for a block of runs, one on each of
    `seeds` seeds.

    Seeds share no operation: the seed is in the key of every initialisation, and with it in the key of all that comes of
    it. So what is distinct among the runs of one seed is so among those of each, and sums are multiplied. That takes a
    method to ask for as much on one seed as on another. Memory grows with the distinct operations of what is added.
    """

    def __init__(self, seeds: int = 1):
        self.seeds = seeds
        self.methods: dict[str, MethodTotals] = {}
        self.trainings: dict[str, Training] = {}  # by trajectory
        self.values: dict[str, tuple[Step, Workload]] = {}  # other operations, by key
        self.chains: list[
            tuple[tuple[str, float], ...]
        ] = []  # of each block: operations, and epochs that come after them
        self._tensors: dict[str, int] = {}
        self._finals = 0

    def add(self, run: PlannedRun) -> None:
        sums = self.methods.setdefault(run.method.label, MethodTotals())
        sums.runs += self.seeds
        sums.asked += self.seeds * len(run.steps)
        sums.charged += self.seeds * Fraction(run.charge)
        sums.most += self.seeds * (Fraction(run.charge) if run.complete else _exact(run.most))
        sums.refused += self.seeds * (run.refused is not None)
        sums.open += self.seeds * (not run.complete)
        for step in run.steps:
            self._add(step, run.cell.workload)
        self._tensors |= run.tensors
        self._finals += run.final
        self.chains.append(tuple((step.operation, run.charge - step.charged) for step in run.steps))

    def _add(self, step: Step, workload: Workload) -> None:
        if not step.trajectory:
            self.values.setdefault(step.key, (step, workload))
            return
        if step.trajectory not in self.trainings:
            self.trainings[step.trajectory] = Training(workload, step.epoch)
        self.trainings[step.trajectory].add(step, len(self.chains))

    @property
    def count(self) -> int:
        """Runs."""
        return self.seeds * len(self.chains)

    @property
    def asked(self) -> int:
        """Operations that runs ask for."""
        return sum(sums.asked for sums in self.methods.values())

    @property
    def operations(self) -> int:
        """Distinct operations: what workers do when nothing is in the store. A trajectory is one, with all its stops."""
        return self.seeds * (len(self.trainings) + len(self.values))

    @property
    def charged(self) -> float:
        """Epochs charged to all runs."""
        return float(sum((sums.charged for sums in self.methods.values()), Fraction(0)))

    @property
    def computed(self) -> float:
        """Epochs that are trained when nothing is in the store: the union of all steps on each trajectory."""
        return float(sum(self._epochs().values(), Fraction(0)))

    @property
    def epochs(self) -> dict[Workload, float]:
        """The same by workload; what two of them share counts for the first."""
        return {workload: float(epochs) for workload, epochs in self._epochs().items()}

    def _epochs(self) -> dict[Workload, Fraction]:
        sums: dict[Workload, Fraction] = {}
        for training in self.trainings.values():
            sums[training.workload] = sums.get(training.workload, Fraction(0)) + self.seeds * Fraction(training.epochs)
        return sums

    @property
    def states(self) -> int:
        """Bytes of all states."""
        return self.seeds * sum(held.size for held in self._held())

    @property
    def stays(self) -> int:
        """Bytes that stay of the runs, whatever is kept of their networks, at most: masks, what was measured, records."""
        values = sum(step.size for step, _ in self.values.values())
        return self.seeds * (sum(self._tensors.values()) + values + TEXT * len(self.chains))

    @property
    def finals(self) -> int:
        """Bytes of the kept values of the networks that methods return, and of what those were trained from, at most."""
        return self.seeds * self._finals

    def peak(self, live: int = 8) -> int:
        """Bytes of the states that lie in the store at once when the runs go in their order, `live` of them at a time.

        On seed s, a state of the blocks first…last is there from run first·seeds + s to run last·seeds + s + live. Over
        the seeds that is a slope up and a slope down, so the sum is piecewise linear in the run: its corners are enough.
        """
        slopes: Counter[int] = Counter()  # bytes by which a run's successor has more, by the run where that changes
        for first, last, size in self._held():
            slopes[first * self.seeds] += size
            slopes[(first + 1) * self.seeds] -= size
            slopes[last * self.seeds + live + 1] -= size
            slopes[(last + 1) * self.seeds + live + 1] += size
        held = slope = before = peak = 0
        for corner in sorted({*slopes, self.count}):
            if corner > self.count:
                break
            held += slope * (corner - before)
            peak = max(peak, held)
            slope, before = slope + slopes[corner], corner
        return peak

    def _held(self) -> Iterable[StateLifetime]:
        return (held for training in self.trainings.values() for held in training.states.values())


def union(spans: Iterable[tuple[int, int]]) -> int:
    """How many steps lie in at least one of the spans."""
    steps = end = 0
    for start, stop in sorted(spans):
        steps += max(0, stop - max(start, end))
        end = max(end, stop)
    return steps


def _exact(number: float) -> Fraction | float:
    return number if number == float("inf") else Fraction(number)
