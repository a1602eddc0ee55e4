"""Many trainings at once, through an executor as in a run: lanes of a GPU, or processes on a CPU."""

import time

from lthbench.bench.subject import Subject
from lthbench.runs.executors import LocalExecutor, Place
from lthbench.runs.operations import Train

WARM = 2  # steps of a training that is begun and ended


def epochs_per_second(subject: Subject, lanes: int, steps: int) -> float:
    """Network-epochs a second of `lanes` trainings side by side.

    By how much longer `steps` more steps take, so that what a training costs besides its steps falls out.
    """
    place = Place(subject.scratch / f"store-{lanes}", subject.home.folder, str(subject.device))
    executor = LocalExecutor(place, lanes)
    try:
        _trained(executor, subject, range(lanes), WARM)  # the workers stand
        few, short = _trained(executor, subject, range(lanes, 2 * lanes), WARM)
        more, long = _trained(executor, subject, range(2 * lanes, 3 * lanes), WARM + steps)
        return (more - few) / (long - short)
    finally:
        executor.close()


def _trained(executor: LocalExecutor, subject: Subject, orders: range, steps: int) -> tuple[float, float]:
    """Epochs and seconds of some trainings; every worker takes one, as there are as many."""
    asked = [Train(subject.trajectory(order), 0, (steps,)) for order in orders]
    started = time.perf_counter()
    replies = [future.result() for future in [executor.submit(operation, 0.0) for operation in asked]]
    return sum(reply.epochs for reply in replies), time.perf_counter() - started
