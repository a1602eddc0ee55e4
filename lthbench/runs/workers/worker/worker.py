"""The worker does operations: it reads the store and the data, and writes the store. Every executor runs it."""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import torch

from lthbench.errors import MethodError
from lthbench.methods.internals.operations import Barrier, Evaluate, Measure, Operation, Train, Validate, Value
from lthbench.runs.workers.serialization import with_author_line
from lthbench.runs.workers.worker.capacity import most_bytes
from lthbench.runs.workers.worker.judging import evaluate, measure_barrier
from lthbench.runs.workers.worker.measuring import BATCH, measure, validate
from lthbench.runs.workers.worker.reply import Reply, Retired
from lthbench.runs.workers.worker.training import train
from lthbench.runs.workers.worker.workplace import Workplace

WORK: Mapping[type, Callable[[Workplace, Any], Reply]] = {
    Measure: measure,
    Validate: validate,
    Evaluate: evaluate,
    Barrier: measure_barrier,
}
"""What a worker does in one turn, by kind of operation. A training takes many turns."""


class Worker(Workplace):
    """A worker, which does operations at its workplace."""

    def perform(self, operation: Operation, alone: bool = False) -> Reply:
        """Do one operation and write its result to the store, with `alone` while no training is under way.

        MissingEntry where its source is missing. Retired where another process has to do it: libraries may compute
        otherwise after they have found no memory.
        """
        if self.spoilt:
            raise self._retired()
        started, cpu = time.perf_counter(), time.thread_time()
        try:
            reply = train(self, operation, alone) if isinstance(operation, Train) else self._look(operation, alone)
            return replace(reply, seconds=time.perf_counter() - started, cpu=time.thread_time() - cpu)
        except MethodError as error:
            raise with_author_line(error) from error.__cause__
        except torch.OutOfMemoryError as error:
            why = str(error)
        raise self._exhausted(operation, why, alone)

    def _look(self, operation: Value, alone: bool) -> Reply:
        """Do an operation that is not a training, in one turn."""
        with self._room(operation, alone), self.turn():
            return WORK[type(operation)](self, operation)

    def _room(self, operation: Value, alone: bool) -> AbstractContextManager[object]:
        """Take the memory for an operation that is not a training, where memory is what is shared."""
        if not (alone or self.capacity.measured):
            return nullcontext()
        model = operation.source.model
        return self.capacity.taken(
            (type(operation), model), most_bytes(model, getattr(operation, "batch", BATCH)), alone
        )

    def _exhausted(self, operation: Operation, why: str, alone: bool) -> Exception:
        """Return the error of an operation that found no memory: its own where it was alone."""
        self.spoilt = f"{self.device} had too little memory"
        if not alone:
            return self._retired(alone=True)
        what = type(operation).__name__.lower()
        model = operation.trajectory.model if isinstance(operation, Train) else operation.source.model
        return MethodError(f"{self.device} has too little memory to {what} {model.name}: {why}")

    def _retired(self, alone: bool = False) -> Retired:
        """Return the error that the process does no more, once all trainings under way have ended."""
        beside = self.capacity.inside
        with self.capacity.taken("the end", alone=True):
            return Retired(self.spoilt, alone, beside)
