"""Executors: where operations are done. All run the same worker function, so all give the same results.

`serial` works in this process, `local` in processes of its own, one thread each. Under both, evaluation has a process of
its own, the only one that may read test data. A worker ends when its driver does; the death of one fails one operation,
which is tried again.
"""

import logging
import multiprocessing
import os
import pickle
import queue
import threading
import traceback
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import count
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Protocol

import torch

from lthbench import registry
from lthbench.data import DataHome
from lthbench.errors import LthbenchError, MethodError, MissingEntry
from lthbench.runs.operations import Judgement, Operation
from lthbench.runs.store import Store
from lthbench.runs.worker import Reply, Worker
from lthbench.training import numerics

log = logging.getLogger(__name__)

TRIES = 3


@dataclass(frozen=True)
class Place:
    """What a worker process needs to start: the store's folder, the data's folder, the device."""

    store: Path
    data: Path
    device: str

    def worker(self, splits: frozenset[str]) -> Worker:
        """A worker in this process, after setting up its numerics."""
        device = torch.device(self.device)
        numerics.set_up(device)
        store = Store(self.store, numerics.build_key(device))
        return Worker(store, DataHome(self.data, splits), device)


class WorkerDied(LthbenchError):
    """A worker process ended in the middle of an operation."""


class Pool:
    """Processes that take operations from one queue, the longest remainder first. They start on the first operation."""

    def __init__(self, place: Place, size: int, splits: frozenset[str], start: str = "spawn"):
        self.place, self.size, self.splits = place, size, splits
        self._context = multiprocessing.get_context(start)
        self._queue: queue.PriorityQueue[tuple[float, int, Any]] = queue.PriorityQueue()
        self._order = count()
        self._threads: list[threading.Thread] = []
        self._processes: set[BaseProcess] = set()
        self._closing = False

    def submit(self, operation: Operation, remainder: float) -> "Future[Reply]":
        future: Future[Reply] = Future()
        if self._closing:
            future.set_exception(WorkerDied("the executor was closed"))
            return future
        self._queue.put((-remainder, next(self._order), (operation, future)))
        if len(self._threads) < self.size:
            thread = threading.Thread(target=self._serve, daemon=True)
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
            process.kill()
        for thread in self._threads:
            thread.join(10)

    def _serve(self) -> None:
        """Feed one process, and start another one when it dies."""
        worker: _Process | None = None
        while (item := self._queue.get()[2]) is not None and not self._closing:
            operation, future = item
            for attempt in range(1, TRIES + 1):
                try:
                    worker = worker or self._start()
                    future.set_result(worker.ask(operation))
                    break
                except (EOFError, OSError) as error:
                    self._processes -= {worker.process} if worker else set()
                    worker = None
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
        if worker:
            worker.ask_to_end()

    def _start(self) -> "_Process":
        with _starting:
            here, there = self._context.Pipe()
            lifeline_read, lifeline = self._context.Pipe(duplex=False)
            ends = (there, lifeline_read, self.place, self.splits, (here, lifeline))
            process = self._context.Process(target=_main, args=ends, daemon=True)  # type: ignore[attr-defined]
            process.start()
            there.close()
            lifeline_read.close()
        self._processes.add(process)
        return _Process(process, here, lifeline)


_starting = threading.Lock()  # a process that is forked meanwhile would hold the ends of another one's pipes


@dataclass
class _Process:
    process: BaseProcess
    connection: Connection
    lifeline: Connection  # held open by the driver alone: when it closes, the worker ends

    def ask(self, operation: Operation) -> Reply:
        self.connection.send_bytes(pickled(operation))
        reply = self.connection.recv()
        if isinstance(reply, BaseException):
            raise reply
        return reply

    def ask_to_end(self) -> None:
        self.lifeline.close()
        self.process.join(10)


@dataclass
class SerialExecutor:
    """Operations in this process, one at a time, when they are submitted; a debugger works. Evaluation apart."""

    place: Place
    start: str = "spawn"
    workers: int = 1
    _evaluators: Pool = field(init=False)
    _worker: Worker | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._evaluators = Pool(self.place, 1, frozenset({"train", "test"}), self.start)

    def submit(self, operation: Operation, remainder: float = 0.0) -> "Future[Reply]":
        if isinstance(operation, Judgement):
            return self._evaluators.submit(operation, remainder)
        future: Future[Reply] = Future()
        self._worker = self._worker or self.place.worker(frozenset({"train"}))
        try:
            future.set_result(self._worker.perform(unpickled(pickled(operation))))
        except Exception as error:
            future.set_exception(error if isinstance(error, LthbenchError) else foreign(error))
        return future

    def close(self) -> None:
        self._evaluators.close()


class LocalExecutor:
    """Operations in `workers` processes on this machine, and one that evaluates."""

    def __init__(self, place: Place, workers: int, start: str = "spawn"):
        self.workers = workers
        self._trainers = Pool(place, workers, frozenset({"train"}), start)
        self._evaluators = Pool(place, 1, frozenset({"train", "test"}), start)

    def submit(self, operation: Operation, remainder: float = 0.0) -> "Future[Reply]":
        pool = self._evaluators if isinstance(operation, Judgement) else self._trainers
        return pool.submit(operation, remainder)

    def close(self) -> None:
        self._trainers.close()
        self._evaluators.close()


class Executor(Protocol):
    """Who has operations done, and how many at a time."""

    workers: int

    def submit(self, operation: Operation, remainder: float = 0.0) -> "Future[Reply]": ...
    def close(self) -> None: ...


def pickled(operation: Operation) -> bytes:
    """An operation, with the method files that its rule or probe comes from. MethodError for one that cannot be sent."""
    trajectory = getattr(operation, "trajectory", None)
    thing = trajectory.rule if trajectory else getattr(operation, "probe", None)
    modules = [kind.__module__ for kind in type(thing).__mro__ if kind.__module__.startswith(registry.MODULES)]
    files = [str(registry.file_of(module)) for module in dict.fromkeys(reversed(modules))]
    try:
        return pickle.dumps((files, pickle.dumps(operation)))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise MethodError(f"{type(thing).__name__} cannot be sent to a worker ({error}); define it in a file") from None


def unpickled(message: bytes) -> Operation:
    """The inverse: loads the method files first."""
    files, operation = pickle.loads(message)
    for file in files:
        registry.load(Path(file))
    return pickle.loads(operation)


def _main(
    connection: Connection, lifeline: Connection, place: Place, splits: frozenset[str], drivers: tuple[Connection, ...]
) -> None:
    """A worker process: operations in, replies out, until the driver is gone."""
    for end in drivers:
        end.close()
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()
    worker = place.worker(splits)
    while True:
        try:
            message = connection.recv_bytes()
        except (EOFError, OSError):
            return
        try:
            reply: Any = worker.perform(unpickled(message))
        except (MissingEntry, LthbenchError) as error:
            reply = error
        except Exception as error:
            reply = foreign(error)
        connection.send(reply)


def _end_with(lifeline: Connection) -> None:
    try:
        lifeline.recv_bytes()
    except (EOFError, OSError):
        os._exit(0)


def foreign(error: Exception) -> MethodError:
    """An exception of method, rule or probe code (or of a library), as one line that survives a pipe."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    return MethodError(f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})")
