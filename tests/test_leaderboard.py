"""The published tables are generated: they must be what the committed records give, to the last digit."""

import html
import re
import shutil
from pathlib import Path

import pytest

from lthbench.board.analysis import Analysis
from lthbench.board.build import build
from lthbench.runs.records.record import in_folder
from lthbench.runs.records.tables import tabulated
from lthbench.suite import Suite

ROOT = Path(__file__).parent.parent
RESULTS = sorted(path for path in (ROOT / "leaderboard/results").iterdir() if path.is_dir())


GENERATED = ("tables", "site", "charts")


@pytest.fixture(scope="module")
def rescored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A leaderboard built from the committed records and the files that are written by hand, with README.md above it."""
    folder = tmp_path_factory.mktemp("rescored") / "leaderboard"
    shutil.copytree(ROOT / "leaderboard", folder, ignore=shutil.ignore_patterns(*GENERATED))
    shutil.copy(ROOT / "README.md", folder.parent)
    build(folder)
    return folder


def test_a_rescore_gives_the_committed_files(rescored: Path) -> None:
    for path in [*rescored.rglob("*"), rescored.parent / "README.md"]:
        if path.is_file():
            committed = (ROOT / path.relative_to(rescored.parent)).read_text()
            assert comparable(path.suffix, path.read_text()) == comparable(path.suffix, committed), (
                f"{path.name}: type make board"
            )


def test_nothing_generated_is_left_over(rescored: Path) -> None:
    there, made = ({p.relative_to(at) for p in at.rglob("*") if p.is_file()} for at in (ROOT / "leaderboard", rescored))
    assert {p for p in there if p.parts[0] in GENERATED} <= made


def test_pages_are_small_enough_to_be_tracked() -> None:
    for path in (ROOT / "leaderboard").rglob("*"):
        assert not path.is_file() or path.stat().st_size < 2 * 2**20, path


def test_results_are_small_enough_to_be_tracked() -> None:
    for path in (ROOT / "leaderboard/results").rglob("*"):
        assert not path.is_file() or path.stat().st_size < 2**20, path


def comparable(suffix: str, text: str) -> str:
    """The text; of an SVG what it says, without places and sizes, which depend on the fonts that are installed."""
    places = r' (?:d|transform|x2|y2|width|height|viewBox|opacity|display)="[^"]*"'
    return re.sub(places, "", text) if suffix == ".svg" else text


def test_published_results_are_whole_and_of_the_suite_as_it_is() -> None:
    for folder in RESULTS:
        suite, records = Suite.read(folder.name), in_folder(folder)
        assert {r.result.suite_hash for r in records} == {suite.hash}
        assert {r.result.method for r in records} >= set(suite.methods)
        assert all(r.result.status != "failed" for r in records)


def test_shuffled_records_give_the_same_tables() -> None:
    for folder in RESULTS:
        suite, records = Suite.read(folder.name), in_folder(folder)
        for a, b in suite.duels[:1]:
            forwards, backwards = (Analysis(suite, tabulated(r)).duel(a, b) for r in (records, records[::-1]))
            assert forwards.cells.equals(backwards.cells)
            assert forwards.marginals.equals(backwards.marginals)


@pytest.mark.parametrize("path", sorted((ROOT / "leaderboard/findings").iterdir()), ids=lambda path: path.stem)
def test_a_finding_stands_on_the_pages_of_its_suite(path: Path) -> None:
    said = " ".join(path.read_text().split())
    for page in (ROOT / f"leaderboard/tables/{path.stem}/README.md", ROOT / f"leaderboard/site/{path.stem}.html"):
        assert said[:60] in html.unescape(page.read_text().replace("\\", ""))
