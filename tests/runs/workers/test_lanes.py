"""Several trainings in one process: the same results, however many, and whatever one of them does."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lthbench import Network, Run
from lthbench.data import DataHome
from lthbench.methods.internals.operations import Measure
from lthbench.runs.workers import executors
from lthbench.runs.workers.process_state import FairLock
from lthbench.runs.workers.worker import Reply, Worker, worker
from lthbench.runs.workers.worker.capacity import Capacity
from lthbench.runs.workers.worker.measuring import measure
from lthbench.runs.workers.worker_config import WorkerConfig
from lthbench.training import numerics
from lthbench.training.gpu import graph_trainer
from lthbench.training.gpu.settings import GPU_SETTINGS
from lthbench.training.trainer import Trainer
from tests.runs.helpers import METHODS, ONE, TINY, Outcome, chance, dense, drive, method, snip, ticket
from tests.runs.workers.test_executors import MIXED, Meddler, killed


class Crowd:
    """Counts the trainings that are under way."""

    def __init__(self, most: int = 99) -> None:
        self.most, self.now, self.peak, self.lock = most, 0, 0, threading.Lock()

    def trainer(self) -> type[Trainer]:
        """A trainer that needs memory that only `most` can have at once, for a while."""
        crowd = self

        class Needy(Trainer):
            def prepare(self) -> int:
                with crowd.lock:
                    if crowd.now >= crowd.most:
                        raise torch.OutOfMemoryError("no room")
                    crowd.now += 1
                    crowd.peak = max(crowd.peak, crowd.now)
                return 0

            def run(self, *args: object) -> int:
                try:
                    time.sleep(0.05)
                    return super().run(*args)  # type: ignore[arg-type]
                finally:
                    with crowd.lock:
                        crowd.now -= 1

        return Needy


def test_three_lanes_in_one_process(tmp_path: Path, home: DataHome, whole: Outcome) -> None:
    assert drive(TINY, METHODS, tmp_path, home, executor="local", lanes=3).results == whole.results


def test_lanes_in_two_processes(tmp_path: Path, home: DataHome, whole: Outcome) -> None:
    found = drive(TINY, MIXED, tmp_path, home, executor="local", lanes=2, workers=2).results
    assert found == {name: result for name, result in whole.results.items() if name in found} and found


def test_an_operation_that_changes_its_process_fails_alone(tmp_path: Path, home: DataHome, whole: Outcome) -> None:
    def meddling(run: Run, what: str) -> Network:
        net = run.train(run.init(), rule=Meddler(what))
        return net.masked(run.select({n: w.abs() for n, w in net.prunable.items()}))

    kinds = ["thread count", "default dtype", "deterministic flag", "global generator"]
    one, two, *rest = MIXED
    others = [method(meddling, what=what) for what in kinds]
    mixed = drive(ONE, [one, *others[:2], two, *others[2:], *rest], tmp_path, home, executor="local", lanes=4)
    for what in kinds:
        [result] = mixed.of(f"meddling[what={what}]")
        assert f"an operation changed the {what} of the process, which other trainings share" in result.reason
    for neighbour in MIXED:
        assert mixed.of(neighbour.name)[0].weights in {r.weights for r in whole.of(neighbour.name)}


def test_an_operation_that_kills_its_process_fails_alone(tmp_path: Path, home: DataHome, whole: Outcome) -> None:
    own = killed(tmp_path / "marks", 99)
    both = drive(ONE, [own, *MIXED], tmp_path / "out", home, executor="local", lanes=4)  # type: ignore[list-item]
    [failed] = both.of("own")
    assert "the worker died 3 times in this operation" in failed.reason
    for neighbour in MIXED:
        [result] = both.of(neighbour.name)
        assert (result.status, result.weights in {r.weights for r in whole.of(neighbour.name)}) == ("ok", True)


@pytest.mark.parametrize("most", [1, 2])
def test_too_little_memory_means_fewer_at_once_with_one_warning(
    tmp_path: Path,
    home: DataHome,
    whole: Outcome,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    most: int,
) -> None:
    crowd = Crowd(most)
    monkeypatch.setattr(graph_trainer, "trainer", crowd.trainer())
    methods = [method(dense, track="dense"), method(ticket), method(chance)]
    found = drive(TINY, methods, tmp_path / "out", home, executor="local", lanes=6).results
    assert found == {name: result for name, result in whole.results.items() if name in found} and found
    assert caplog.messages == [f"cpu had too little memory for 6 operations at once: at most {most} from now on"]


def test_a_network_that_fits_no_memory_fails_its_run(
    tmp_path: Path, home: DataHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(self: Trainer) -> int:
        raise torch.OutOfMemoryError("asked for 3 TB")

    monkeypatch.setattr(Trainer, "prepare", no_room)
    [result] = drive(ONE, [method(chance)], tmp_path, home, executor="local").of("chance")
    assert result.reason == "cpu has too little memory to train mlp-16: asked for 3 TB"


def starved(monkeypatch: pytest.MonkeyPatch, lacks: Callable[[Measure], bool]) -> None:
    """Workers find no memory for the probes that lack it."""

    def needy(place: Worker, operation: Measure) -> Reply:
        if lacks(operation):
            raise torch.OutOfMemoryError("asked for 3 TB")
        return measure(place, operation)

    monkeypatch.setitem(worker.WORK, Measure, needy)


def test_a_probe_without_memory_waits_until_it_is_alone(
    tmp_path: Path, home: DataHome, whole: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every probe finds none at first, in whichever process; then no training may be under way."""
    crowd, tried = Crowd(), tmp_path / "tried"
    tried.mkdir()

    def lacks(operation: Measure) -> bool:
        first = not (tried / operation.key).exists()
        (tried / operation.key).touch()
        return first or crowd.now > 0

    starved(monkeypatch, lacks)
    monkeypatch.setattr(graph_trainer, "trainer", crowd.trainer())
    methods = [method(snip), method(dense, track="dense"), method(chance)]
    found = drive(TINY, methods, tmp_path, home, executor="local", lanes=4).results
    assert found == {name: result for name, result in whole.results.items() if name in found} and found


