"""Workers: their memory, a lack of it, a broken context, and turns in which nothing waits for the device."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lthbench import keys
from lthbench.methods.internals.operations import Train
from lthbench.runs.workers.failure import failure
from lthbench.runs.workers.process_state import FairLock
from lthbench.runs.workers.worker import Lost, Retired, Worker
from lthbench.runs.workers.worker_config import WorkerConfig
from lthbench.training import numerics
from lthbench.training.rules import Rule
from tests.gpu.paper import books
from tests.gpu.trainings import feed, trajectory

pytestmark = pytest.mark.cuda

GB = 1 << 30


@pytest.fixture(autouse=True)
def device_as_before() -> Iterator[None]:
    yield
    books.limit(80 * GB)
    books.slow(0)


@pytest.fixture
def worker(tmp_path: Path, data_folder: Path) -> Worker:
    return WorkerConfig(tmp_path / "store", data_folder, "cuda").worker(frozenset({"train"}))


def training(worker: Worker, name: str, seed: int = 0, rule: Rule | None = None, **recipe: Any) -> Train:
    """A training on digits."""
    manifest = worker.home.manifest("digits")
    t = trajectory(name, feed(manifest.sizes["train"], manifest.shape), rule, seed=seed, **{"batch": 128} | recipe)
    data = keys.key("training examples", manifest.fingerprints["train"], 0)
    t = replace(t, dataset="digits", validation=0, data=data)
    return Train(t, 0, (t.clock.total,))


def together(worker: Worker, works: list[Train]) -> None:
    """Do all at once, each in a thread as in a worker process."""
    with ThreadPoolExecutor(16, initializer=numerics.set_up, initargs=(worker.device,)) as threads:
        for future in [threads.submit(worker.perform, work) for work in works]:
            future.result()


class Turns(FairLock):
    """Turns that count the seconds for which their holders waited for kernels."""

    waited = 0.0

    def __enter__(self) -> None:
        super().__enter__()
        self.before = books.waited()

    def __exit__(self, *error: object) -> None:
        self.waited += books.waited() - self.before
        super().__exit__(*error)


def test_a_new_kind_starts_beside_one_that_trains(worker: Worker) -> None:
    with worker.capacity.taken("a training that does not end", most=20 * GB) as settle:
        settle(GB)
        assert worker.perform(training(worker, "mlp-8")).seen


def test_sixteen_trainings_of_four_kinds_take_less_than_their_bounds(worker: Worker) -> None:
    names = ["mlp-8", "conv2", "resnet8", "mlp-300-100"]
    together(worker, [training(worker, name, seed) for seed in range(4) for name in names])
    sizes = worker.capacity._sizes
    assert len(sizes) == 4 and all(size >= worker.capacity._least for size in sizes.values())


def test_memory_that_trainings_leave_is_given_back(worker: Worker) -> None:
    torch.cuda.empty_cache()
    worker.memory = torch.cuda.memory_reserved() + GB / 4  # other tests have left something
    for seed in range(6):
        worker.perform(training(worker, "resnet8", seed, epochs=1))
        assert torch.cuda.memory_reserved() <= worker.memory


def test_a_lack_of_memory_ends_the_worker_after_its_trainings(worker: Worker) -> None:
    torch.cuda.empty_cache()
    books.limit(books.used() + (8 << 20))
    with pytest.raises(Retired) as said:
        worker.perform(training(worker, "conv4"))
    assert said.value.alone
    books.limit(80 * GB)
    with pytest.raises(Retired, match="too little memory"):
        worker.perform(training(worker, "mlp-8"))


def test_nobody_waits_for_kernels_in_a_turn(worker: Worker) -> None:
    """A training holds no turn while its steps, or those of others, are under way: an epoch lasts a second here."""
    for name in ("mlp-300-100", "resnet8"):  # libraries start, and data arrive
        worker.perform(training(worker, name, 99, epochs=1))
    worker.turns = turns = Turns()
    books.slow(5e5)
    together(
        worker, [training(worker, "mlp-300-100", seed, epochs=4) for seed in range(3)] + [training(worker, "resnet8")]
    )
    assert turns.waited == 0


def test_a_broken_context_is_the_workers_failure_and_not_the_operations(worker: Worker) -> None:
    work = training(worker, "mlp-8")
    worker.perform(work)
    books.break_context()
    with pytest.raises(Exception) as said:
        worker.perform(replace(work, trajectory=replace(work.trajectory, seed=1)))
    assert isinstance(failure(worker, said.value), Lost)  # type: ignore[arg-type]
