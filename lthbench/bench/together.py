"""Many trainings at once, through an executor as in a run: lanes of a GPU, or processes on a CPU."""

from lthbench.bench.subject import Subject
from lthbench.runs.executors import LocalExecutor
from lthbench.runs.operations import Train
from lthbench.runs.place import Place
from lthbench.runs.store import Store
from lthbench.training import numerics

WARM = 2  # steps of a training before its time counts


def epochs_per_second(subject: Subject, count: int, steps: int) -> float:
    """Network-epochs a second of `count` trainings side by side, of `steps` steps each once they are under way.

    Every training leaves a state when it is under way and one at its end; the times of these are what is measured.
    """
    processes, lanes = (1, count) if subject.device.type == "cuda" else (count, 1)
    place = Place(subject.scratch / f"store-{count}", subject.home.folder, str(subject.device), lanes)
    executor = LocalExecutor(place, processes)
    try:
        _train(executor, subject, range(count), (WARM,))  # the workers stand: each takes one, as there are as many
        _train(executor, subject, range(count, 2 * count), (WARM, WARM + steps))
    finally:
        executor.close()
    store = Store(place.store, numerics.build_key(subject.device))
    begun, ended = (_times(store, subject, range(count, 2 * count), stop) for stop in (WARM, WARM + steps))
    epochs = count * steps / subject.trajectory().clock.steps_per_epoch
    return epochs / (max(ended) - min(begun)) * 1e9


def _train(executor: LocalExecutor, subject: Subject, orders: range, stops: tuple[int, ...]) -> None:
    asked = [executor.submit(Train(subject.trajectory(order), 0, stops), 0.0) for order in orders]
    for future in asked:
        future.result()


def _times(store: Store, subject: Subject, orders: range, stop: int) -> list[int]:
    """When the states at a stop were written, in ns."""
    paths = (store.path("states", subject.trajectory(order).state(stop).key) for order in orders)
    return [path.stat().st_mtime_ns for path in paths]