def test_a_probe_that_fits_no_memory_fails_its_run(
    tmp_path: Path, home: DataHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    starved(monkeypatch, lambda operation: True)
    [result] = drive(ONE, [method(snip)], tmp_path, home, executor="local").of("snip")
    assert result.reason == "cpu has too little memory to measure mlp-16: asked for 3 TB"


class TestCapacity:
    @given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(1, 4))
    def test_lanes_are_counted(self, works: list[int], lanes: int) -> None:
        capacity, crowd = Capacity(lanes), Counter[str]()

        def training(kind: int) -> None:
            with capacity.taken(kind) as settle:
                crowd["now"] += 1
                crowd["peak"] = max(crowd["peak"], crowd["now"])
                settle(0)
                crowd["now"] -= 1

        self.together([lambda k=k: training(k) for k in works])  # type: ignore[misc]
        assert crowd["peak"] <= lanes and crowd["now"] == 0

    def test_a_new_kind_waits_for_no_other_to_end(self) -> None:
        capacity = Capacity(1600, measured=True)
        with capacity.taken("mobilenet", most=800) as settle:
            settle(100)
            with capacity.taken("mlp", most=800) as other, capacity.taken("vgg", most=700):
                other(100)

    @given(
        st.lists(st.tuples(st.integers(0, 2), st.integers(100, 2000), st.integers(1, 2000)), min_size=1, max_size=12)
    )
    def test_the_memory_of_all_that_are_in_fits(self, works: list[tuple[int, int, int]]) -> None:
        """A training takes no more than its bound, and one that is larger than the whole capacity is in alone."""
        capacity, lock, held = Capacity(1600, measured=True), threading.Lock(), dict[int, int]()
        most_of = {kind: max(most for k, most, _ in works if k == kind) for kind, _, _ in works}
        sizes = {kind: min(size, most_of[kind]) for kind, _, size in works}

        def training(number: int, kind: int) -> None:
            with capacity.taken(kind, most_of[kind]) as settle:
                with lock:
                    held[number] = sizes[kind]
                    assert sum(held.values()) <= 1600 or len(held) == 1
                settle(sizes[kind])
                with lock:
                    del held[number]

        self.together([lambda n=n, k=k: training(n, k) for n, (k, _, _) in enumerate(works)])  # type: ignore[misc]
        assert not held

    def test_a_kind_that_was_measured_counts_with_its_size(self) -> None:
        capacity, inside = Capacity(1600, measured=True), threading.Barrier(4)

        def training() -> None:
            with capacity.taken("resnet20", most=1600) as settle:
                settle(400)
                inside.wait(10)  # four of 400 are in at once

        self.together([training] * 4)
        assert not inside.broken

    def test_no_more_than_the_most_however_small(self) -> None:
        capacity, held = Capacity(1600, measured=True), []
        for _ in range(GPU_SETTINGS.most):
            context = capacity.taken("mlp")
            context.__enter__()(1)
            held.append(context)
        waiting = threading.Thread(target=lambda: capacity.taken("mlp").__enter__(), daemon=True)
        waiting.start()
        waiting.join(0.05)
        assert waiting.is_alive()
        held[0].__exit__(None, None, None)
        waiting.join(10)
        assert not waiting.is_alive()

    def test_one_that_is_larger_than_the_room_may_be_in_alone(self) -> None:
        capacity = Capacity(100, measured=True)
        for _ in range(2):
            with capacity.taken("vit") as settle:
                settle(1000)

    def test_one_that_wants_to_be_alone_is_not_overtaken(self) -> None:
        capacity, order = Capacity(2), []

        def training(name: str, alone: bool) -> None:
            with capacity.taken(name, alone=alone):
                order.append(name)

        threads = [threading.Thread(target=training, args=(name, name == "alone")) for name in ("alone", "late")]
        with capacity.taken("early"):
            for thread in threads:
                thread.start()
                thread.join(0.1)
            assert order == []
        for thread in threads:
            thread.join(10)
        assert order == ["alone", "late"]

    def together(self, works: list[object]) -> None:
        threads = [threading.Thread(target=work) for work in works]  # type: ignore[arg-type]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert not any(thread.is_alive() for thread in threads)


