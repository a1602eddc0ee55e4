"""The published pages in a headless browser, as a reader uses them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from lthbench.board.build import build
from lthbench.runs.records.tables import read_tables
from tests.board import synthetic

Opened = Callable[..., Page]
ROOT = Path(__file__).parent.parent.parent
SITE = ROOT / "leaderboard/site"
DIGITS = SITE / "digits.html"


def column(page: Page, table: str, name: str) -> list[str]:
    heads = [text.rstrip(" ↑↓") for text in page.locator(f"#{table} th").all_inner_texts()]
    cells = page.locator(f"#{table} tbody td:nth-child({heads.index(name) + 1})")
    return cells.all_inner_texts()


def test_a_click_on_a_header_sorts_and_another_turns_it_round(opened: Opened) -> None:
    page = opened(DIGITS)
    head = page.locator("#scores-table th", has_text="accuracy")
    head.locator("button").click()
    rising = [float(v) for v in column(page, "scores-table", "accuracy, %")]
    assert rising == sorted(rising)
    expect(head).to_have_attribute("aria-sort", "ascending")
    head.locator("button").press("Enter")
    falling = [float(v) for v in column(page, "scores-table", "accuracy, %")]
    assert falling == sorted(rising, reverse=True)
    assert len(falling) == len(rising) == 42


def test_text_and_menus_filter(opened: Opened) -> None:
    page = opened(DIGITS)
    page.get_by_label("filter runs by text").fill("lottery")
    assert set(column(page, "runs-table", "method")) == {"lottery-ticket"}
    page.locator("#runs-table select[aria-label=sparsity]").select_option(label="95 %")
    assert set(column(page, "runs-table", "sparsity")) == {"95 %"}
    expect(page.locator("#runs-table .count span")).to_have_text("20 runs")
    page.get_by_label("filter runs by text").fill("no such method")
    expect(page.locator("#runs-table .count span")).to_have_text("0 runs")


def test_the_table_says_what_the_records_say(opened: Opened) -> None:
    runs = read_tables(ROOT / "leaderboard/results/digits").runs
    page = opened(DIGITS)
    page.locator("#runs-table").get_by_role("button", name="more").click()
    shown = sorted(float(v) for v in column(page, "runs-table", "test, %"))
    assert shown == pytest.approx(sorted(runs["accuracy"]), abs=0.005)


def test_a_square_says_its_words_by_pointer_and_by_keyboard(opened: Opened) -> None:
    page = opened(DIGITS)
    said = page.locator("#duel-lottery-ticket-prune-finetune")
    page.locator("#duels td.undecided").first.hover()
    expect(said).to_contain_text("seeds would decide")
    page.locator("#duels td.tie").first.focus()
    expect(said).to_contain_text("tie: within 1 pp")
    before = said.inner_text()
    page.keyboard.press("ArrowDown")
    expect(said).not_to_have_text(before)
    expect(said).to_contain_text("rate 0.1")


def test_hovering_over_a_point_tells_its_numbers(opened: Opened) -> None:
    page = opened(DIGITS)
    page.locator("#panels .mark-symbol path").nth(2).hover()
    expect(page.locator("#vg-tooltip-element")).to_contain_text("sparsity")


def test_the_charts_show_the_methods_that_are_chosen(opened: Opened) -> None:
    page = opened(DIGITS)
    marks = page.locator("#panels figure").first.locator(".mark-symbol path")
    expect(marks).to_have_count(20)
    page.get_by_role("checkbox", name="small-dense").press("Space")
    expect(marks).to_have_count(15)


def test_a_run_opens_from_its_row_and_from_its_address(opened: Opened) -> None:
    page = opened(DIGITS)
    page.locator("#runs-table tbody a").first.click()
    expect(page.locator("#run")).to_be_visible()
    expect(page.locator("#run-title")).to_have_text("dense")
    assert page.url.endswith("#run=dense,mlp-300-100%2Fdigits,0.01,0,0")
    page.keyboard.press("Escape")
    expect(page.locator("#run")).to_be_hidden()
    assert "#run" not in page.url
    other = opened(DIGITS, "#run=prune-finetune,mlp-300-100%2Fdigits,0.1,0.9,3")
    expect(other.locator("#run-title")).to_have_text("prune-finetune")
    for part in ("rate 0.1, sparsity 90 %, seed 3", "masked at 0", "120 epochs", "hidden.0.weight", "claimed"):
        expect(other.locator("#run")).to_contain_text(part)
    other.evaluate("location.hash = '#run=nobody,%E0%A4%A,x'")
    expect(other.locator("#run-title")).to_have_text("No such run")


@pytest.mark.parametrize("path", sorted(SITE.glob("*.html")), ids=lambda p: p.stem)
@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_pages_fit_their_window(opened: Opened, path: Path, width: int, scheme: str) -> None:
    page = opened(path, width=width, scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.title")


def test_the_index_leads_to_every_suite(opened: Opened) -> None:
    page = opened(SITE / "index.html")
    page.get_by_role("link", name="digits", exact=True).click()
    expect(page.locator("h1")).to_contain_text("digits")


def test_a_large_suite_is_sorted_whole_and_drawn_in_part(opened: Opened, tmp_path: Path) -> None:
    count = synthetic.write(tmp_path / "large", methods=5, seeds=3, workloads=1)
    build(tmp_path / "large")
    page = opened(tmp_path / "large/board/index.html")
    expect(page.locator("#runs-table .count span")).to_have_text(f"100 of {count:,} runs")
    page.locator("#runs-table th", has_text="test").locator("button").click()
    least = read_tables(tmp_path / "large").runs["accuracy"].nsmallest(100)
    assert [float(v) for v in column(page, "runs-table", "test, %")] == pytest.approx(least.tolist())


def test_what_a_submitter_writes_stays_text(opened: Opened, tmp_path: Path) -> None:
    evil = "</script><img src=x onerror=document.title=1>{{7*7}}"
    synthetic.write(tmp_path / "evil", methods=6, seeds=3, workloads=1)
    path = tmp_path / "evil/records/made-up-0.jsonl"
    spoilt = path.read_text().replace('"method": "made-up-0"', f'"method": "{evil}"')
    path.write_text(spoilt.replace('"status": "ok", "reason": null', f'"status": "diverged", "reason": "{evil}"', 5))
    build(tmp_path / "evil")
    page = opened(tmp_path / "evil/board/index.html")
    assert evil in column(page, "scores-table", "method")
    page.get_by_label("filter runs by text").fill("onerror")
    page.locator("#runs-table tbody a").first.click()
    expect(page.locator("#run-title")).to_have_text(evil)
    assert page.title() == "large 0.1 · lthbench"
    assert page.locator("img").count() == 0
