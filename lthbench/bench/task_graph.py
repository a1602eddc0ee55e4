"""The load of a suite: what its runs ask for one after another, and how long each of it takes."""

import heapq
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from lthbench.runs.plan.totals import PlanTotals
from lthbench.suite import Workload

JUDGED = ("evaluate", "barrier")  # done beside the trainings


class Request(NamedTuple):
    """An operation that a run asks for, by its index, and how many epochs the run has before it then."""

    operation: int
    remainder: float


@dataclass(frozen=True)
class TaskGraph:
    """`chains`: what each run of one seed asks for, in order; every seed has the same, of its own. `seconds` and `judged`
    by operation: how long it takes, and whether it is an evaluation. `asking`: seconds of the driver for each ask."""

    chains: list[tuple[Request, ...]]
    seconds: list[float]
    judged: list[bool]
    seeds: int = 1
    asking: float = 0.0

    @classmethod
    def of(cls, totals: PlanTotals, epoch: Mapping[Workload, float], costs: "Costs", seeds: int) -> "TaskGraph":
        """The runs of a tally on `seeds` seeds. `epoch`: seconds of a slot for one epoch, by workload."""
        trainings = [epoch[t.workload] * t.epochs + costs.operation for t in totals.trainings.values()]
        values = [epoch[workload] * step.work + costs.operation for step, workload in totals.values.values()]
        index = {name: i for i, name in enumerate([*totals.trainings, *totals.values])}
        chains = [tuple(Request(index[name], rest) for name, rest in chain) for chain in totals.chains]
        judged = [False] * len(trainings) + [step.kind in JUDGED for step, _ in totals.values.values()]
        return cls(chains, trainings + values, judged, seeds, costs.asking)

    @property
    def runs(self) -> int:
        return self.seeds * len(self.chains)

    @property
    def work(self) -> float:
        """Seconds of all trainings and probes, each once."""
        once = (s for s, judged in zip(self.seconds, self.judged, strict=True) if not judged)
        return self.seeds * sum(once)

    @property
    def critical_path(self) -> float:
        """Seconds that no number of devices goes below: when the last run would end if every operation started as soon
        as it is asked for, all runs starting at once."""
        ready = [(self.asking, run, 0) for run, chain in enumerate(self.chains) if chain]
        ended: dict[int, float] = {}
        last = 0.0
        while ready:  # in the order of time, so that the first to come asks for an operation first
            now, run, at = heapq.heappop(ready)
            operation = self.chains[run][at].operation
            end = max(now, ended.setdefault(operation, now + self.seconds[operation]))
            last = max(last, end)
            if at + 1 < len(self.chains[run]):
                heapq.heappush(ready, (end + self.asking, run, at + 1))
        return last


@dataclass(frozen=True)
class Costs:
    """Seconds beside the training itself: of a worker for each operation, of the driver for each that a run asks for.

    Measured on digits, two cores of an AMD EPYC (LOG.md).
    """

    operation: float = 0.02
    asking: float = 0.004
