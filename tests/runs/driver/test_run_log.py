"""The log of a run: what it asked for, how that came to be done, how it ended; never a reason for a run to fail."""

import os
import re
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from lthbench import Network, Rule, Run, TrainingState
from lthbench.data import DataHome
from lthbench.runs.driver.run_log import failure
from lthbench.runs.plan.planned_run import PlannedRun
from lthbench.runs.records.run_id import parts_of
from tests.processes import die, forked, status_of
from tests.runs.helpers import ONE, chance, drive, driver, finetune, method, snip, ticket, tiny

LINE = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ  (started|asks|found|waited for|computed|ok|diverged|failed) *  \S.*"
)


def log_of(out: Path, name: str) -> list[str]:
    """The lines of the only log of a method."""
    [path] = (out / "logs" / name).iterdir()
    return path.read_text().splitlines()


def events(lines: list[str]) -> list[str]:
    return [line.split("  ")[1].strip() for line in lines if not line.startswith(" ")]


def test_says_what_was_asked_and_how_it_was_done(tmp_path: Path, home: DataHome) -> None:
    drive(ONE, list(map(method, (ticket, finetune, snip))), tmp_path, home)
    own, other = log_of(tmp_path, "ticket"), log_of(tmp_path, "finetune")
    assert all(LINE.fullmatch(line) for line in [*own, *other])
    assert events(own) == ["started", *["asks", "computed"] * 3, "ok"]
    assert events(other)[:5] == ["started", "asks", "found", "asks", "computed"]  # the dense training is the ticket's
    assert re.search(r"computed    1 train 0 → 20 on [0-9a-f]{8}: 2 epochs in \d+\.\d\d s, \d+\.\d\d s with", own[2])
    assert "ticket on mlp-16/digits, learning rate 0.1, sparsity 0.5, seed 0" in own[0]
    assert re.search(r"of 500 test images right, 4 epochs charged", own[-1])
    assert any("measure Gradients: 0.0856" in line for line in log_of(tmp_path, "snip"))


def test_runs_that_are_done_say_nothing_more(tmp_path: Path, home: DataHome) -> None:
    drive(ONE, [method(ticket)], tmp_path, home)
    before = log_of(tmp_path, "ticket")
    for path in (tmp_path / "records").iterdir():
        path.unlink()
    drive(ONE, [method(ticket)], tmp_path, home)
    assert log_of(tmp_path, "ticket") == before


def test_a_run_that_goes_on_appends(tmp_path: Path, home: DataHome) -> None:
    def own(run: Run) -> Network:
        net = chance(run)
        if os.environ.get("LTHBENCH_TEST_DIE"):
            die()
        return net

    def killed() -> None:
        os.environ["LTHBENCH_TEST_DIE"] = "1"
        d.run()

    d = driver(ONE, [method(own)], tmp_path, home)
    assert status_of(forked(killed)) == -9
    drive(ONE, [method(own)], tmp_path, home)
    attempts = ["started", "asks", "computed", "started", "asks", "found", "asks", "computed", "ok"]
    assert events(log_of(tmp_path, "own")) == attempts


def test_waiting_for_another_run(tmp_path: Path, home: DataHome) -> None:
    """Two runs ask for one training at once: the one computes it, the other waits."""
    asked = threading.Barrier(2)

    def one(run: Run) -> Network:
        return chance(run)

    def two(run: Run) -> Network:
        return chance(run)

    from lthbench.runs.driver import broker

    has, seen = broker.Store.has, set()

    def late(self: broker.Store, kind: str, key: str) -> bool:
        there = has(self, kind, key)
        me = (threading.get_ident(), key)
        if kind == "states" and not there and me not in seen:
            seen.add(me)
            asked.wait(30)
        return there

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(broker.Store, "has", late)
        drive(ONE, [method(one), method(two)], tmp_path, home, executor="local", workers=1)
    how = sorted(events(log_of(tmp_path, name))[2] for name in ("one", "two"))
    assert how == ["computed", "waited for"]


def inner() -> None:
    raise KeyError("deep")


