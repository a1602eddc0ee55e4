"""The forecast of a suite: its hours on N devices, the devices that meet a deadline, and the devices that stay busy.

Seconds per epoch come from measurements, all else from a simulation of the schedule. A large suite is simulated on some
of its seeds, and its hours are scaled up. The hours are then an upper bound, and the number of busy devices a lower
bound.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from lthbench.bench.estimate import Estimate
from lthbench.bench.simulation import BUSY, Fleet, Schedule, most, simulated
from lthbench.bench.task_graph import Costs, TaskGraph
from lthbench.runs.plan.totals import PlanTotals
from lthbench.suite.workload import Workload

SAMPLE = 10_000  # the largest number of runs to simulate


@dataclass
class Forecast:
    """The task graph of some seeds, on a fleet of any number of devices. The suite has `scale` times as many seeds."""

    graph: TaskGraph
    fleet: Fleet
    scale: float
    _known: dict[int, Schedule] = field(default_factory=dict)

    @classmethod
    def made(cls, totals: PlanTotals, estimates: Mapping[Workload, Estimate], fleet: Fleet) -> "Forecast | None":
        """Return the forecast of a plan on a fleet. None if a workload has no estimate.

        Each device of the fleet gets the number of slots at which its trainings are fastest.
        """
        if any(e.epoch is None for e in estimates.values()):
            return None
        epoch = {workload: e.epoch for workload, e in estimates.items() if e.epoch is not None}
        return cls.of(totals, epoch, replace(fleet, slots=max(e.lanes for e in estimates.values())))

    @classmethod
    def of(cls, totals: PlanTotals, epoch: Mapping[Workload, float], fleet: Fleet) -> "Forecast":
        """Return the forecast for the given seconds per epoch.

        `epoch` is the seconds that a device with all slots busy needs for an epoch, by workload.
        """
        seeds = min(totals.seeds, max(1, SAMPLE // max(1, len(totals.chains))))
        slot = {workload: seconds * fleet.slots for workload, seconds in epoch.items()}
        return cls(TaskGraph.of(totals, slot, Costs(), seeds), fleet, totals.seeds / seeds)

    def schedule(self, devices: int) -> Schedule:
        if devices not in self._known:
            self._known[devices] = simulated(self.graph, replace(self.fleet, devices=devices))
        return self._known[devices]

    def hours(self, devices: int) -> float:
        """Return the hours until the last run has ended."""
        return self.schedule(devices).seconds * self.scale / 3600

    def device_hours(self, devices: int) -> float:
        """Return the hours for which devices are held, busy or not."""
        return self.schedule(devices).there / self.fleet.slots * self.scale / 3600

    def needed(self, deadline: float) -> int | None:
        """Return the smallest number of devices that finish within `deadline` hours. None if no number does."""
        devices = 1 + most(lambda n: self.hours(n) > deadline, self.graph.runs)
        return devices if devices <= self.graph.runs else None

    @property
    def usable(self) -> int:
        """Return the largest number of devices with a utilisation of at least BUSY, by doubling and halving.

        It is at least 1.
        """
        return max(1, most(lambda n: self.schedule(n).utilisation >= BUSY, self.graph.runs))

    @property
    def table(self) -> list[tuple[int, float, float]]:
        """Return devices, hours and utilisation for 1, 2, 4, … devices, up to twice the usable number."""
        counts = [1 << k for k in range(self.usable.bit_length() + 1)]
        return [(n, self.hours(n), self.schedule(n).utilisation) for n in counts]
