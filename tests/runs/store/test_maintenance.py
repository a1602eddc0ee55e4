"""`lthbench store`: sizes, check, clean, merge."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from lthbench.cli import main
from lthbench.data import DataHome
from lthbench.runs.store import maintenance
from lthbench.runs.store.locks import FOLDER, FileLocks
from lthbench.runs.store.maintenance import clean, merge, move, sizes, verify
from lthbench.runs.store.store import Store
from tests.processes import forked, until
from tests.runs.helpers import METHODS, ONE, Outcome, drive, store_in


def run_in(out: Path, home: DataHome) -> Outcome:
    out.mkdir(parents=True)
    (out / "suite.json").write_text(ONE.model_dump_json())
    return drive(ONE, METHODS, out, home, keep="finals")


@pytest.fixture
def done(tmp_path: Path, home: DataHome) -> Outcome:
    return run_in(tmp_path / "runs" / "one", home)


def say(*words: object) -> tuple[int, str]:
    ended = CliRunner().invoke(main, ["store", *map(str, words)])
    return ended.exit_code, ended.output


def test_the_sizes_are_those_of_the_files(done: Outcome) -> None:
    files = [p for p in (done.out / "store").rglob("*") if p.is_file()]
    shown = sizes(done.out.parent)
    assert sum(s.bytes for s in shown) == sum(p.stat().st_size for p in files)
    assert {s.kind for s in shown} == {"finals", "tensors", "traces", "values"}
    assert {s.suite for s in shown} == {ONE.name}
    code, words = say("show", done.out.parent)
    assert code == 0
    assert ONE.name in words


def test_a_flipped_bit_is_found_and_set_aside(done: Outcome) -> None:
    whole, damaged = verify(done.out)
    assert not damaged
    path = next(store_in(done.out).root.glob("values/*.safetensors"))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert verify(done.out) == (whole - 1, [path])
    assert not path.exists()
    assert verify(done.out) == (whole - 1, [])


def test_an_entry_that_a_driver_drops_meanwhile_is_not_damaged(done: Outcome, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, _ = verify(done.out)
    listed = maintenance._entries

    def dropping(store: Store) -> Iterator[Path]:
        paths = list(listed(store))
        paths[0].unlink()
        return iter(paths)

    monkeypatch.setattr(maintenance, "_entries", dropping)
    assert verify(done.out) == (whole - 1, [])


@pytest.mark.parametrize("keep, left", [
    ("masks", {"tensors", "traces", "values"}), ("finals", {"finals", "tensors", "traces", "values"}), ("nothing", set()),
])  # fmt: skip
def test_pruning_by_policy(done: Outcome, home: DataHome, keep: str, left: set[str]) -> None:
    root = store_in(done.out).root
    (root / "values" / ".half").write_bytes(b"1234")
    os.utime(root / "values" / ".half", (0, 0))
    before = sum(s.bytes for s in sizes(done.out))
    freed = clean(done.out, keep)  # type: ignore[arg-type]
    assert {s.kind for s in sizes(done.out)} == left
    assert sum(s.bytes for s in sizes(done.out)) == before - freed
    assert not (root / "values" / ".half").exists()
    (done.out / "records").rename(done.out / "elsewhere")
    again = drive(ONE, METHODS, done.out, home)
    assert again.results == done.results
    assert (again.broker.counts.epochs == 0) == (keep != "nothing")


def test_a_merged_store_answers_for_the_other(done: Outcome, home: DataHome, tmp_path: Path) -> None:
    copied, damaged = merge(done.out, tmp_path / "new")
    assert copied
    assert not damaged
    again = drive(ONE, METHODS, tmp_path / "new", home)
    assert again.results == done.results
    assert again.broker.counts.operations == 0
    assert merge(done.out, tmp_path / "new") == (0, 0)


def test_what_is_damaged_stays_behind(done: Outcome, tmp_path: Path) -> None:
    path = next(store_in(done.out).root.glob("values/*.safetensors"))
    path.write_bytes(b"")
    assert move(done.out, tmp_path / "new")[1] == 1
    assert (done.out / "store").exists()
    assert move(done.out, tmp_path / "newer")[1] == 0
    assert not (done.out / "store").exists()


def test_a_folder_without_a_store_is_one_clear_line(tmp_path: Path) -> None:
    code, words = say("show", tmp_path)
    assert code == 2
    assert "holds no store" in words


@pytest.fixture
def busy(tmp_path: Path) -> Path:
    """A run folder in use: an entry, a lock, a file that is not of the store, and one that vanishes."""
    (tmp_path / "suite.json").write_text(ONE.model_dump_json())
    for name in ("values/one.safetensors", "values/.gone", "locks/a-training", "notes.txt"):
        path = tmp_path / "store/environment" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"1234")
    return tmp_path


def test_what_a_driver_removes_meanwhile_is_left_out(busy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    is_file, stat = Path.is_file, Path.stat

    def gone(path: Path, **options: bool) -> os.stat_result:
        if path.name == ".gone":
            raise FileNotFoundError(path)
        return stat(path, **options)

    monkeypatch.setattr(Path, "is_file", lambda path: path.name == ".gone" or is_file(path))
    monkeypatch.setattr(Path, "stat", gone)
    assert [(s.kind, s.entries, s.bytes) for s in sizes(busy)] == [("values", 1, 4)]
    assert clean(busy, "all") == 0


def test_a_trace_and_a_value_that_a_driver_is_at_work_on_stay(busy: Path) -> None:
    root = busy / "store/environment"
    (root / "traces").mkdir()
    (root / "traces/a-run.jsonl").write_bytes(b"1234")

    def hold() -> None:
        locks = FileLocks(root / FOLDER)
        assert locks.take("one") and locks.take("a-run")
        (busy / "held").touch()
        time.sleep(60)

    pid = forked(hold)
    try:
        assert until((busy / "held").exists)
        clean(busy, "nothing")
        assert (root / "values/one.safetensors").exists() and (root / "traces/a-run.jsonl").exists()
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    clean(busy, "nothing")
    assert not (root / "values/one.safetensors").exists() and not (root / "traces/a-run.jsonl").exists()
