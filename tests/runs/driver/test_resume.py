"""A suite that is killed anywhere and goes on: the same results, and nothing done twice."""

import os
import signal
from pathlib import Path

import pytest

from lthbench import Network, Run, magnitude
from lthbench.data import DataHome
from lthbench.methods.internals.context import context_of
from lthbench.runs.driver.broker import Broker
from lthbench.runs.driver.driver import Driver
from lthbench.runs.records.record import Record, in_folder
from lthbench.runs.store.store import Trace
from tests.processes import die, forked, status_of
from tests.runs.helpers import ONE, TINY, Outcome, chance, drive, driver, found, method, rewind, snip, store_in, ticket
from tests.runs.plan.test_plan import Short

METHODS = list(map(method, (ticket, rewind, snip)))
OPERATIONS = 9  # ticket trains twice, rewind twice beyond what it shares, snip measures and trains; each is evaluated
IN_FLIGHT = 3  # two that train, one that evaluates


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, home: DataHome) -> Outcome:
    done = drive(ONE, METHODS, tmp_path_factory.mktemp("undisturbed"), home)
    assert {record.result.status for record in done.records} == {"ok"}
    return done


def killed_after(k: int, out: Path, home: DataHome, plan: object, **options: object) -> None:
    """A driver that kills itself right after the result of its k-th operation is in the store."""

    def work() -> None:
        count, done = [0], Broker._done

        def counted(self: Broker, *args: object) -> float:
            before = self.counts.operations
            epochs = done(self, *args)  # type: ignore[arg-type]
            count[0] += self.counts.operations > before
            if count[0] >= k:
                die()
            return epochs

        Broker._done = counted  # type: ignore[method-assign, assignment]
        drive(ONE, METHODS, out, home, plan=plan, **options)

    assert status_of(forked(work)) == -signal.SIGKILL


class TestKilled:
    def test_operations_of_this_suite(self, undisturbed: Outcome) -> None:
        assert undisturbed.broker.counts.operations == OPERATIONS

    @pytest.mark.parametrize("k", range(1, OPERATIONS + 1))
    def test_after_every_operation(self, tmp_path: Path, home: DataHome, undisturbed: Outcome, k: int) -> None:
        killed_after(k, tmp_path, home, undisturbed.plan)
        again = drive(ONE, METHODS, tmp_path, home, plan=undisturbed.plan)
        assert again.results == undisturbed.results
        assert k + again.broker.counts.operations == OPERATIONS

    @pytest.mark.parametrize("k", range(1, OPERATIONS, 2))
    def test_with_workers(self, tmp_path: Path, home: DataHome, undisturbed: Outcome, k: int) -> None:
        killed_after(k, tmp_path, home, undisturbed.plan, executor="local", workers=2)
        again = drive(ONE, METHODS, tmp_path, home, plan=undisturbed.plan, executor="local", workers=2)
        assert again.results == undisturbed.results
        assert k + again.broker.counts.operations <= OPERATIONS + IN_FLIGHT

    def test_and_again_and_again(self, tmp_path: Path, home: DataHome, undisturbed: Outcome) -> None:
        for _ in range(OPERATIONS):
            killed_after(1, tmp_path, home, undisturbed.plan)
        again = drive(ONE, METHODS, tmp_path, home, plan=undisturbed.plan)
        assert (again.results, again.broker.counts.operations) == (undisturbed.results, 0)

    def test_between_the_record_and_what_is_kept(self, tmp_path: Path, home: DataHome, undisturbed: Outcome) -> None:
        def work() -> None:
            Driver._keep = lambda *_: die()  # type: ignore[method-assign, assignment]
            drive(ONE, METHODS[:1], tmp_path, home, keep="finals")

        assert status_of(forked(work)) == -signal.SIGKILL
        again = drive(ONE, METHODS[:1], tmp_path, home, keep="finals")
        assert store_in(tmp_path).has("finals", again.of("ticket")[0].weights)


def records(out: Path) -> list[Path]:
    return sorted((out / "records").iterdir())


