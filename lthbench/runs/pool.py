"""A pool of worker processes that take operations from one queue."""

import logging
import multiprocessing
import queue
import threading
from concurrent.futures import Future
from itertools import count
from typing import Any

from lthbench.errors import LthbenchError
from lthbench.runs.operations import Operation
from lthbench.runs.place import Place
from lthbench.runs.process import Process
from lthbench.runs.worker import Reply

log = logging.getLogger(__name__)

TRIES = 3


class WorkerDied(LthbenchError):
    """A worker process ended in the middle of an operation."""


class Seat:
    """What the threads that feed one process share."""

    def __init__(self) -> None:
        self.process: Process | None = None
        self.lock = threading.Lock()


class Pool:
    """`size` processes, on the devices of the place in turn, fed with the longest remainder first.

    They start on the first operation. What was in flight in a process that died is tried again; where others were in flight
    beside it, in a process of its own, so that the one that kills its process takes no other with it.
    """

    def __init__(self, place: Place, size: int, splits: frozenset[str], start: str = "spawn"):
        self.place, self.size, self.splits = place, size, splits
        self._context = multiprocessing.get_context(start)
        self._queue: queue.PriorityQueue[tuple[float, int, Any]] = queue.PriorityQueue()
        self._order = count()
        self._seats = [Seat() for _ in range(size)]
        self._threads: list[threading.Thread] = []  # one for each operation that may be in flight
        self._processes: set[Process] = set()
        self._apart = threading.Lock()
        self._closing = False

    def submit(self, operation: Operation, remainder: float) -> "Future[Reply]":
        future: Future[Reply] = Future()
        if self._closing:
            future.set_exception(WorkerDied("the executor was closed"))
            return future
        self._queue.put((-remainder, next(self._order), (operation, future)))
        if len(self._threads) < self.size * self.place.slots:
            seat = self._seats[len(self._threads) % self.size]
            thread = threading.Thread(target=self._serve, args=(seat,), daemon=True)
            self._threads.append(thread)
            thread.start()
        return future

    def close(self) -> None:
        """End the processes, whatever they do. What is not done yet fails."""
        self._closing = True
        while not self._queue.empty():
            if item := self._queue.get()[2]:
                item[1].set_exception(WorkerDied("the executor was closed"))
        for _ in self._threads:
            self._queue.put((float("-inf"), next(self._order), None))
        for process in list(self._processes):
            process.end()
        for thread in self._threads:
            thread.join(10)

    def _serve(self, seat: Seat) -> None:
        """Hand one operation after another to the process of a seat."""
        while (item := self._queue.get()[2]) is not None and not self._closing:
            operation, future = item
            for attempt in range(1, TRIES + 1):
                try:
                    future.set_result(self._ask(seat, operation, again=attempt > 1))
                    break
                except (EOFError, OSError) as error:
                    if self._closing:
                        future.set_exception(WorkerDied("the executor was closed"))
                        return
                    log.warning("a worker died in %s (try %d of %d)", type(operation).__name__, attempt, TRIES)
                    if attempt == TRIES:
                        future.set_exception(WorkerDied(f"the worker died {TRIES} times in this operation ({error!r})"))
                except Exception as error:
                    if isinstance(error, LthbenchError) or attempt == TRIES:
                        future.set_exception(error)
                        break

    def _ask(self, seat: Seat, operation: Operation, again: bool) -> Reply:
        if again and self.place.slots > 1:
            with self._apart:
                process = self._start()
                try:
                    return process.ask(operation)
                finally:
                    self._processes.discard(process)
                    process.end()
        with seat.lock:
            if seat.process is None or seat.process.dead:
                self._processes -= {seat.process}
                seat.process = self._start()
        return seat.process.ask(operation)

    def _start(self) -> Process:
        """A process on the device that has the fewest."""
        busy = [process.place for process in self._processes]
        process = Process(self._context, min(self.place.each(), key=busy.count), self.splits)
        self._processes.add(process)
        return process
