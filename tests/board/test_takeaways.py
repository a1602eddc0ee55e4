"""What a reader takes from a page: one script for all pages, charts and rows as files, and a filter in the address."""

import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from playwright.sync_api import Page, expect

from lthbench.board.export.figures import KINDS
from lthbench.board.site import BUNDLE
from lthbench.cli import main
from lthbench.runs.records.tables import read_tables
from lthbench.suite import Suite

Opened = Callable[..., Page]
DIGITS = Path(__file__).parent.parent.parent / "leaderboard/results/digits"
MAGIC = {"svg": b"<svg", "pdf": b"%PDF", "png": b"\x89PNG"}


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with the published records of digits, without its board."""
    folder = tmp_path_factory.mktemp("digits")
    shutil.copytree(DIGITS, folder / "records")
    (folder / "suite.json").write_text(Suite.read("digits").model_dump_json())
    return folder


@pytest.fixture(scope="module")
def page_path(run_folder: Path) -> Path:
    words = ["board", str(run_folder), "--latex", "--charts", str(run_folder / "figures")]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    return run_folder / "board/index.html"


def test_the_script_that_draws_lies_beside_the_page_and_not_in_it(opened: Opened, page_path: Path) -> None:
    assert (page_path.parent / BUNDLE).stat().st_size > 3 * page_path.stat().st_size
    page = opened(page_path)
    assert page.locator("script[src]").get_attribute("src") == BUNDLE
    expect(page.locator("#panels svg.marks")).to_have_count(2)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_chart_is_saved_black_on_white_with_the_methods_that_are_shown(
    opened: Opened, page_path: Path, tmp_path: Path, scheme: str
) -> None:
    page = opened(page_path, "?shown=dense&shown=small-dense", scheme=scheme)
    for kind in ("SVG", "PNG"):
        with page.expect_download() as saved:
            page.locator("#panels .take").first.get_by_role("button", name=kind).click()
        assert saved.value.suggested_filename == f"digits-accuracy-learning-rate-0.01.{kind.lower()}"
        saved.value.save_as(tmp_path / kind)
        assert MAGIC[kind.lower()] in (tmp_path / kind).read_bytes()[:200]
    svg = (tmp_path / "SVG").read_text()
    legend = set(re.findall(r"<text[^>]*>([a-z-]+)</text>", svg))
    assert legend == {"dense", "small-dense"}
    assert 'fill="white"' in svg[:600]


def test_saved_rows_are_those_that_the_filter_leaves(opened: Opened, page_path: Path, tmp_path: Path) -> None:
    page = opened(page_path, "?runs=lottery&runs.sparsity=0.95")
    page.locator("#runs-table th", has_text="test").locator("button").click()
    with page.expect_download() as saved:
        page.locator("#runs-table").get_by_role("button", name="CSV").click()
    saved.value.save_as(tmp_path / "runs.csv")
    runs = read_tables(DIGITS).runs
    wanted = runs[(runs["method"] == "lottery-ticket") & (runs["sparsity"] == 0.95)].sort_values("accuracy")
    found = pd.read_csv(tmp_path / "runs.csv")
    assert found["accuracy"].tolist() == pytest.approx(wanted["accuracy"].tolist())
    assert set(found["pipeline"]) == set(wanted["pipeline"])


def test_rows_are_copied_for_a_spreadsheet(opened: Opened, page_path: Path) -> None:
    page = opened(page_path, "?rows=random")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("#scores-table").get_by_role("button", name="copy").click()
    expect(page.locator("#scores-table").get_by_role("button", name="copied")).to_be_visible()
    lines = page.evaluate("navigator.clipboard.readText()").splitlines()
    columns = lines[0].split("\t")
    assert {line.split("\t")[columns.index("method")] for line in lines[1:]} == {"random-reinit"}
    assert len(lines) == 1 + 2 * 5


def test_a_filter_stands_in_the_address_and_a_run_beside_it(opened: Opened, page_path: Path) -> None:
    page = opened(page_path)
    page.get_by_label("filter runs by text").fill("lottery")
    page.locator("#runs-table select[aria-label=sparsity]").select_option(label="95 %")
    page.get_by_role("checkbox", name="dense", exact=True).press("Space")
    page.locator("#runs-table tbody a").first.click()
    expect(page.locator("#run-title")).to_have_text("lottery-ticket")
    page.keyboard.press("Escape")
    expect(page.locator("#run")).to_be_hidden()
    other = opened(page_path, page.url.removeprefix(page_path.resolve().as_uri()))
    expect(other.locator("#runs-table .count span")).to_have_text("20 runs")
    expect(other.get_by_role("checkbox", name="dense", exact=True)).not_to_be_checked()
    other.get_by_label("filter runs by text").fill("")
    other.locator("#runs-table select[aria-label=sparsity]").select_option(index=0)
    assert "runs" not in other.evaluate("location.search")


def test_charts_become_files_of_three_kinds(page_path: Path) -> None:
    files = list((page_path.parent.parent / "figures").iterdir())
    assert {path.name.removesuffix(path.suffix) for path in files} >= {"accuracy", "duel.lottery-ticket.prune-finetune"}
    assert len(files) == len({path.stem for path in files}) * len(KINDS)
    for path in files:
        assert path.read_bytes()[:8].startswith(MAGIC[path.suffix[1:]])


def test_tables_for_a_paper_stand_beside_those_of_the_board(page_path: Path) -> None:
    csv = [path.stem for path in page_path.parent.glob("*.csv")]
    assert {path.stem for path in page_path.parent.glob("*.tex")} == {
        name for name in csv if not name.startswith(("marginals", "winning"))
    }


def test_charts_without_the_extra_are_one_line(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    done = CliRunner().invoke(main, ["board", str(run_folder), "--charts", str(tmp_path / "figures")])
    assert (done.exit_code, done.output.count("\n")) == (2, 1)
    assert "pip install 'lthbench[board]'" in done.output
    assert not (tmp_path / "figures").exists()
