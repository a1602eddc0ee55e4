"""Every hostile or broken bundle is refused with its reason, and nothing is written outside a temporary folder."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from lthbench.submission.verification.report import Report
from lthbench.submission.verification.verify import Options, verify
from tests.submission.forge import Forgery
from tests.submission.verification import hostile_bounds  # noqa: F401, enters more of the catalogue
from tests.submission.verification.hostile import CATALOGUE


def everything(folder: Path) -> dict[str, tuple[int, float]]:
    """Every name below a folder, with its size and time."""
    return {str(p): (p.lstat().st_size, p.lstat().st_mtime) for p in folder.rglob("*")}


@pytest.fixture
def reported(data_folder: Path) -> Callable[[Path], Report]:
    return lambda path: verify(path, Options(data=data_folder))


def test_the_catalogue_is_long_enough() -> None:
    assert len(CATALOGUE) >= 150


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_refused_with_its_reason(
    name: str, good: Path, tmp_path: Path, reported: Callable[[Path], Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    build, reason = CATALOGUE[name]
    path = (
        build(Forgery.of(good), tmp_path / "a" / "b" / "bundle")
        if (tmp_path / "a/b").mkdir(parents=True) is None
        else None
    )
    assert path is not None
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    before = everything(tmp_path)
    report = reported(path)
    assert not report.passed
    failed = [found for _, _, passed, found in report.rows if passed == "FAILED"]
    assert any(re.search(reason, found) for found in failed), failed
    assert all(found.isprintable() and len(found) < 1500 for found in failed)
    assert everything(tmp_path) == before
    assert not Path("/tmp/escaped.txt").exists()
    assert not (Path.cwd().parent / "escaped.txt").exists()


def test_the_honest_one_is_not_refused(good: Path, tmp_path: Path, reported: Callable[[Path], Report]) -> None:
    forgery = Forgery.of(good)
    forgery.rehash()
    for path in (forgery.write(tmp_path / "folder"), forgery.zip(tmp_path / "bundle.zip")):
        report = reported(path)
        assert report.passed, report.rows
        assert report.level == "re-evaluated"
