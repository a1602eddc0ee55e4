"""A forecast of a suite: hours on so many devices, how many a deadline takes, how many can be put to use.

Seconds of an epoch come from what a bench measured, the rest from a simulation of the schedule. Large suites are
simulated on some of their seeds: hours are then scaled up, and are at most that; devices that find work are at least that.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from lthbench.bench.estimate import Estimate
from lthbench.bench.simulation import BUSY, Fleet, Schedule, most, simulated
from lthbench.bench.task_graph import Costs, TaskGraph
from lthbench.runs.plan.totals import PlanTotals
from lthbench.suite import Workload

SAMPLE = 10_000  # runs that are simulated


@dataclass
class Forecast:
    """A load on so many seeds, of `scale` times as many, on a fleet of as many devices as asked for."""

    graph: TaskGraph
    fleet: Fleet
    scale: float
    _known: dict[int, Schedule] = field(default_factory=dict)

    @classmethod
    def made(cls, totals: PlanTotals, estimates: Mapping[Workload, Estimate], fleet: Fleet) -> "Forecast | None":
        """None where a workload has no estimate. A device of the `fleet` has as many slots as go best side by side."""
        if any(e.epoch is None for e in estimates.values()):
            return None
        epoch = {workload: e.epoch for workload, e in estimates.items() if e.epoch is not None}
        return cls.of(totals, epoch, replace(fleet, slots=max(e.lanes for e in estimates.values())))

    @classmethod
    def of(cls, totals: PlanTotals, epoch: Mapping[Workload, float], fleet: Fleet) -> "Forecast":
        """`epoch`: seconds of a device for an epoch, when all its slots are taken, by workload."""
        seeds = min(totals.seeds, max(1, SAMPLE // max(1, len(totals.chains))))
        slot = {workload: seconds * fleet.slots for workload, seconds in epoch.items()}
        return cls(TaskGraph.of(totals, slot, Costs(), seeds), fleet, totals.seeds / seeds)

    def schedule(self, devices: int) -> Schedule:
        if devices not in self._known:
            self._known[devices] = simulated(self.graph, replace(self.fleet, devices=devices))
        return self._known[devices]

    def hours(self, devices: int) -> float:
        """Until the last run has ended."""
        return self.schedule(devices).seconds * self.scale / 3600

    def device_hours(self, devices: int) -> float:
        """For which devices are there, whether they have work or not."""
        return self.schedule(devices).there / self.fleet.slots * self.scale / 3600

    def needed(self, deadline: float) -> int | None:
        """The fewest devices that are done in so many hours; None where no number is."""
        devices = 1 + most(lambda n: self.hours(n) > deadline, self.graph.runs)
        return devices if devices <= self.graph.runs else None

    @property
    def usable(self) -> int:
        """The most devices of which a share BUSY of the time is used, by doubling and halving; at least one."""
        return max(1, most(lambda n: self.schedule(n).utilisation >= BUSY, self.graph.runs))

    @property
    def table(self) -> list[tuple[int, float, float]]:
        """Devices, hours and utilisation: for 1, 2, 4, … as far as twice those that can be used."""
        counts = [1 << k for k in range(self.usable.bit_length() + 1)]
        return [(n, self.hours(n), self.schedule(n).utilisation) for n in counts]
