"""The pool of workers gives each of them as many operations at once as it has slots, also while it grows."""

import threading

import pytest

from lthbench.methods.internals.operations import Operation, Train
from lthbench.runs.workers.pool import Handle, Pool
from lthbench.runs.workers.worker import Reply
from tests.helpers import trajectory
from tests.processes import until


class Patient(Handle):
    """A worker that holds every operation until it is told to go on."""

    dead = False

    def __init__(self, going_on: threading.Event):
        self.going_on = going_on
        self.held: list[Operation] = []

    def ask(self, operation: Operation, alone: bool = False) -> Reply:
        self.held.append(operation)
        self.going_on.wait(30)
        return Reply(1.0)

    def near(self, operation: Operation) -> bool:
        return False

    def end(self) -> None:
        self.going_on.set()


@pytest.mark.parametrize("size", [2, 3])
def test_a_pool_that_grows_fills_every_slot(size: int) -> None:
    workers: list[Patient] = []
    going_on = threading.Event()

    def start(there: list[Handle]) -> Handle:
        workers.append(Patient(going_on))
        return workers[-1]

    operation, pool = Train(trajectory(), 0, (9,)), Pool(start, 1, slots=2)
    try:
        asked = [pool.submit(operation, 0.0) for _ in range(2)]
        assert until(lambda: sum(len(worker.held) for worker in workers) == 2)
        pool.resize(size)
        asked += [pool.submit(operation, 0.0) for _ in range(2 * size - 2)]
        assert until(lambda: sum(len(worker.held) for worker in workers) == 2 * size)
        assert [len(worker.held) for worker in workers] == [2] * size
        going_on.set()
        assert [one.result(30).epochs for one in asked] == [1.0] * len(asked)
    finally:
        pool.close()
