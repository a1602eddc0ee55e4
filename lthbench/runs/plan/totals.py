"""Totals of planned runs, without the runs themselves: operations, epochs, bytes."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from lthbench.runs.plan.planned_run import PlannedRun, Step
from lthbench.runs.store.policy import Keep
from lthbench.suite.workload import Workload

TEXT = 10_000  # bytes of a run's record, trace and notes, generously


@dataclass
class MethodTotals:
    """Totals of the runs of one method. `charged` are the planned epochs, `most` the epochs that the runs may spend."""

    runs: int = 0
    asked: int = 0
    charged: Fraction = Fraction(0)
    most: Fraction | float = Fraction(0)
    refused: int = 0
    open: int = 0  # not complete: they look at values


class StateLifetime(NamedTuple):
    """The first and the last block of runs that need a state, and its bytes."""

    first: int
    last: int
    size: int


@dataclass(slots=True)
class Training:
    """One trajectory: its trained steps, and the states that it leaves."""

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
        """Return the epochs that are trained when the store is empty."""
        return union(self.spans) / self.epoch


class PlanTotals:
    """Sums over runs, in the order in which they start. Each added run stands for one run a seed, look by look (`order`).

    Runs with different seeds share no operation, because the seed is in the key of every initialisation and of everything
    that is computed from it. The sums of one seed are therefore multiplied by the number of seeds. This assumes that a
    method asks for the same operations on every seed. Memory grows with the number of distinct operations added.
    """

    def __init__(self, looks: Sequence[int] = (1,)):
        self.seeds = max(looks)
        self._new = [end - first for first, end in pairwise((0, *looks))]  # seeds of each look
        self.methods: dict[str, MethodTotals] = {}
        self.trainings: dict[str, Training] = {}  # by trajectory
        self.values: dict[str, tuple[Step, Workload]] = {}  # other operations, by key
        self.chains: list[
            tuple[tuple[str, float], ...]
        ] = []  # of each block: operations, and the epochs after each of them
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
        """Return the number of runs."""
        return self.seeds * len(self.chains)

    @property
    def asked(self) -> int:
        """Return the number of operations that runs ask for."""
        return sum(sums.asked for sums in self.methods.values())

    @property
    def operations(self) -> int:
        """Return the number of distinct operations: those that workers do when the store is empty.

        A trajectory counts as one operation, with all its stops.
        """
        return self.seeds * (len(self.trainings) + len(self.values))

    @property
    def charged(self) -> float:
        """Return the epochs charged to all runs."""
        return float(sum((sums.charged for sums in self.methods.values()), Fraction(0)))

    @property
    def computed(self) -> float:
        """Return the epochs that are trained when the store is empty: the union of all steps on each trajectory."""
        return float(sum(self._epochs().values(), Fraction(0)))

    @property
    def epochs(self) -> dict[Workload, float]:
        """Return the computed epochs by workload. Epochs that two workloads share count for the first."""
        return {workload: float(epochs) for workload, epochs in self._epochs().items()}

    def _epochs(self) -> dict[Workload, Fraction]:
        sums: dict[Workload, Fraction] = {}
        for training in self.trainings.values():
            sums[training.workload] = sums.get(training.workload, Fraction(0)) + self.seeds * Fraction(training.epochs)
        return sums

    @property
    def states(self) -> int:
        """Return the bytes of all states."""
        return self.seeds * sum(held.size for held in self._held())

    @property
    def stays(self) -> int:
        """Return the most bytes that stay under every `--keep` policy: masks, measured values, records."""
        values = sum(step.size for step, _ in self.values.values())
        return self.seeds * (sum(self._tensors.values()) + values + TEXT * len(self.chains))

    @property
    def finals(self) -> int:
        """Return the most bytes of the kept values of the returned networks, and of their start weights."""
        return self.seeds * self._finals

    def room(self, live: int, keep: Keep) -> int:
        """Return the most bytes at once under a `--keep` policy, while `live` runs go on at a time."""
        return self.kept(keep) + (0 if keep == "all" else self.peak(live))

    def kept(self, keep: Keep) -> int:
        """Return the most bytes that stay under a `--keep` policy."""
        return self.stays + (self.states if keep == "all" else self.finals if keep == "finals" else 0)

    def peak(self, live: int = 8) -> int:
        """Return the most bytes of states that lie in the store at once when `live` runs go on at a time, in order.

        On seed s of a look of n seeds, a state of the blocks first…last exists from the look's run first·n + s to its run
        last·n + s + live. Over all seeds that is a slope up and a slope down, so the sum is piecewise linear in the run.
        Its maximum is at a corner.
        """
        slopes: Counter[int] = Counter()  # change of the slope (bytes a run), by run
        begun = 0  # runs of earlier looks
        for seeds in self._new:
            for first, last, size in self._held():
                slopes[begun + first * seeds] += size
                slopes[begun + (first + 1) * seeds] -= size
                slopes[begun + last * seeds + live + 1] -= size
                slopes[begun + (last + 1) * seeds + live + 1] += size
            begun += seeds * len(self.chains)
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
    """Count the steps that lie in at least one of the spans."""
    steps = end = 0
    for start, stop in sorted(spans):
        steps += max(0, stop - max(start, end))
        end = max(end, stop)
    return steps


def _exact(number: float) -> Fraction | float:
    return number if number == float("inf") else Fraction(number)