def test_turns_come_in_the_order_of_asking() -> None:
    turns, order = FairLock(), []

    def ask(number: int) -> None:
        with turns:
            order.append(number)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(5)]
    with turns:
        for number, thread in enumerate(threads, 2):
            thread.start()
            while turns._asked < number:
                pass
    for thread in threads:
        thread.join(10)
    assert order == [0, 1, 2, 3, 4]


def test_processes_are_shared_out_to_the_gpus_of_one_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["H100", "H100", "T4", "H100"]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(names))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda i: names[i])

    class Started:
        def __init__(self, context: object, config: WorkerConfig, splits: object) -> None:
            self.config = config

    monkeypatch.setattr(executors, "Process", Started)
    pool = executors.processes(WorkerConfig(Path(), Path(), "cuda"), 3, frozenset(), "fork")
    started = [pool._started() for _ in range(3)]
    assert [process.config.device for process in started] == ["cuda:0", "cuda:1", "cuda:3"]  # type: ignore[attr-defined]
    pool._workers.remove(started[1])  # it died
    assert pool._started().config.device == "cuda:1"  # type: ignore[attr-defined]
    assert numerics.alike(torch.device("cuda:1")) == [torch.device("cuda:1")]
    assert numerics.alike(torch.device("cpu")) == [torch.device("cpu")]


def test_a_gpu_worker_takes_several_operations_and_a_cpu_worker_one() -> None:
    config = WorkerConfig(Path(), Path(), "cuda")
    assert (config.slots, WorkerConfig(Path(), Path(), "cpu").slots) == (GPU_SETTINGS.most, 1)
    assert WorkerConfig(Path(), Path(), "cuda", lanes=3).slots == 3
