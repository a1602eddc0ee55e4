"""Executors have operations done. All run the same worker function, so all give the same results.

`serial` works in this process. `local` works in processes of its own: with one thread each on a CPU, and one for each GPU,
with several lanes, on GPUs. Under both, evaluation has its own process, the only one that may read test data. A worker ends
when its driver does. The death of a worker fails one operation, which is tried again.
"""

import multiprocessing
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from multiprocessing.context import BaseContext
from typing import Protocol

import torch

from lthbench import system
from lthbench.errors import LthbenchError
from lthbench.methods.internals.operations import Judgement, Operation
from lthbench.runs.workers.pool import Handle, Pool
from lthbench.runs.workers.process import Process
from lthbench.runs.workers.serialization import pickled, unpickled, wrapped_exception
from lthbench.runs.workers.worker import Reply, Worker
from lthbench.runs.workers.worker_config import WorkerConfig

TRAINERS = 8  # workers that one evaluator serves
TRAINERS_ON_GPU = 2  # as each of them trains many networks at once


@dataclass
class SerialExecutor:
    """An executor that does operations in this process, as they are submitted, so that a debugger works.

    Evaluation has its own process.
    """

    config: WorkerConfig
    start: str = ""
    slots: int = 1
    _evaluators: Pool = field(init=False)
    _worker: Worker | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.config = replace(self.config, lanes=1)
        self._evaluators = _evaluators(self.config, self.start)

    def submit(self, operation: Operation, remainder: float = 0.0) -> "Future[Reply]":
        if isinstance(operation, Judgement):
            return self._evaluators.submit(operation, remainder)
        future: Future[Reply] = Future()
        self._worker = self._worker or self.config.worker(frozenset({"train"}))
        try:
            future.set_result(self._worker.perform(unpickled(pickled(operation)), alone=True))
        except Exception as error:
            future.set_exception(error if isinstance(error, LthbenchError) else wrapped_exception(error))
        return future

    def close(self) -> None:
        self._evaluators.close()


class LocalExecutor:
    """An executor with `workers` processes on this machine, and others that evaluate."""

    def __init__(self, config: WorkerConfig, workers: int, start: str = ""):
        self.slots = workers * config.slots
        self._trainers = processes(config, workers, frozenset({"train"}), start)
        self._evaluators = _evaluators(config, start, workers)

    def submit(self, operation: Operation, remainder: float = 0.0) -> "Future[Reply]":
        pool = self._evaluators if isinstance(operation, Judgement) else self._trainers
        return pool.submit(operation, remainder)

    def close(self) -> None:
        self._trainers.close()
        self._evaluators.close()


class Executor(Protocol):
    """The interface of an executor: `slots` operations are done at once."""

    @property
    def slots(self) -> int: ...
    def submit(self, operation: Operation, remainder: float = 0.0) -> "Future[Reply]": ...
    def close(self) -> None: ...


def _evaluators(config: WorkerConfig, start: str, trainers: int = 1) -> Pool:
    """Return the pool of evaluators: one for every few workers that train, on GPUs of their own as far as there are."""
    return processes(replace(config, lanes=1), evaluators(config, trainers), frozenset({"train", "test"}), start)


def evaluators(config: WorkerConfig, trainers: int) -> int:
    """Return the number of evaluators beside this number of workers that train."""
    on_gpu = torch.device(config.device).type == "cuda"
    return -(-trainers // (TRAINERS_ON_GPU if on_gpu else TRAINERS))


def processes(config: WorkerConfig, size: int, splits: frozenset[str], start: str) -> Pool:
    """Return a pool of processes on this machine, which take its devices in turn. Those on one GPU share it.

    `start` is a method of multiprocessing; by default the best one for the device.
    """
    context = _context(start, torch.device(config.device))

    def started(there: list[Handle]) -> Process:
        each = config.each()
        shares = [replace(one, share=config.share / -(-size // len(each))) for one in each]
        busy = [worker.config for worker in there if isinstance(worker, Process)]
        return Process(context, min(shares, key=busy.count), splits)

    return Pool(started, size, config.slots)


def _context(start: str, device: torch.device) -> BaseContext:
    """Return how processes start: on a CPU as forks of one server, which imports torch once for all of them.

    Those on a GPU are new interpreters, as its driver does not survive a fork.
    """
    context = multiprocessing.get_context(start or (system.start_method() if device.type == "cpu" else "spawn"))
    context.set_forkserver_preload([Process.__module__])
    return context
