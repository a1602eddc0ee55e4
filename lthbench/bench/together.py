"""Many trainings at once, through an executor as in a run: in one process of a GPU, or in processes on a CPU."""

from itertools import count as counted

from lthbench.bench.clock import enough
from lthbench.bench.subject import Subject
from lthbench.methods.internals.operations import Train
from lthbench.runs.store.store import Store
from lthbench.runs.workers.executors import LocalExecutor
from lthbench.runs.workers.worker_config import WorkerConfig
from lthbench.training import numerics

WARM = 2  # the steps of a training before its time counts


def epochs_per_second(subject: Subject, count: int, least: float, known: float = 0.0) -> float:
    """Measure the network-epochs per second of `count` trainings side by side, each of the steps that take `least`
    seconds.

    Every training writes a state after WARM steps and one at its end. The measurement is the time between them. `known`
    is the result of fewer trainings: at that rate it tries first.
    """
    processes, lanes = (1, count) if subject.device.type == "cuda" else (count, 1)
    folders, models = (subject.scratch / f"store-{count}", subject.home.folder), subject.scratch / "models"
    config = WorkerConfig(*folders, str(subject.device), lanes, models=models)
    config.keep_models([subject.model.name])
    executor = LocalExecutor(config, processes)
    store = Store(config.store, numerics.environment_key(subject.device))
    epoch = subject.trajectory().clock.steps_per_epoch
    orders = (range(first, first + count) for first in counted(step=count))  # each order of the data is a new training

    def seconds(steps: int) -> float:
        these = next(orders)
        _train(executor, subject, these, (WARM, WARM + steps))
        begun, ended = (_times(store, subject, these, stop) for stop in (WARM, WARM + steps))
        return (max(ended) - min(begun)) / 1e9

    try:
        _train(executor, subject, next(orders), (WARM,))  # starts each worker
        steps, took = enough(seconds, least, 1.1 * least * known * epoch / count)
    finally:
        executor.close()
    return count * steps / epoch / took


def _train(executor: LocalExecutor, subject: Subject, orders: range, stops: tuple[int, ...]) -> None:
    asked = [executor.submit(Train(subject.trajectory(order), 0, stops), 0.0) for order in orders]
    for future in asked:
        future.result()


def _times(store: Store, subject: Subject, orders: range, stop: int) -> list[int]:
    """Return the times at which the states at a stop were written, in ns."""
    paths = (store.path("states", subject.trajectory(order).state(stop).key) for order in orders)
    return [path.stat().st_mtime_ns for path in paths]
