"""A suite that the disk has no room for is refused before any work."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from lthbench.data import DataHome
from lthbench.errors import InputError
from tests.runs.helpers import ONE, drive, driver, method, ticket


def room(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    """Let the disk have so many bytes free."""
    monkeypatch.setattr("lthbench.runs.driver.driver.shutil.disk_usage", lambda _: SimpleNamespace(free=free))


@pytest.mark.parametrize("keep", ["masks", "finals", "all"])
def test_no_room_is_said_before_any_work(
    tmp_path: Path, home: DataHome, monkeypatch: pytest.MonkeyPatch, keep: str
) -> None:
    d = driver(ONE, [method(ticket)], tmp_path / "out", home, keep=keep)
    states = {"masks": d.plan.peak(4), "finals": d.plan.peak(4) + d.plan.finals, "all": d.plan.states}[keep]
    room(monkeypatch, states + d.plan.stays - 1)
    with pytest.raises(InputError, match=rf"has .* GB free, this suite needs .* GB more with --keep {keep}; .* --out"):
        d.run()
    assert list((tmp_path / "out").iterdir()) == []


def test_what_the_store_holds_needs_no_more_room(
    tmp_path: Path, home: DataHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = drive(ONE, [method(ticket)], tmp_path, home, keep="all")
    there = sum(path.stat().st_size for path in (tmp_path / "store").rglob("*") if path.is_file())
    assert there > 10_000
    room(monkeypatch, done.plan.states + done.plan.stays - there)
    assert drive(ONE, [method(ticket)], tmp_path, home, keep="all").results == done.results