def test_a_failure_says_where_with_the_whole_traceback(tmp_path: Path, home: DataHome) -> None:
    def own(run: Run) -> Network:
        run.train(run.init(), until=1)
        inner()
        return chance(run)

    [result] = drive(ONE, [method(own)], tmp_path, home).of("own")
    lines = log_of(tmp_path, "own")
    where = re.escape(result.reason.rpartition("(")[2].rstrip(")"))
    [failed] = [line for line in lines if "  failed  " in line]
    assert re.search(rf"failed      {where}, after operation 1 \(train 0 → 10 on \w+\): KeyError: 'deep'", failed)
    assert {"    Traceback (most recent call last):", "    KeyError: 'deep'"} <= set(lines)
    assert any(line.endswith(", in inner") for line in lines)
    assert "\n" not in result.reason


def test_a_run_that_diverges_says_so_and_what_came_of_it(tmp_path: Path, home: DataHome) -> None:
    drive(tiny(learning_rates=(1e6,), sparsities=(0.5,), seeds=1), [method(chance), method(ticket)], tmp_path, home)
    assert events(log_of(tmp_path, "chance"))[-2:] == ["computed", "diverged"]
    lines = log_of(tmp_path, "ticket")
    assert events(lines)[-2:] == ["diverged", "diverged"]  # where it broke, and how the run stands
    assert "weights are not finite after init → train 2" in lines[-1]


@dataclass(frozen=True)
class Breaks(Rule):
    every: int = 1

    def after_step(self, s: TrainingState) -> None:
        raise ZeroDivisionError("in the rule")


@pytest.mark.parametrize("executor", ["serial", "local"])
def test_a_failure_in_a_worker_brings_its_traceback(tmp_path: Path, home: DataHome, executor: str) -> None:
    def own(run: Run) -> Network:
        return run.train(run.init(), rule=Breaks())

    drive(ONE, [method(own)], tmp_path, home, executor=executor)
    text = "\n".join(log_of(tmp_path, "own"))
    assert re.search(
        r"failed      test_run_log.py:\d+, in operation 1 \(train 0 → 20 on \w+\): ZeroDivisionError: in", text
    )
    assert "in after_step" in text


def test_where_no_log_can_be_written_the_run_goes_on(
    tmp_path: Path, home: DataHome, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "logs").write_text("a file")
    [result] = drive(ONE, [method(chance)], tmp_path, home).of("chance")
    assert result.status == "ok"
    assert "the run goes on without a log" in caplog.text


def test_two_drivers_write_whole_lines(tmp_path: Path, home: DataHome) -> None:
    suite, methods = tiny(seeds=4), list(map(method, (ticket, finetune)))
    pid = forked(lambda: drive(suite, methods, tmp_path, home, executor="local", workers=2))
    drive(suite, methods, tmp_path, home, executor="local", workers=2)
    assert status_of(pid) == 0
    logs = list((tmp_path / "logs").rglob("*.log"))
    assert len(logs) == 16
    for path in logs:
        lines = path.read_text().splitlines()
        assert all(LINE.fullmatch(line) for line in lines)
        assert (events(lines)[0], events(lines)[-1], events(lines).count("started")) == ("started", "ok", 1)


def test_the_last_failure_counts(tmp_path: Path) -> None:
    assert failure(tmp_path / "none.log") is None
    path = tmp_path / "a.log"
    path.write_text(
        "T  started     x\nT  failed      a.py:1, here: one\n    Traceback\nT  failed      a.py:2, there: two\n"
    )
    assert failure(path) == "a.py:2, there: two"


@pytest.mark.parametrize(("rate", "sparsity"), [(0.1, 0.5), (1e-05, 0.995), (3.0, 1e-07)])
def test_a_path_says_which_run(rate: float, sparsity: float) -> None:
    suite = tiny(learning_rates=(rate,), sparsities=(sparsity,), seeds=1)
    run = PlannedRun(method(ticket), suite.cells()[0]).run_id
    path = run.log(Path("out"))
    assert path.parts[:3] == ("out", "logs", "ticket")
    assert path.stem == run.path.name
    said = {"workload": "mlp-16_digits", "learning_rate": rate, "sparsity": sparsity, "seed": 0}
    assert parts_of(path.stem) == said
