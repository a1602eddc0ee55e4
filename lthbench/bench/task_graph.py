"""The task graph of a suite: the operations that its runs request one after another, and their durations."""

import heapq
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from lthbench.runs.plan.totals import PlanTotals
from lthbench.suite.workload import Workload

EVALUATIONS = ("evaluate", "barrier")  # run beside the trainings


class Request(NamedTuple):
    """A request for an operation, given by its index, and the number of epochs that the run has left before it."""

    operation: int
    remainder: float


@dataclass(frozen=True)
class TaskGraph:
    """The operations of a suite and their durations.

    `chains` lists the requests of each run of one seed, in order; every seed has its own copy. `seconds` and `evaluates`
    are by operation: its duration, and whether it is an evaluation. `asking` is the seconds that the driver needs for
    each request.
    """

    chains: list[tuple[Request, ...]]
    seconds: list[float]
    evaluates: list[bool]
    seeds: int = 1
    asking: float = 0.0

    @classmethod
    def of(cls, totals: PlanTotals, epoch: Mapping[Workload, float], costs: "Costs", seeds: int) -> "TaskGraph":
        """Return the task graph of a plan on `seeds` seeds.

        `epoch` is the seconds of a slot for one epoch, by workload.
        """
        trainings = [epoch[t.workload] * t.epochs + costs.operation for t in totals.trainings.values()]
        values = [epoch[workload] * step.work + costs.operation for step, workload in totals.values.values()]
        index = {name: i for i, name in enumerate([*totals.trainings, *totals.values])}
        chains = [tuple(Request(index[name], rest) for name, rest in chain) for chain in totals.chains]
        evaluates = [False] * len(trainings) + [step.kind in EVALUATIONS for step, _ in totals.values.values()]
        return cls(chains, trainings + values, evaluates, seeds, costs.asking)

    @property
    def runs(self) -> int:
        return self.seeds * len(self.chains)

    @property
    def work(self) -> float:
        """Return the seconds of all trainings and probes, each counted once."""
        once = (s for s, evaluates in zip(self.seconds, self.evaluates, strict=True) if not evaluates)
        return self.seeds * sum(once)

    @property
    def critical_path(self) -> float:
        """Return the seconds that no number of devices can undercut.

        That is the end of the last run if all runs start at once and every operation starts as soon as it is requested.
        """
        ready = [(self.asking, run, 0) for run, chain in enumerate(self.chains) if chain]
        ended: dict[int, float] = {}
        last = 0.0
        while ready:  # in order of time, so that the first run to arrive asks first
            now, run, at = heapq.heappop(ready)
            operation = self.chains[run][at].operation
            end = max(now, ended.setdefault(operation, now + self.seconds[operation]))
            last = max(last, end)
            if at + 1 < len(self.chains[run]):
                heapq.heappush(ready, (end + self.asking, run, at + 1))
        return last


@dataclass(frozen=True)
class Costs:
    """Seconds beyond the training itself: `operation` for each operation of a worker, `asking` for each request to the driver.

    Measured on digits, two cores of an AMD EPYC (docs/log.md).
    """

    operation: float = 0.02
    asking: float = 0.004
