"""Observing a run folder: counts, running runs, how long it takes; and reading only what is new."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lthbench.data import DataHome
from lthbench.errors import InputError
from lthbench.methods import registry
from lthbench.runs.plan.planned_run import PlannedRun
from lthbench.runs.records.run_id import RunId
from lthbench.runs.status import progress
from lthbench.runs.status.announcement import Planned, announce, announced, sums
from lthbench.runs.status.observer import Observer, Row, Snapshot, _timed
from lthbench.runs.status.progress import Ended, Progress
from lthbench.runs.store.files import append_line, write_whole
from lthbench.runs.store.locks import FOLDER, FileLocks
from lthbench.suite import Suite
from tests.processes import forked, until
from tests.runs.helpers import TINY, Outcome, chance, dense, drive, method, planned, tiny

CHANCE = method(chance)
SUITE = tiny(methods=("chance",))
NAMES = [PlannedRun(CHANCE, cell).run_id for cell in SUITE.cells()]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, home: DataHome) -> Outcome:
    return drive(SUITE, [CHANCE], tmp_path_factory.mktemp("run"), home)


@pytest.fixture
def out(tmp_path: Path, home: DataHome) -> Path:
    """A run folder whose four runs are announced and not begun."""
    write_whole(tmp_path / "suite.json", SUITE.model_dump_json().encode())
    announce(tmp_path, SUITE.hash, sums(planned(SUITE, [CHANCE], home)), ("lthbench", "run", "tiny"))
    return tmp_path


def append(out: Path, run: Outcome, *which: int) -> None:
    for i in which:
        append_line(out / "records/chance.jsonl", run.records[i].line())


@contextmanager
def running(out: Path, *names: RunId) -> Iterator[None]:
    """Let another process claim these runs."""

    def hold() -> None:
        locks = FileLocks(out / "store" / "build" / FOLDER)
        locks.take("a-training")
        assert all(locks.take(f"run{i}", name.text) for i, name in enumerate(names))
        (out / "held").touch()
        time.sleep(60)

    pid = forked(hold)
    try:
        assert until((out / "held").exists)
        yield
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)


def counts(snapshot: Snapshot) -> list[int]:
    return [snapshot.count(what) for what in ("runs", "to_do", "running", "ok", "diverged", "failed")]


def test_before_anything_has_ended(out: Path) -> None:
    snapshot = Observer(out).look()
    assert snapshot.rows == [Row("chance", 4, 0, 0, 0, 0, 8.0)]
    assert (snapshot.at_work, snapshot.done, snapshot.left) == (False, False, None)


def test_counts_as_records_arrive(out: Path, run: Outcome) -> None:
    observer = Observer(out)
    for k in range(4):
        append(out, run, k)
        snapshot = observer.look()
        assert counts(snapshot) == [4, 3 - k, 0, k + 1, 0, 0]
        assert (snapshot.charged, snapshot.computed) == (2 * (k + 1), 2 * (k + 1))
    assert snapshot.done


def test_a_run_is_running_while_its_driver_lives(out: Path, run: Outcome) -> None:
    append(out, run, 0)
    observer = Observer(out)
    with running(out, NAMES[1], NAMES[2]):
        snapshot = observer.look()
        assert counts(snapshot) == [4, 1, 2, 1, 0, 0]
        assert snapshot.at_work
        assert counts(observer.look()) == counts(snapshot)  # to look takes no claim away
    after = observer.look()
    assert counts(after) == [4, 3, 0, 1, 0, 0]
    assert not after.at_work


def failed(record: str) -> str:
    fields = json.loads(record)
    fields["result"] |= {"status": "failed", "reason": "x"}
    return json.dumps(fields)


def test_a_failed_run_that_is_repeated(out: Path, run: Outcome) -> None:
    append_line(out / "records/chance.jsonl", failed(run.records[0].line()))
    append(out, run, 1)
    observer = Observer(out)
    assert counts(observer.look()) == [4, 2, 0, 1, 0, 1]
    with running(out, run.records[0].run_id, run.records[1].run_id):
        assert counts(observer.look()) == [4, 2, 1, 1, 0, 0]
    append(out, run, 0)
    assert counts(observer.look()) == [4, 2, 0, 2, 0, 0]
    assert observer.failed == {}


def test_of_two_lines_for_a_run_the_later_one_counts(out: Path, run: Outcome) -> None:
    append(out, run, 0)
    again = json.loads(run.records[0].line())
    again["provenance"]["epochs_computed"] = 0.0
    append_line(out / "records/chance.jsonl", json.dumps(again))
    snapshot = Observer(out).look()
    assert (snapshot.count("ok"), snapshot.charged, snapshot.computed) == (1, 2.0, 0.0)


class TestTail:
    @pytest.fixture
    def parsed(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """Where each line that is parsed stands."""
        seen: list[str] = []
        parse = progress.parse
        monkeypatch.setattr(progress, "parse", lambda line, where: (seen.append(where), parse(line, where))[1])
        return seen

    def test_reads_each_line_once(self, out: Path, run: Outcome, parsed: list[str]) -> None:
        own = Progress(out / "records/chance.jsonl")
        own.read()
        for k in range(3):
            append(out, run, k)
            own.read()
            own.read()
        assert parsed == [f"{own.path}:{k}" for k in (1, 2, 3)]

    def test_half_a_line_waits_for_its_end(self, out: Path, run: Outcome, parsed: list[str]) -> None:
        own, line = Progress(out / "records/chance.jsonl"), run.records[0].line().encode() + b"\n"
        own.path.parent.mkdir()
        own.path.write_bytes(line[:100])
        own.read()
        assert parsed == []
        own.path.write_bytes(line)
        own.read()
        assert list(own.ended) == [run.records[0].run_id]

    def test_a_file_that_is_written_anew_is_read_anew(self, out: Path, run: Outcome, parsed: list[str]) -> None:
        own = Progress(out / "records/chance.jsonl")
        append(out, run, 0, 1)
        own.read()
        write_whole(own.path, b"".join(run.records[k].line().encode() + b"\n" for k in (2, 3, 0)))
        own.read()
        assert set(own.ended) == {run.records[k].run_id for k in (2, 3, 0)}
        own.path.unlink()
        own.read()
        assert own.ended == {}

    def test_a_broken_line_is_said_once(self, out: Path, run: Outcome, caplog: pytest.LogCaptureFixture) -> None:
        append(out, run, 0)
        append_line(out / "records/chance.jsonl", '{"half')
        append(out, run, 1)
        own = Progress(out / "records/chance.jsonl")
        own.read()
        own.read()
        assert len(own.ended) == 2
        assert caplog.text.count("chance.jsonl:2: not a record") == 1


class TestLeft:
    START = datetime.now(UTC)

    @pytest.fixture(autouse=True)
    def _100_seconds_later(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(time, "time", lambda: self.START.timestamp() + 100)

    def timed(self, *ended: Ended) -> Snapshot:
        rows = [Row("a", 10, len(ended), 0, 0, 1, 40.0), Row("b", 5, 0, 0, 0, 0, None)]
        return _timed(Snapshot(rows, 0.0, 0.0), ended, self.START)

    def test_by_the_epochs_charged_since_the_start(self) -> None:
        at = self.START.timestamp()
        earlier, own = Ended("ok", None, 4.0, 4.0, at - 1), Ended("ok", None, 4.0, 2.0, at + 50)
        left = self.timed(earlier, own)
        assert left.elapsed == pytest.approx(100)
        assert left.epochs_per_second == pytest.approx(2 / 100)
        assert left.left == pytest.approx(8 * 4 / (4 / 100))  # eight runs of 4 epochs, 4 in 100 s

    def test_is_unknown_before_the_first_run_has_ended(self) -> None:
        assert self.timed().left is None


class TestAnnouncement:
    def test_methods_of_other_drivers_stay(self, tmp_path: Path) -> None:
        announce(tmp_path, "h", {"a": Planned(runs=1, epochs=2.0)}, ("one",))
        announce(tmp_path, "h", {"b": Planned(runs=3, epochs=4.0)}, ("two",))
        said = announced(tmp_path)
        assert said
        assert (list(said.methods), said.command) == (["a", "b"], ("two",))

    def test_those_of_an_older_text_of_the_suite_go(self, tmp_path: Path) -> None:
        announce(tmp_path, "h", {"a": Planned(runs=1, epochs=2.0)}, ())
        announce(tmp_path, "g", {"b": Planned(runs=3, epochs=4.0)}, ())
        said = announced(tmp_path)
        assert said
        assert list(said.methods) == ["b"]

    @pytest.mark.parametrize("content", [b"", b"{}", b"\xff"])
    def test_what_cannot_be_read_counts_as_nothing(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "plan.json").write_bytes(content)
        assert announced(tmp_path) is None


def test_a_folder_from_before_has_no_announcement(
    run: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "load_all", lambda: {"dense": method(dense, track="dense")})
    suite: Suite = tiny(methods=("dense", "nobody-knows"))
    write_whole(tmp_path / "suite.json", suite.model_dump_json().encode())
    append(tmp_path, run, 0)
    rows = {row.method: (row.runs, row.ok) for row in Observer(tmp_path).look().rows}
    assert rows == {"dense": (2, 0), "nobody-knows": (0, 0), "chance": (1, 1)}


def test_no_run_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"it has no suite\.json"):
        Observer(tmp_path)


def test_tiny_is_what_is_run() -> None:
    assert len(NAMES) == 4
    assert SUITE.hash == TINY.hash
