"""Drivers that share a store: nothing is done twice, and a claim ends with its process."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from lthbench.data import DataHome
from lthbench.errors import LthbenchError
from lthbench.runs.records.record import in_folder
from lthbench.runs.records.writer import RecordWriter
from lthbench.runs.store.locks import FileLocks
from tests.processes import die, forked, status_of, until
from tests.runs.helpers import METHODS, TINY, Outcome, drive, driver


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, home: DataHome) -> Outcome:
    return drive(TINY, METHODS, tmp_path_factory.mktemp("undisturbed"), home)


def test_one_holder_at_a_time_in_a_process(tmp_path: Path) -> None:
    locks = FileLocks(tmp_path / "locks")
    assert locks.take("a")
    assert not locks.take("a")
    assert locks.take("b")
    locks.release("a")
    assert locks.take("a")


def test_one_holder_at_a_time_among_processes(tmp_path: Path) -> None:
    locks = FileLocks(tmp_path)
    assert locks.take("a")
    assert status_of(forked(lambda: FileLocks(tmp_path).take("a") and die())) == 0
    locks.release("a")
    assert status_of(forked(lambda: FileLocks(tmp_path).take("a") and die())) == -9


def test_a_claim_ends_with_its_process(tmp_path: Path) -> None:
    def hold() -> None:
        FileLocks(tmp_path).take("a")
        die()

    assert status_of(forked(hold)) == -9
    assert (tmp_path / "a").exists()
    assert FileLocks(tmp_path).take("a")


def test_who_waits_goes_on_when_it_is_released_or_not_wanted_any_more(tmp_path: Path) -> None:
    locks = FileLocks(tmp_path)
    locks.take("a")
    threading.Timer(0.1, lambda: locks.release("a")).start()
    with locks.held("a") as mine:
        assert mine
        with locks.held("a", lambda: True) as again:
            assert not again
    assert locks.take("a")


def test_closing_ends_all_waiting(tmp_path: Path) -> None:
    locks = FileLocks(tmp_path)
    locks.take("a")
    threading.Timer(0.1, locks.close).start()
    with pytest.raises(LthbenchError, match="stopped"), locks.held("a"):
        pass


@pytest.mark.parametrize("executor", ["serial", "local"])
def test_two_drivers_share_the_work(tmp_path: Path, home: DataHome, undisturbed: Outcome, executor: str) -> None:
    """Started at once on one suite and store: together they compute what one would, and both have every record."""
    counts = tmp_path / "other"

    def other() -> None:
        second = drive(TINY, METHODS, tmp_path / "out", home, executor=executor)
        assert second.results == undisturbed.results
        counts.write_text(f"{second.broker.counts.operations} {second.broker.counts.epochs}")

    pid = forked(other)
    first = drive(TINY, METHODS, tmp_path / "out", home, executor=executor)
    assert status_of(pid) == 0
    assert first.results == undisturbed.results
    operations, epochs = map(float, counts.read_text().split())
    assert operations + first.broker.counts.operations == undisturbed.broker.counts.operations
    assert epochs + first.broker.counts.epochs == pytest.approx(undisturbed.broker.counts.epochs)
    computed = sum(record.provenance.epochs_computed for record in in_folder(tmp_path / "out"))
    assert computed == pytest.approx(undisturbed.broker.counts.epochs)  # each record is of who computed


def test_a_driver_that_is_killed_beside_another_leaves_each_run_one_record(tmp_path: Path, home: DataHome) -> None:
    """The other one has ended, and what it did was just found by the one that is killed."""
    methods, ended = METHODS[:3], tmp_path / "ended"

    def killed() -> None:
        d = driver(TINY, methods, tmp_path / "out", home)
        read = RecordWriter.standing

        def late(self: RecordWriter, stands: Any) -> Any:
            found = list(read(self, stands))  # nothing is there yet
            ended.with_suffix(".waits").touch()
            assert until(ended.exists)
            return iter(found)

        RecordWriter.standing = late  # type: ignore[method-assign]
        done: list[Any] = []
        d.run(lambda record: done.append(record) or (len(done) == 5 and die()))

    pid = forked(killed)
    assert until(ended.with_suffix(".waits").exists)
    first = drive(TINY, methods, tmp_path / "out", home)
    ended.touch()
    assert status_of(pid) == -9
    assert sorted(record.run_id for record in in_folder(tmp_path / "out")) == sorted(first.results)


def test_a_driver_takes_over_from_one_that_died(tmp_path: Path, home: DataHome, undisturbed: Outcome) -> None:
    pid = forked(lambda: driver(TINY, METHODS, tmp_path, home).run(lambda record: die()))
    time.sleep(0.3)
    assert drive(TINY, METHODS, tmp_path, home).results == undisturbed.results
    assert status_of(pid) == -9


def test_a_driver_that_ends_takes_no_folder_from_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one removes the folder, which is empty, just when the other has seen to it that it is there."""
    folder, times = tmp_path / "locks", iter([True, False])
    mkdir = Path.mkdir

    def made(path: Path, *args: Any, **options: Any) -> None:
        mkdir(path, *args, **options)
        if path == folder and next(times):
            FileLocks(folder).close()

    monkeypatch.setattr(Path, "mkdir", made)
    assert FileLocks(folder).take("a")
