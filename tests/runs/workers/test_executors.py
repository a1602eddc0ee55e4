"""Where and beside what an operation is done changes no bit of its result."""

import ast
import os
import signal
import threading
import time
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
import torch

from lthbench import Network, Rule, Run, Tensors, TrainingState
from lthbench.data import DataHome
from lthbench.errors import MethodError
from lthbench.methods.internals.context import context_of
from lthbench.methods.internals.operations import Evaluate, Split
from lthbench.methods.network import origin_of
from lthbench.runs.workers.pool import Pool
from lthbench.runs.workers.process_state import unchanged
from lthbench.runs.workers.queue import Queue, Waiting
from lthbench.runs.workers.worker_config import WorkerConfig
from lthbench.training import feed
from tests.processes import alive_pid, forked, status_of, until
from tests.runs.helpers import METHODS, ONE, TINY, Outcome, chance, dense, drive, driver, found, method, ticket

FILE = """
@dataclass(frozen=True)
class Half(Rule):
    every: int = 3
    def after_step(self, s):
        s.set_mask(s.select({n: s.params[n].abs() for n in s.prunable}, 0.5))

@method("own", cost="T")
def own(run):
    return run.train(run.init(), rule=Half())
"""
TOLD = """
@dataclass(frozen=True)
class Told(Rule):
    def start(self, s):
        raise MethodError(os.environ["FOLDER"])

@method("own", cost="T")
def own(run):
    return run.train(run.init(), rule=Told())
"""
MIXED = [m for m in METHODS if m.name in ("dense", "ticket", "snip", "gradual")]