class TestDamage:
    @pytest.mark.parametrize("cut", [1, 30, 900])
    def test_half_a_line_of_records(
        self, tmp_path: Path, home: DataHome, undisturbed: Outcome, cut: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        drive(ONE, METHODS, tmp_path, home, plan=undisturbed.plan)
        [path] = [p for p in records(tmp_path) if p.stem == "snip"]
        path.write_bytes(path.read_bytes()[:-cut])
        again = drive(ONE, METHODS, tmp_path, home, plan=undisturbed.plan)
        assert again.results == undisturbed.results
        assert again.broker.counts.operations == 0
        assert ("snip.jsonl:1: not a record" in caplog.text) == (cut > 1)
        assert len(path.read_text().splitlines()) == 1

    @pytest.mark.parametrize("kind", ["states", "tensors", "values"])
    @pytest.mark.parametrize("how", ["cut", "bit", "gone"])
    def test_damaged_entries(self, tmp_path: Path, home: DataHome, undisturbed: Outcome, kind: str, how: str) -> None:
        killed_after(OPERATIONS - 1, tmp_path, home, undisturbed.plan, keep="all")
        for path in records(tmp_path):
            path.unlink()
        store = store_in(tmp_path)
        for path in (store.root / "traces").iterdir():  # as if no run had come to its end
            lines = [line for line in path.read_text().splitlines() if "outcome" not in line]
            path.write_text("".join(line + "\n" for line in lines))
        entries = sorted((store.root / kind).iterdir())
        assert entries
        for path in entries:
            content = path.read_bytes()
            match how:
                case "cut":
                    path.write_bytes(content[: len(content) // 2])
                case "bit":
                    path.write_bytes(content[:-1] + bytes([content[-1] ^ 4]))
                case "gone":
                    path.unlink()
        again = drive(ONE, METHODS, tmp_path, home, plan=undisturbed.plan, keep="all")
        assert again.results == undisturbed.results
        set_aside = [path for path in entries if path.with_suffix(".damaged").exists()]
        assert bool(set_aside) == (
            how != "gone" and kind != "tensors"
        )  # masks of finished trainings are not read again

    def test_a_damaged_state_of_a_training_that_ended_early(self, tmp_path: Path, home: DataHome) -> None:
        def own(run: Run) -> Network:
            net = run.train(run.init(), rule=Short(1))
            if os.environ.get("LTHBENCH_TEST_STOP"):
                raise ValueError
            return net.masked(run.select(magnitude(net)))

        os.environ["LTHBENCH_TEST_STOP"] = "1"
        try:
            drive(ONE, [method(own)], tmp_path, home, keep="all")
        finally:
            del os.environ["LTHBENCH_TEST_STOP"]
        [path] = (store_in(tmp_path).root / "states").iterdir()
        path.write_bytes(path.read_bytes()[:-1])
        [result] = drive(ONE, [method(own)], tmp_path, home).of("own")
        assert (result.status, result.reason) == ("ok", None)


class TestSecondExecution:
    def test_computes_nothing_and_charges_the_same(self, tmp_path: Path, home: DataHome, undisturbed: Outcome) -> None:
        drive(ONE, METHODS, tmp_path, home)
        for path in records(tmp_path):
            path.unlink()
        again = drive(ONE, METHODS, tmp_path, home)
        assert (again.broker.counts.operations, again.broker.counts.epochs) == (0, 0)
        assert again.results == undisturbed.results
        for record in again.records:
            charged = sum(record.result.charged.values()) / record.result.epoch
            assert (record.provenance.epochs_computed, record.provenance.epochs_reused) == (0, charged)

    def test_with_records_there_runs_no_method(self, tmp_path: Path, home: DataHome) -> None:
        mark = tmp_path / "ran"

        def own(run: Run) -> Network:
            if (
                context_of(run).ledger.limit
                and "lthbench.runs.driver.session" in type(context_of(run).engine).__module__
            ):
                mark.touch()
            return chance(run)

        first = drive(ONE, [method(own)], tmp_path / "out", home)
        assert mark.exists()
        mark.unlink()
        again = drive(ONE, [method(own)], tmp_path / "out", home)
        assert not mark.exists()
        assert again.records == first.records

    def test_failed_runs_are_done_anew(self, tmp_path: Path, home: DataHome, monkeypatch: pytest.MonkeyPatch) -> None:
        own = found(tmp_path, SWITCHED.replace("SWITCH", "raise ValueError('not today')"))
        monkeypatch.setenv("LTHBENCH_TEST_WAY", "other")
        assert drive(ONE, [own], tmp_path / "out", home).of("own")[0].status == "failed"
        monkeypatch.delenv("LTHBENCH_TEST_WAY")
        again = drive(ONE, [own], tmp_path / "out", home)
        assert again.of("own")[0].status == "ok"
        assert len((tmp_path / "out" / "records" / "own.jsonl").read_text().splitlines()) == 1

    def test_a_stop_while_they_are_done_anew_leaves_each_run_one_record(
        self, tmp_path: Path, home: DataHome, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        own, out = found(tmp_path, SWITCHED.replace("SWITCH", "raise ValueError('not today')")), tmp_path / "out"
        monkeypatch.setenv("LTHBENCH_TEST_WAY", "other")
        assert {result.status for result in drive(TINY, [own], out, home).of("own")} == {"failed"}
        monkeypatch.delenv("LTHBENCH_TEST_WAY")

        def stop(record: Record) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            driver(TINY, [own], out, home).run(stop)
        there = in_folder(out)  # which refuses two records of one run
        assert sorted(record.result.status for record in there) == ["failed", "failed", "failed", "ok"]
        assert {record.result.status for record in drive(TINY, [own], out, home).records} == {"ok"}

    def test_another_suite_or_parameter_is_another_run(self, tmp_path: Path, home: DataHome) -> None:
        def own(run: Run, order: int = 0) -> Network:
            net = run.train(run.init(), order=order)
            return net.masked(run.select(magnitude(net)))

        first = drive(ONE, [method(own)], tmp_path, home).of("own")[0]
        other = drive(ONE, [method(own, order=1)], tmp_path, home).of("own[order=1]")[0]
        assert other.weights != first.weights
        assert drive(ONE, [method(own)], tmp_path, home).of("own")[0] == first


SWITCHED = """
@method("own", cost="T")
def own(run):
    net = run.train(run.init())
    if os.environ.get("LTHBENCH_TEST_WAY"):
        SWITCH
    return net.masked(run.select(magnitude(net)))
"""


class TestSource:
    def test_changed_source_starts_anew(self, tmp_path: Path, home: DataHome) -> None:
        first = drive(ONE, [found(tmp_path, SWITCHED.replace("SWITCH", "pass"))], tmp_path / "out", home)
        changed = found(tmp_path, SWITCHED.replace("SWITCH", "pass").replace("run.init()", "run.init(1)"))
        other = drive(ONE, [changed], tmp_path / "out", home)
        assert first.of("own")[0].source != other.of("own")[0].source
        assert first.of("own")[0].weights != other.of("own")[0].weights
        assert other.broker.counts.operations == 2

    def test_the_same_source_that_asks_otherwise_fails_and_shows_both(
        self, tmp_path: Path, home: DataHome, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def killed() -> None:
            d = driver(ONE, [own], tmp_path / "out", home)
            os.environ["LTHBENCH_TEST_WAY"] = "other"
            d.run()

        own = found(tmp_path, SWITCHED.replace("SWITCH", "run.train(net.at(0))\n        os.kill(os.getpid(), 9)"))
        assert status_of(forked(killed)) == -signal.SIGKILL
        [trace] = (store_in(tmp_path / "out").root / "traces").iterdir()
        before = Trace(store_in(tmp_path / "out"), trace.stem).asked[1]
        [result] = drive(ONE, [own], tmp_path / "out", home).of("own")
        assert result.status == "failed"
        assert (
            f"not deterministic: operation 2 was {before} when the same source ran before, and is evaluate "
            in result.reason
        )

    def test_a_rule_of_changed_source_trains_anew(self, tmp_path: Path, home: DataHome) -> None:
        body = SWITCHED.replace("SWITCH", "pass").replace("run.init()", "run.init(), rule=Own()")
        rule = "@dataclass(frozen=True)\nclass Own(Rule):\n    every: int = 1\n    def after_step(self, s):\n        SELF\n"
        runs = [
            drive(ONE, [found(tmp_path, rule.replace("SELF", what) + body)], tmp_path / "out", home)
            for what in ("pass", "s.params['out.bias'].zero_()")
        ]
        assert [run.of("own")[0].status for run in runs] == ["ok", "ok"]
        assert runs[0].of("own")[0].weights != runs[1].of("own")[0].weights


@pytest.mark.parametrize("executor", ["serial", "local"])
def test_interrupted_by_the_keyboard(tmp_path: Path, home: DataHome, undisturbed: Outcome, executor: str) -> None:
    def interrupt(record: Record) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        driver(ONE, METHODS, tmp_path, home, executor=executor).run(interrupt)
    assert drive(ONE, METHODS, tmp_path, home, executor=executor).results == undisturbed.results
