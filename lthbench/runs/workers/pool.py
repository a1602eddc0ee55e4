"""A pool of workers, on this machine or on a cluster, that take operations from one queue."""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Protocol

from lthbench.errors import LthbenchError
from lthbench.methods.internals.operations import Operation
from lthbench.runs.workers.queue import Queue, Waiting
from lthbench.runs.workers.worker import Reply

log = logging.getLogger(__name__)

TRIES = 3
PAUSE = 1.0  # seconds before a worker that did not start is started again
LEAVE = 10.0  # seconds that threads have to come to an end


class WorkerDied(LthbenchError):
    """A worker was lost in the middle of an operation."""


CLOSED = WorkerDied("the executor was closed")


class Lost(Exception):
    """A worker is gone, or has to go, and why. What it had in hand is not done."""


class Handle(Protocol):
    """A worker that has been started, as its pool sees it."""

    dead: bool

    def ask(self, operation: Operation) -> Reply:
        """Have an operation done, and wait for it. Raises what the worker raised, or Lost."""

    def near(self, operation: Operation) -> bool:
        """Whether what an operation starts from lies where this worker is, and nowhere else."""

    def end(self) -> None:
        """End it, whatever it does."""


class Seat:
    """What the threads that feed one worker share."""

    def __init__(self) -> None:
        self.worker: Handle | None = None
        self.lock = threading.Lock()


class Pool:
    """`size` workers that `start` starts, each of which takes `slots` operations at once.

    They start on the first operation. What a lost worker had in hand is tried again; where others were in hand beside it, by
    a worker of its own, so that the one that kills its worker takes no other with it.
    """

    def __init__(self, start: Callable[[list[Handle]], Handle], size: int, slots: int = 1):
        self.size, self.slots = size, slots
        self._start = start
        self._queue = Queue()
        self._why: LthbenchError = CLOSED
        self._seats: list[Seat] = []
        self._threads: list[threading.Thread] = []  # one for each operation that may be in hand
        self._workers: list[Handle] = []
        self._growing, self._apart = threading.Lock(), threading.Lock()

    def submit(self, operation: Operation, remainder: float) -> "Future[Reply]":
        one = Waiting(operation, remainder)
        if self._queue.closed:
            one.future.set_exception(self._why)
            return one.future
        self._queue.put(one)
        self._grow()
        return one.future

    def resize(self, size: int) -> None:
        """From now on so many workers. Those that are there stay."""
        self.size = size
        for _ in range(len(self._queue)):
            self._grow()

    def close(self, why: LthbenchError = CLOSED) -> None:
        """End the workers, whatever they do. What is not done yet fails, and says why."""
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
        """One more thread, where there is room for one."""
        with self._growing:
            if self._queue.closed or len(self._threads) >= self.size * self.slots:
                return
            if len(self._seats) < self.size:
                self._seats.append(Seat())
            seat = self._seats[len(self._threads) % self.size]
            thread = threading.Thread(target=self._serve, args=(seat,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def _serve(self, seat: Seat) -> None:
        """Hand one operation after another to the worker of a seat, which stands before it gets one."""
        while self._queue.wait():
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
        alone = one.lost and self.slots > 1
        try:
            one.future.set_result(self._ask_apart(one.operation) if alone else worker.ask(one.operation))
        except Lost as error:
            self._again(one, error)
        except Exception as error:
            one.future.set_exception(error)

    def _again(self, one: Waiting, error: Lost) -> None:
        """What became of an operation whose worker was lost."""
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
        except OSError as error:  # no memory for a process, no files left
            raise Lost(f"{error}") from None
        self._workers.append(worker)
        return worker
