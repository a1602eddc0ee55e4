"""A pool of workers, on this machine or on a cluster, that take operations from one queue."""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Protocol

from lthbench.errors import LthbenchError, MethodError
from lthbench.methods.internals.operations import Operation
from lthbench.runs.workers.queue import Queue, Waiting
from lthbench.runs.workers.worker import Lost, Reply, Retired

log = logging.getLogger(__name__)

TRIES = 3
PAUSE = 1.0  # seconds before a worker that did not start is started again
LEAVE = 10.0  # seconds that threads have to come to an end


class WorkerDied(LthbenchError):
    """The error that a worker was lost in the middle of an operation."""


CLOSED = WorkerDied("the executor was closed")


class Handle(Protocol):
    """A worker that has been started, as its pool sees it."""

    dead: bool

    def ask(self, operation: Operation, alone: bool = False) -> Reply:
        """Have an operation done, with `alone` beside no training, and wait for it. Raises its exception, or Lost."""

    def near(self, operation: Operation) -> bool:
        """Say whether the entries that an operation starts from lie with this worker, and nowhere else."""

    def end(self) -> None:
        """End the worker, even in the middle of an operation."""


class Seat:
    """The state shared by the threads that feed one worker."""

    def __init__(self) -> None:
        self.worker: Handle | None = None
        self.lock = threading.Lock()
        self.threads = 0


class Pool:
    """A pool of `size` workers. The function `start` starts them, and each takes `slots` operations at once.

    Workers start on the first operation. An operation whose worker was lost is tried again. If that worker had other
    operations too, the retry gets its own worker, so that an operation that kills its worker fails no other.
    """

    def __init__(self, start: Callable[[list[Handle]], Handle], size: int, slots: int = 1):
        self.size, self.slots = size, slots
        self._lanes = slots  # operations that a worker gets at once
        self._start = start
        self._queue = Queue()
        self._why: LthbenchError = CLOSED
        self._seats: list[Seat] = []
        self._threads: list[threading.Thread] = []  # one for each operation that may be taken
        self._workers: list[Handle] = []
        self._growing, self._apart = threading.Lock(), threading.Lock()

    def submit(self, operation: Operation, remainder: float) -> "Future[Reply]":
        one = Waiting(operation, remainder)
        if kind := _defined_in_main(operation):
            one.future.set_exception(
                MethodError(
                    f"{kind} is defined in the script or notebook that runs the suite, where no "
                    "worker can find it; write it in a .py file and import it"
                )
            )
            return one.future
        if self._queue.closed:
            one.future.set_exception(self._why)
            return one.future
        self._queue.put(one)
        self._grow()
        return one.future

    def resize(self, size: int) -> None:
        """Change the number of workers. Present workers stay."""
        self.size = size
        for _ in range(len(self._queue)):
            self._grow()

    def close(self, why: LthbenchError = CLOSED) -> None:
        """End the workers, even in the middle of an operation. Operations that are not done fail with the given reason."""
        if not self._queue.closed:
            self._why = why
        for one in self._queue.close():
            one.future.set_exception(self._why)
        for worker in list(self._workers):
            worker.end()
        end = time.monotonic() + LEAVE
        for thread in list(self._threads):
            thread.join(max(0.0, end - time.monotonic()))

    def _grow(self) -> None:
        """Start one more thread, for the seat with the fewest, unless all slots have one."""
        with self._growing:
            if self._queue.closed or len(self._threads) >= self.size * self.slots:
                return
            if len(self._seats) < self.size:
                self._seats.append(Seat())
            seat = min(self._seats, key=lambda seat: seat.threads)
            thread = threading.Thread(target=self._serve, args=(seat, seat.threads), daemon=True)
            seat.threads += 1
            thread.start()
            self._threads.append(thread)

    def _serve(self, seat: Seat, lane: int) -> None:
        """Hand one operation after another to the worker of a seat. The worker is started before it gets the first."""
        while self._queue.wait() and lane < self._lanes:
            try:
                worker = self._seated(seat)
            except Lost as error:
                if not self._queue.closed:
                    log.warning("a worker does not start: %s", error)
                    time.sleep(PAUSE)
                continue
            if one := self._queue.take(worker.near):
                self._hand(worker, one)

    def _hand(self, worker: Handle, one: Waiting) -> None:
        apart = one.lost and self.slots > 1
        try:
            one.future.set_result(self._ask_apart(one.operation) if apart else worker.ask(one.operation, one.alone))
        except Retired as error:
            self._elsewhere(one, error)
        except Lost as error:
            self._again(one, error)
        except Exception as error:
            one.future.set_exception(error)

    def _elsewhere(self, one: Waiting, error: Retired) -> None:
        """Give an operation to another worker than the one that has retired."""
        if self._queue.closed:
            one.future.set_exception(self._why)
            return
        if error.alone:
            one.alone = True
            self._lessen(max(1, error.beside), str(error))
        self._queue.put(one)

    def _lessen(self, lanes: int, why: str) -> None:
        """Give every worker at most this number of operations at once from now on."""
        if lanes < self._lanes:
            log.warning("%s for %d operations at once: at most %d from now on", why, self._lanes, lanes)
            self._lanes = lanes

    def _again(self, one: Waiting, error: Lost) -> None:
        """Retry an operation whose worker was lost, or fail it after several tries."""
        one.lost += 1
        if self._queue.closed:
            one.future.set_exception(self._why)
            return
        log.warning("a worker died in %s (try %d of %d): %s", type(one.operation).__name__, one.lost, TRIES, error)
        if one.lost == TRIES:
            one.future.set_exception(WorkerDied(f"the worker died {TRIES} times in this operation: {error}"))
        else:
            self._queue.put(one)

    def _ask_apart(self, operation: Operation) -> Reply:
        with self._apart:
            worker = self._started()
            try:
                return worker.ask(operation)
            finally:
                worker.end()
                self._workers.remove(worker)

    def _seated(self, seat: Seat) -> Handle:
        with seat.lock:
            if seat.worker is None or seat.worker.dead:
                with suppress(ValueError):
                    self._workers.remove(seat.worker)  # type: ignore[arg-type]
                seat.worker = self._started()
            return seat.worker

    def _started(self) -> Handle:
        if self._queue.closed:
            raise Lost("the executor was closed")
        try:
            worker = self._start(self._workers)
        except OSError as error:  # no memory for a process, or too many open files
            raise Lost(f"{error}") from None
        self._workers.append(worker)
        return worker


def _defined_in_main(operation: Operation) -> str:
    """Return the name of an operation's rule or probe class if the main module defines it, else ""."""
    trajectory = getattr(operation, "trajectory", None)
    thing = trajectory.rule if trajectory else getattr(operation, "probe", None)
    return next((kind.__name__ for kind in type(thing).__mro__ if kind.__module__ == "__main__"), "")
