"""Simulation of a suite's schedule: list scheduling as the driver does it.

Runs start in order, LIVE at a time for each slot. A run asks for one operation after another, and waits for an
operation that another run has already asked for. The driver serves one run at a time. A free slot takes, of the
operations asked for, the one whose run has the most epochs left. Evaluations have processes of their own: one for every
TRAINERS devices at the start.
"""

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count, islice
from random import Random
from typing import Any

from lthbench.bench.task_graph import TaskGraph
from lthbench.runs.driver.driver import LIVE
from lthbench.runs.workers.executors import TRAINERS
from lthbench.runs.workers.pool import TRIES

BUSY = 0.8  # the least utilisation of a device that counts as busy


@dataclass(frozen=True)
class Fleet:
    """The devices of a simulation.

    There are `devices` of them with `slots` operations at once each, and one more joins at each time in `joins`, in
    seconds after the start. A share `slow` of them takes `factor` times as long. An operation fails with `failures` per
    hour of work, and is tried again. Random draws come from `seed`.
    """

    devices: int
    slots: int = 1
    joins: tuple[float, ...] = ()
    slow: float = 0.0
    factor: float = 2.0
    failures: float = 0.0
    seed: int = 0

    @property
    def arrivals(self) -> list[float]:
        """Return the time at which each device joins, in seconds."""
        return [0.0] * self.devices + sorted(self.joins)

    @property
    def most(self) -> int:
        """Return the number of slots when all devices have joined."""
        return self.slots * (self.devices + len(self.joins))


@dataclass(frozen=True)
class Schedule:
    """The result of a simulation.

    `seconds` until the last run has ended, `busy` seconds of all slots, `there` seconds for which slots were held, the
    operations `done`, the `attempts` at trainings and probes, and the runs `lost` to failures.
    """

    seconds: float
    busy: float
    there: float
    done: int
    attempts: int
    lost: int

    @property
    def utilisation(self) -> float:
        return self.busy / self.there if self.there else 0.0


class Simulation:
    """The state of one simulation, which `run` carries out."""

    def __init__(self, graph: TaskGraph, fleet: Fleet, live: int = LIVE):
        self.graph, self.fleet, self.live = graph, fleet, live
        self._random = Random(fleet.seed)
        self._now, self._last, self._order = 0.0, 0.0, count()
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._later = iter(range(graph.runs))
        self._at = [0] * graph.runs  # the position of each run in its chain
        self._waiting: dict[tuple[int, int], list[int]] = {}  # the first run asked for it
        self._done: set[tuple[int, int]] = set()
        self._queue: list[tuple[float, int, tuple[int, int]]] = []
        self._idle: deque[float] = deque()  # free slots, as factors of slowness
        self._driver = 0.0  # the time at which the driver is free
        self._evaluators = [0.0] * -(-fleet.devices // TRAINERS)
        self._busy, self._attempts, self._lost = 0.0, 0, 0

    def run(self) -> Schedule:
        for arrival in self.fleet.arrivals:
            pace = self.fleet.factor if self._random.random() < self.fleet.slow else 1.0
            self._push(arrival, self._join, pace)
        while self._events:
            self._now, _, happen, what = heapq.heappop(self._events)
            happen(*what)
        there = self.fleet.slots * sum(max(0.0, self._last - arrival) for arrival in self.fleet.arrivals)
        return Schedule(self._last, self._busy, there, len(self._done), self._attempts, self._lost)

    def _push(self, at: float, happen: Callable[..., None], *what: Any) -> None:
        heapq.heappush(self._events, (at, next(self._order), happen, what))

    def _join(self, pace: float) -> None:
        """Add a device, and start the runs that it allows."""
        self._idle.extend([pace] * self.fleet.slots)
        self._start(self.live * self.fleet.slots)
        self._feed()

    def _start(self, runs: int = 1) -> None:
        """Start the next runs that ask for anything."""
        for run in islice(filter(self._chain, self._later), runs):
            self._turn(run)

    def _turn(self, run: int) -> None:
        """Continue a run when the driver comes to it, or end it."""
        if self._at[run] == len(self._chain(run)):
            self._last = self._now
            self._start()
            return
        self._driver = max(self._now, self._driver) + self.graph.asking
        self._push(self._driver, self._ask, run)

    def _ask(self, run: int) -> None:
        ask = self._chain(run)[self._at[run]]
        operation = (ask.operation, run % self.graph.seeds)
        if operation in self._done:
            self._go_on(run)
        elif operation in self._waiting:
            self._waiting[operation].append(run)
        else:
            self._waiting[operation] = [run]
            self._submit(operation, ask.remainder)

    def _submit(self, operation: tuple[int, int], remainder: float) -> None:
        if self.graph.evaluates[operation[0]]:
            start = max(self._now, heapq.heappop(self._evaluators))
            end = start + self.graph.seconds[operation[0]]
            heapq.heappush(self._evaluators, end)
            self._push(end, self._end, operation)
        else:
            heapq.heappush(self._queue, (-remainder, next(self._order), operation))
            self._feed()

    def _feed(self) -> None:
        """Give free slots the operations asked for."""
        while self._queue and self._idle:
            operation, pace = heapq.heappop(self._queue)[2], self._idle.popleft()
            taken, whole = self._tried(pace * self.graph.seconds[operation[0]])
            self._busy += taken
            self._push(self._now + taken, self._free, pace, operation, whole)

    def _tried(self, seconds: float) -> tuple[float, bool]:
        """Return the seconds for which an operation occupies a slot, and whether one of its attempts succeeded."""
        taken = 0.0
        for _ in range(TRIES):
            self._attempts += 1
            lasts = self._random.expovariate(self.fleet.failures / 3600) if self.fleet.failures else seconds
            if lasts >= seconds:
                return taken + seconds, True
            taken += lasts
        return taken, False

    def _free(self, pace: float, operation: tuple[int, int], whole: bool) -> None:
        self._idle.append(pace)
        (self._end if whole else self._give_up)(operation)
        self._feed()

    def _end(self, operation: tuple[int, int]) -> None:
        self._done.add(operation)
        for run in self._waiting.pop(operation):
            self._go_on(run)

    def _go_on(self, run: int) -> None:
        self._at[run] += 1
        self._turn(run)

    def _give_up(self, operation: tuple[int, int]) -> None:
        """Drop the run that asked for an operation. The next run that waits for it asks again."""
        lost, *others = self._waiting.pop(operation)
        self._lost += 1
        self._at[lost] = len(self._chain(lost))
        for run in (lost, *others):
            self._turn(run)

    def _chain(self, run: int) -> Any:
        return self.graph.chains[run // self.graph.seeds]


def simulated(graph: TaskGraph, fleet: Fleet) -> Schedule:
    """Return the schedule of a task graph on a fleet."""
    return Simulation(graph, fleet).run()


def most(holds: Callable[[int], bool], limit: int) -> int:
    """Return the largest number up to `limit` for which `holds`, or 0 if it fails at 1.

    The search doubles from 1 until it fails, then halves the interval. It is exact if `holds` is true up to some number
    and false above it.
    """
    low, high = 0, 1
    while high <= limit and holds(high):
        low, high = high, 2 * high
    high = min(high, limit + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
