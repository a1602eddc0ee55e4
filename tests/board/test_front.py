"""The front page, and what was run last in front: computed from the records, whatever part of them is there."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import Page

from lthbench.board import evidence, front, readme, site
from lthbench.board.analysis import RUN, Analysis
from lthbench.board.build import analysis_of
from lthbench.board.page import page
from lthbench.errors import InputError
from lthbench.scoring.contrast import BOTH

RESULTS = Path(__file__).parent.parent.parent / "leaderboard/results"


@pytest.fixture(scope="module")
def digits() -> Analysis:
    return analysis_of(RESULTS / "digits")


def with_runs(analysis: Analysis, keep: Callable[..., object] | None = None, **columns: object) -> Analysis:
    """The analysis of some of the runs, with other values in some columns."""
    runs = analysis.results.runs
    runs = (runs if keep is None else runs[keep(runs)]).assign(**columns)
    return Analysis(analysis.suite, replace(analysis.results, runs=runs))


@pytest.fixture(scope="module")
def mnist(digits: Analysis) -> Analysis:
    """A board of the same accuracies that says that it was measured on 10,000 images of MNIST."""
    workload = digits.suite.workload[0].model_copy(update={"dataset": "mnist"})
    suite = digits.suite.model_copy(update={"workload": (workload,), "name": "mnist"})
    made = with_runs(digits, workload=workload.name, n_test=10_000)
    return Analysis(suite, replace(made.results, images=made.results.images[:0]))


def test_a_row_says_what_the_page_of_its_board_says(digits: Analysis) -> None:
    rows = front.answers({"digits": digits})
    assert [row.learning_rate for row in rows] == [0.01, 0.1]
    for row in rows:
        assert (row.cells, row.seeds, row.budget) == (5, 10, "2T with T = 60 epochs")
        for rival, square in row.against.items():
            there = digits.duel("lottery-ticket", rival).marginals.set_index("group")
            expected = there.loc[f"learning_rate {row.learning_rate}"]
            assert square is not None
            assert float(square.number.replace("−", "-")) == pytest.approx(expected["difference"], abs=0.051)
            cells = digits.cells("lottery-ticket", rival).query(f"learning_rate == {row.learning_rate}")
            counts = dict(part.split()[::-1] for part in square.cells.split(", "))
            assert sum(map(int, counts.values())) == len(cells)
            decided = cells["note"] != BOTH
            for outcome, symbols in (("lottery-ticket", "▲△"), (rival, "▼▽"), ("tie", "="), ("undecided", "?")):
                assert sum(int(counts.get(s, 0)) for s in symbols) == sum((cells["outcome"] == outcome) & decided)
            side = {"lottery-ticket": "▲△", rival: "▼▽", "tie": "=", "undecided": "?"}[expected["outcome"]]
            assert square.symbol in side


def test_every_workload_has_rows_of_its_own(digits: Analysis) -> None:
    """A second workload on which ticket and prune-and-fine-tune change places."""
    first = digits.suite.workload[0]
    second = first.model_copy(update={"model": "mlp-100"})
    runs = digits.results.runs
    places = {"lottery-ticket": "prune-finetune", "prune-finetune": "lottery-ticket"}
    moved = runs.assign(workload=second.name, method=runs["method"].replace(places))
    both = replace(digits.results, runs=pd.concat([runs, moved]), images=digits.results.images[:0])
    suite = digits.suite.model_copy(update={"workload": (first, second)})
    squares = {
        (row.workload, row.learning_rate): row.against["prune-finetune"]
        for row in front.answers({"two": Analysis(suite, both)})
    }
    for rate in suite.learning_rates:
        numbers = [s.number.replace("−", "-") for w in (first, second) if (s := squares[w.name, rate])]
        assert float(numbers[0]) == -float(numbers[1]) != 0


@pytest.mark.parametrize("suite", ["digits", "mnist", "cifar10-jpeg-cpu", "vit-digits"])
def test_the_front_page_says_what_each_method_spends(suite: str) -> None:
    """RULES lets a method leave a part of its budget: the page names the one of its table that does."""
    board = analysis_of(RESULTS / suite)
    epochs = board.frame.groupby("method")["epochs"].agg(["min", "max"]) / board.suite.recipe.epochs
    assert set(epochs.loc[["lottery-ticket", "prune-finetune", "random-reinit"]].to_numpy().flat) == {2.0}
    assert set(epochs.loc["small-dense"]) == {1.0}
    assert (
        "These two and the re-initialised network spend 2T epochs. The small dense network is trained once, for T"
        in front.METHODS
    )


def test_the_sentence_counts_the_marks(digits: Analysis) -> None:
    rows = front.answers({"digits": digits})
    text = front.sentence(rows)
    for rival, said in front.RIVALS.items():
        marks = [square.symbol for row in rows if (square := row.against[rival])]
        ahead, behind, tied, undecided = (sum(m in side for m in marks) for side in ("▲△", "▼▽", "=", "?"))
        counts = [("behind", behind), ("tied", tied), ("undecided", undecided)]
        others = ", ".join(f"{word} in {count}" for word, count in counts if count)
        assert f"{said} in {ahead} of {len(marks)} settings{others and f' ({others})'}" in text
    assert front.sentence([]) == "No suite has compared tickets yet."


def test_real_images_come_first_and_the_readme_takes_five_rows(
    digits: Analysis, mnist: Analysis, tmp_path: Path
) -> None:
    rates = [0.01, 0.1, 0.2, 0.3]
    many = {
        f"mnist-{i}": with_runs(mnist, lambda r: r["learning_rate"] == 0.01, learning_rate=x)
        for i, x in enumerate(rates)
    }
    boards = {"digits": digits, **many}
    rows = front.answers(boards)
    assert [row.workload.rpartition("/")[2] for row in rows] == ["mnist"] * 4 + ["digits"] * 2
    assert [name for name, _ in front.ordered(boards)][-1] == "digits"
    (tmp_path / "README.md").write_text("# Before\n<!-- answer -->\nold\n<!-- end -->\nAfter.\n")
    readme.refresh(tmp_path / "README.md", boards)
    once = (tmp_path / "README.md").read_text()
    assert once.startswith("# Before\n<!-- answer -->\nIn the mean over sparsities, a one-shot lottery ticket ")
    assert once.endswith("\n<!-- end -->\nAfter.\n")
    assert len(re.findall(r"^\| \[", once, re.MULTILINE)) == readme.ROWS
    readme.refresh(tmp_path / "README.md", boards)
    assert (tmp_path / "README.md").read_text() == once


def test_one_workload_and_rate_of_two_boards_is_one_row_of_the_larger(digits: Analysis) -> None:
    fewer = with_runs(digits, lambda runs: runs["seed"] < 3)
    rows = front.answers({"a": fewer, "b": digits, "c": fewer})
    assert {(row.board, row.seeds) for row in rows} == {("b", 10)}


def test_a_board_that_is_half_done_stands_with_what_it_has(digits: Analysis, mnist: Analysis) -> None:
    begun = with_runs(mnist, lambda runs: runs["method"].isin(["dense", "lottery-ticket"]) & (runs["seed"] < 4))
    boards = {"digits": digits, "mnist": begun}
    rows = front.answers(boards)
    assert [set(row.against.values()) for row in rows[:2]] == [{None}, {None}]
    assert front.ABSENT in front.table(rows, "")
    assert "a workload, on digits, at" in front.sentence(rows)
    listed = readme.leaderboard(boards)
    assert f"Incomplete: {len(begun.missing):,} runs" in listed
    assert listed.index("[mnist]") < listed.index("[digits]")
    assert front.ABSENT in site.index_page(boards)


def test_every_card_says_what_its_suite_shows(digits: Analysis) -> None:
    def headline(**changes: object) -> tuple[str, str]:
        return front.headline(Analysis(digits.suite.model_copy(update=changes), digits.results))

    title, said = headline()
    assert title == "lottery-ticket against prune-finetune"
    assert said.startswith("prune-finetune ahead by 1.1 pp")
    title, said = headline(duels=())
    assert title == "ranking, all learning rates"
    assert re.match(r"[a-z-]+ is first of 4 methods", said)
    best = digits.scores[digits.scores["sparsity"] == 0.5].query("learning_rate == 0.01").sort_values("mean").iloc[-1]
    title, said = headline(duels=(), budget="none")
    assert (title, said.split()[0]) == ("highest mean accuracy", best["method"])
    assert headline(duels=(("nobody", "prune-finetune"),)) == ("duels", "none has runs of both methods yet")


def test_what_was_run_last_stands_in_front(digits: Analysis) -> None:
    runs = digits.results.runs
    mine = runs[runs["method"] == "random-reinit"].assign(method="mine")
    both = replace(digits.results, runs=runs.merge(mine, how="outer"), images=digits.results.images[:0])
    last = Analysis(digits.suite, both, ("mine",))
    assert [(duel.a, duel.b) for duel in last.duels] == [("mine", "prune-finetune"), *digits.suite.duels]
    assert last.methods[0] == "mine"
    assert page(last).index("## mine against prune-finetune") < page(last).index("## lottery-ticket against")
    assert last.duel_of() is last.duels[0]
    assert last.duel_of("small-dense").b == "prune-finetune"
    assert [(d.a, d.b) for d in Analysis(digits.suite, both, ("dense", "gone")).duels] == [*digits.suite.duels]
    alone = with_runs(digits, lambda runs: runs["method"] == "dense")
    for asked in ((), ("dense",)):
        with pytest.raises(InputError, match="has no duel here; name two of dense"):
            alone.duel_of(*asked)


@given(st.sets(st.integers(0, 40), min_size=1))
def test_ranges_of_seeds_name_each_seed_once(numbers: set[int]) -> None:
    word, _, ranges = evidence.seeds(numbers).partition(" ")
    ends = [[int(n) for n in part.split("–")] for part in ranges.split(", ")]
    assert [n for part in ends for n in range(part[0], part[-1] + 1)] == sorted(numbers)
    assert word == ("seed" if len(numbers) == 1 else "seeds")


def test_missing_diverged_and_failed_runs_are_named(digits: Analysis) -> None:
    runs = digits.results.runs
    cell = (runs["learning_rate"] == 0.1) & (runs["sparsity"] == 0.95)
    status = runs["status"].mask(cell & (runs["seed"] == 2), "diverged").mask(cell & (runs["seed"] == 5), "failed")
    made = with_runs(digits, status=status, reason="a <b>reason</b>")
    made = with_runs(made, lambda rows: (rows["method"] != "small-dense") | (rows["seed"] < 7))
    gone = made.missing
    assert set(gone.itertuples(index=False, name=None)) == set(runs[RUN].itertuples(index=False, name=None)) - set(
        made.frame[RUN].itertuples(index=False, name=None)
    )
    for kind, seed in (("diverged", 2), ("failed", 5)):
        said = f"lottery-ticket: 1 runs {kind}: a <b>reason</b> (learning rate 0.1, sparsity 95 %, seed {seed})"
        assert said in evidence.failures(made)
    html, text = site.suite_page(made, {}), page(made)
    for line in (*evidence.missing(made), "learning rate 0.1, sparsity 95 %, seed 2"):
        assert line in html
    assert "<b>reason" not in html
    assert "seeds 7–9" in text
    assert "Incomplete: " in html


def test_the_page_names_machines_dates_and_dense_parameters(digits: Analysis) -> None:
    runs = digits.results.runs
    two = with_runs(digits, device=runs["device"].mask(runs["seed"] > 5, "Another <i>CPU</i>"))
    lines = evidence.machines(two)
    assert len(lines) == 2
    assert any(line.startswith("seeds 0–5, ") and "AMD EPYC, AVX512, torch 2.15" in line for line in lines)
    assert any(line.startswith("seeds 6–9, ") and "Another iCPU/i" in line for line in lines)
    assert all(re.search(r"; 2026-11-2\d", line) for line in lines)
    [dense] = evidence.dense_parameters(two)
    assert "50,200 of 50,610 parameters (99.2 %) are prunable (*.weight); 410 stay dense" in dense
    html = site.suite_page(two, {})
    assert all(line in html for line in (*lines, dense))


@pytest.fixture(scope="module")
def index(digits: Analysis, mnist: Analysis, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("site") / "index.html"
    path.write_text(site.index_page({"digits": digits, "mnist": mnist}))
    return path


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_the_answer_is_on_the_first_screen(opened: Callable[..., Page], index: Path, width: int, scheme: str) -> None:
    shown = opened(index, width=width, scheme=scheme)
    assert shown.evaluate("document.documentElement.scrollWidth") <= width
    links = shown.locator(".answer th[scope=row]").all_inner_texts()
    assert [link.rpartition("/")[2] for link in links] == ["mnist", "mnist", "digits", "digits"]
    box = shown.locator(".answer tbody tr").first.bounding_box()
    assert box is not None
    assert box["y"] < 900
    marks = shown.locator(".answer .mark").all_inner_texts()
    assert len(marks) == 12
    assert set(marks) <= set("▲△▼▽=?")