class TestSameResult:
    @pytest.mark.parametrize("workers", [1, 2])
    def test_local(self, tmp_path: Path, home: DataHome, whole: Outcome, workers: int) -> None:
        assert drive(TINY, METHODS, tmp_path, home, executor="local", workers=workers).results == whole.results

    @pytest.mark.parametrize("executor", ["serial", "local"])
    def test_any_order_of_methods(self, tmp_path: Path, home: DataHome, whole: Outcome, executor: str) -> None:
        assert drive(TINY, METHODS[::-1], tmp_path, home, executor=executor).results == whole.results

    @pytest.mark.parametrize("one", METHODS, ids=lambda m: m.name)
    def test_alone(self, tmp_path: Path, home: DataHome, whole: Outcome, one: object) -> None:
        alone = drive(TINY, [one], tmp_path, home).results  # type: ignore[list-item]
        assert alone == {name: result for name, result in whole.results.items() if name.method == one.name}  # type: ignore[attr-defined]

    @pytest.mark.parametrize("start", ["spawn", ""])
    def test_however_processes_start(self, tmp_path: Path, home: DataHome, whole: Outcome, start: str) -> None:
        done = drive(TINY, [METHODS[-1]], tmp_path, home, executor="local", start=start).results
        assert done == {name: result for name, result in whole.results.items() if name.method == "gradual"}

    def test_a_worker_has_the_environment_of_now(
        self, tmp_path: Path, home: DataHome, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        own = found(tmp_path, TOLD)
        for folder in ("first", "second"):
            monkeypatch.setenv("FOLDER", folder)
            done = drive(ONE, [own], tmp_path / folder, home, executor="local", start="")
            assert [str(record.result.reason).split()[0] for record in done.records] == [folder]

    @pytest.mark.parametrize("executor", ["serial", "local"])
    def test_images_streamed_from_disk(
        self, tmp_path: Path, home: DataHome, whole: Outcome, executor: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(feed, "image_memory", lambda device: 0)
        assert drive(TINY, METHODS, tmp_path, home, executor=executor).results == whole.results

    def test_a_rule_from_a_method_file(self, tmp_path: Path, home: DataHome) -> None:
        own = found(tmp_path, FILE)
        serial = drive(ONE, [own], tmp_path / "serial", home)
        local = drive(ONE, [own], tmp_path / "local", home, executor="local")
        assert serial.of("own")[0].status == "ok"
        assert local.results == serial.results

    def test_nothing_is_parsed_by_two_threads_at_once(
        self, tmp_path: Path, home: DataHome, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """ast.parse fails at random in threads of Python 3.11."""
        busy, met, parse = threading.Lock(), [], ast.parse

        def slow(*args: object, **kwargs: object) -> object:
            alone = busy.acquire(blocking=False)
            met.append(alone)
            time.sleep(0.02)
            if alone:
                busy.release()
            return parse(*args, **kwargs)  # type: ignore[call-overload]

        def own(run: Run) -> Network:
            return run.train(run.init(), rule=Meddler("nothing", every=1000))

        d = driver(TINY, [method(own)], tmp_path, home, executor="local", workers=2)
        monkeypatch.setattr(ast, "parse", slow)
        d.run()
        assert all(met)

    def test_a_rule_that_cannot_be_sent(self, tmp_path: Path, home: DataHome) -> None:
        def own(run: Run) -> Network:
            @dataclass(frozen=True)
            class Inner(Rule):
                pass

            net = run.train(run.init(), rule=Inner())
            return net.masked(
                run.select({n: torch.rand(w.shape, generator=run.generator("x")) for n, w in net.prunable.items()})
            )

        results = [drive(ONE, [method(own)], tmp_path / e, home, executor=e).results for e in ("serial", "local")]
        assert results[0] == results[1]

    def test_the_longest_remainder_goes_first(self) -> None:
        queue = Queue()
        for name, remainder in (("a", 1.0), ("b", 3.0), ("c", 2.0), ("d", 3.0)):
            queue.put(Waiting(name, remainder))  # type: ignore[arg-type]
        assert [queue.take().operation for _ in range(4)] == ["b", "d", "c", "a"]  # type: ignore[union-attr]

    def test_but_what_lies_near_goes_before(self) -> None:
        queue = Queue()
        for name, remainder in (("a", 1.0), ("b", 3.0), ("c", 2.0)):
            queue.put(Waiting(name, remainder))  # type: ignore[arg-type]
        taken = [queue.take(lambda name: name in ("a", "c")).operation for _ in range(3)]  # type: ignore[operator, union-attr]
        assert taken == ["c", "a", "b"]

    def test_workers_start_on_the_first_miss(
        self, tmp_path: Path, home: DataHome, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        drive(ONE, [method(ticket)], tmp_path, home, executor="local")
        started: list[object] = []
        monkeypatch.setattr(Pool, "_started", started.append)
        for path in (tmp_path / "records").iterdir():
            path.unlink()
        again = drive(ONE, [method(ticket)], tmp_path, home, executor="local")
        assert (again.of("ticket")[0].status, started) == ("ok", [])


@dataclass(frozen=True)
class Killer(Rule):
    """Kills its process in the middle of a training, as often as there is no mark for it yet."""

    folder: str
    times: int
    every: int = 7

    def after_step(self, s: TrainingState) -> None:
        marks = len(list(Path(self.folder).iterdir()))
        if marks < self.times:
            (Path(self.folder) / str(marks)).write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)


def killed(folder: Path, times: int) -> object:
    folder.mkdir()

    def own(run: Run) -> Network:
        net = run.train(run.init(), rule=Killer(str(folder), times))
        return net.masked(run.select({n: w.abs() for n, w in net.prunable.items()}))

    return method(own)


class TestDeath:
    def test_a_killed_operation_is_tried_again(
        self, tmp_path: Path, home: DataHome, caplog: pytest.LogCaptureFixture
    ) -> None:
        undisturbed = drive(ONE, [killed(tmp_path / "never", 0)], tmp_path / "a", home)  # type: ignore[list-item]
        for times in (1, 2):
            caplog.clear()
            own = killed(tmp_path / f"{times}", times)
            disturbed = drive(ONE, [own], tmp_path / f"b{times}", home, executor="local", workers=2)  # type: ignore[list-item]
            assert disturbed.results == undisturbed.results
            assert len(list((tmp_path / f"{times}").iterdir())) == times
            assert [f"try {i} of 3" in caplog.text for i in (1, 2, 3)] == [times > 0, times > 1, False]

    def test_an_operation_that_always_dies_fails_its_own_run(self, tmp_path: Path, home: DataHome) -> None:
        own, alone = killed(tmp_path / "marks", 99), drive(ONE, [method(ticket)], tmp_path / "alone", home)
        both = drive(ONE, [own, method(ticket)], tmp_path / "both", home, executor="local")  # type: ignore[list-item]
        [failed], ok = both.of("own"), both.of("ticket")
        assert (failed.status, ok) == ("failed", alone.of("ticket"))
        assert "the worker died 3 times in this operation" in failed.reason
        assert len(list((tmp_path / "marks").iterdir())) == 3

    @pytest.mark.parametrize("executor", ["serial", "local"])
    def test_workers_end_with_a_killed_driver(self, tmp_path: Path, home: DataHome, executor: str) -> None:
        pids, start = tmp_path / "pids", Pool._started

        def noted(pool: Pool) -> object:
            process = start(pool)
            with pids.open("a") as file:
                file.write(f"{process.process.pid}\n")
            return process

        def work() -> None:
            Pool._started = noted  # type: ignore[assignment, method-assign]
            both = [method(dense, track="dense"), method(slow)]
            drive(ONE, both, tmp_path / "out", home, executor=executor, workers=2)

        def slow(run: Run) -> Network:
            return run.train(run.init(), rule=Slow(str(tmp_path / "slow")))

        wanted = 3 if executor == "local" else 1  # one evaluates
        driver_pid = forked(work)
        busy = until(lambda: (tmp_path / "slow").exists() and len(pids.read_text().splitlines()) == wanted)
        workers = [int(line) for line in pids.read_text().splitlines()]
        living = all(map(alive_pid, workers))
        os.kill(driver_pid, signal.SIGKILL)
        assert busy
        assert living
        assert status_of(driver_pid) == -signal.SIGKILL
        ended = until(lambda: not any(map(alive_pid, workers)))
        for pid in filter(alive_pid, workers):
            os.kill(pid, signal.SIGKILL)
        assert ended

    def test_one_process_starts_at_a_time(
        self, tmp_path: Path, home: DataHome, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        busy, met, start = threading.Lock(), [], BaseProcess.start

        def slow(process: BaseProcess) -> None:
            alone = busy.acquire(blocking=False)
            met.append(alone)
            start(process)
            time.sleep(0.3)
            if alone:
                busy.release()

        monkeypatch.setattr(BaseProcess, "start", slow)
        drive(TINY, [method(dense, track="dense"), method(chance)], tmp_path, home, executor="local", workers=2)
        assert all(met)

    def test_workers_end_with_the_suite(self, tmp_path: Path, home: DataHome, monkeypatch: pytest.MonkeyPatch) -> None:
        pids, start = [], Pool._started

        def noted(pool: Pool) -> object:
            process = start(pool)
            pids.append(process.process.pid)
            return process

        monkeypatch.setattr(Pool, "_started", noted)
        drive(TINY, [method(ticket)], tmp_path, home, executor="local", workers=2)
        assert len(pids) == 3
        assert until(lambda: not any(map(alive_pid, pids)))

    def test_an_interrupted_suite_has_no_failed_rows(self, tmp_path: Path, home: DataHome) -> None:
        def slow(run: Run) -> Network:
            return run.train(run.init(), rule=Slow(str(tmp_path / "slow")))

        def interrupt(record: object) -> None:
            assert until(lambda: (tmp_path / "slow").exists())
            raise KeyboardInterrupt

        d = driver(
            ONE, [method(dense, track="dense"), method(slow)], tmp_path / "out", home, executor="local", workers=2
        )
        with pytest.raises(KeyboardInterrupt):
            d.run(interrupt)
        until(lambda: (tmp_path / "out" / "records" / "slow.jsonl").exists(), 2)
        assert [path.name for path in (tmp_path / "out" / "records").iterdir()] == ["dense.jsonl"]


@dataclass(frozen=True)
class Slow(Rule):
    """Says that it is under way, and takes long."""

    mark: str
    every: int = 1

    def after_step(self, s: TrainingState) -> None:
        Path(self.mark).touch()
        signal.pause()


@dataclass(frozen=True)
class Peek:
    """A probe that looks for a worker in its process and asks it for test images."""

    split: Split
    passes: int = 1
    version: int = 1

    def __call__(self, model: object, mask: Tensors, batches: object) -> dict[str, torch.Tensor]:
        import gc

        from lthbench.runs.workers.worker import Worker

        for thing in gc.get_objects():
            if isinstance(thing, Worker):
                thing.feed(self.split, "test")
        return {"seen": torch.ones(1)}


class TestTestSplit:
    @pytest.mark.parametrize("executor", ["serial", "local"])
    def test_no_process_with_method_code_may_read_it(self, tmp_path: Path, home: DataHome, executor: str) -> None:
        def own(run: Run) -> Network:
            run.measure(run.init(), Peek(context_of(run).setting.split))
            return dense(run)

        [result] = drive(ONE, [method(own)], tmp_path, home, executor=executor).of("own")
        assert result.status == "failed"
        assert (
            "PermissionError: this process may not read the test split of 'digits': only evaluation does"
            in result.reason
        )

    def test_a_method_may_not(self, tmp_path: Path, home: DataHome) -> None:
        def own(run: Run) -> Network:
            home.load("digits", "test")
            return dense(run)

        [result] = drive(ONE, [method(own)], tmp_path, home).of("own")
        assert (result.status, "PermissionError" in result.reason) == ("failed", True)

    def test_a_worker_that_trains_does_not_evaluate(self, tmp_path: Path, home: DataHome) -> None:
        from tests.runs.helpers import open_run

        with open_run(tmp_path, home) as run:
            operation = Evaluate(origin_of(run.init()).lineage, context_of(run).setting.split, "fp32", "")
            worker = WorkerConfig(tmp_path / "store", home.folder, "cpu").worker(frozenset({"train"}))
            with pytest.raises(PermissionError):
                worker.perform(operation)

    @pytest.mark.parametrize("executor", ["serial", "local"])
    def test_only_evaluation_is_given_it(
        self, tmp_path: Path, home: DataHome, monkeypatch: pytest.MonkeyPatch, executor: str
    ) -> None:
        loads, load = tmp_path / "loads", DataHome.load

        def noted(self: DataHome, name: str, split: str) -> object:
            with loads.open("a") as file:
                file.write(f"{os.getpid()} {split}\n")
            return load(self, name, split)

        monkeypatch.setattr(DataHome, "load", noted)
        drive(ONE, [method(ticket)], tmp_path, home, executor=executor)
        lines = [line.split() for line in loads.read_text().splitlines()]
        test = {pid for pid, split in lines if split == "test"}
        assert len(test) == 1
        assert str(os.getpid()) not in test
        assert {pid for pid, split in lines if split == "train"} > test  # the trainer is another one


CHANGES = {
    "thread count": lambda: torch.set_num_threads(3),
    "default dtype": lambda: torch.set_default_dtype(torch.float64),
    "deterministic flag": lambda: torch.use_deterministic_algorithms(True),
    "global generator": lambda: torch.manual_seed(5),
    "autocast mode": lambda: torch.set_autocast_enabled("cpu", True),
    "grad mode": lambda: torch.set_grad_enabled(False),
}


@dataclass(frozen=True)
class Meddler(Rule):
    """Changes something of the process that others train in."""

    what: str
    every: int = 5

    def after_step(self, s: TrainingState) -> None:
        CHANGES[self.what]()


@dataclass(frozen=True)
class MeddlingProbe:
    what: str
    passes: int = 1
    version: int = 1

    def __call__(self, model: object, mask: Tensors, batches: object) -> dict[str, torch.Tensor]:
        CHANGES[self.what]()
        return {"x": torch.ones(1)}


def meddling(run: Run, what: str, by: str) -> Network:
    if by == "probe":
        run.measure(run.init(), MeddlingProbe(what), examples=1)
        return chance(run)
    net = run.train(run.init(), rule=Meddler(what))
    return net.masked(run.select({n: w.abs() for n, w in net.prunable.items()}))


class TestNeighbours:
    @pytest.mark.parametrize("executor", ["serial", "local"])
    @pytest.mark.parametrize("by", ["rule", "probe"])
    def test_an_operation_that_changes_its_process_fails_alone(
        self, tmp_path: Path, home: DataHome, whole: Outcome, executor: str, by: str
    ) -> None:
        kinds = [w for w in CHANGES if w != "autocast mode" and (by, w) != ("rule", "grad mode")]
        others = [method(meddling, what=what, by=by) for what in kinds]
        one, two, three, four = MIXED
        mixed = drive(ONE, [one, *others[:2], two, *others[2:], three, four], tmp_path, home, executor=executor)
        for what in kinds:
            [result] = mixed.of(f"meddling[what={what},by={by}]")
            assert result.status == "failed"
            assert f"an operation changed the {what} of the process, which other trainings share" in result.reason
        for neighbour in MIXED:
            [result] = mixed.of(neighbour.name)
            assert result.weights in {r.weights for r in whole.of(neighbour.name)}
            assert result.test in [r.test for r in whole.of(neighbour.name)]
        assert torch.get_default_dtype() == torch.float32

    @pytest.mark.parametrize("what", ["autocast mode", "grad mode"])
    def test_what_the_trainer_puts_back_itself_reaches_no_neighbour(
        self, tmp_path: Path, home: DataHome, whole: Outcome, what: str
    ) -> None:
        mixed = drive(ONE, [method(meddling, what=what, by="rule"), *MIXED], tmp_path, home)
        for neighbour in MIXED:
            assert mixed.of(neighbour.name)[0].weights in {r.weights for r in whole.of(neighbour.name)}

    @pytest.mark.parametrize("by", ["rule", "probe"])
    def test_autocast_switched_on_is_noticed(self, tmp_path: Path, home: DataHome, by: str) -> None:
        [record] = drive(ONE, [method(meddling, what="autocast mode", by=by)], tmp_path, home).records
        assert record.result.status == "failed"

    @pytest.mark.parametrize("what", CHANGES)
    def test_unchanged_restores(self, what: str) -> None:
        before = torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_rng_state()
        with pytest.raises(MethodError, match=f"x changed the {what} of the process"), unchanged("x"):
            CHANGES[what]()
        after = torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_rng_state()
        assert before[:3] == after[:3]
        assert before[3].equal(after[3])

    def test_unchanged_lets_an_error_pass_and_restores_too(self) -> None:
        with pytest.raises(ZeroDivisionError), unchanged("x"):
            torch.set_default_dtype(torch.float64)
            _ = 1 / 0
        assert torch.get_default_dtype() == torch.float32
