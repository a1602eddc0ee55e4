"""Grids, levels and the winning property: the content of a board, without a browser."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lthbench import bits
from lthbench.board import grids
from lthbench.board.analysis import Analysis
from lthbench.board.build import analysis_of
from lthbench.board.page import marginal_lines, page
from lthbench.errors import InputError
from lthbench.runs.records import trust
from lthbench.scoring.contrast import Meta, Thresholds
from lthbench.scoring.verdicts import verdicts
from lthbench.scoring.winning import winning

RESULTS = Path(__file__).parent.parent.parent / "leaderboard/results"


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return analysis_of(RESULTS / "digits")


def test_constant_answers_on_a_test_set_of_one_large_class_are_collapsed(analysis: Analysis) -> None:
    runs = analysis.results.runs.assign(chance=90.0)
    constant = runs["accuracy"].where(runs["sparsity"] < 0.9, 90.0)
    skewed = Analysis(analysis.suite, replace(analysis.results, runs=runs.assign(accuracy=constant)))
    for shown in skewed.duels:
        assert set(shown.cells[shown.cells["sparsity"] >= 0.9]["note"]) == {"both collapsed"}


@pytest.mark.parametrize("symbols", [grids.DUEL_SYMBOLS, grids.VERDICT_SYMBOLS, grids.WINNING_SYMBOLS])
def test_no_two_outcomes_share_a_symbol(symbols: dict[str, str]) -> None:
    assert len(set(symbols.values())) == len(symbols)


def test_every_cell_of_a_duel_is_a_square_of_its_outcome(analysis: Analysis) -> None:
    for duel in analysis.duels:
        [grid] = grids.duel_grids(analysis, duel)
        assert len(grid.squares) == len(duel.cells)
        for row in duel.cells.itertuples():
            square = grid.squares[row.learning_rate, row.sparsity]
            expected = {duel.a: "▲△", duel.b: "▼▽", "tie": "=∅", "undecided": "?"}[row.outcome]
            assert square.symbol in expected
            if row.n:
                assert float(square.number.replace("−", "-")) == pytest.approx(row.difference, abs=0.051)


def test_what_is_open_says_how_many_seeds_would_decide(analysis: Analysis) -> None:
    open_ = analysis.verdicts("lottery-ticket").query("verdict == 'not enough evidence' and reading == 'any'")
    squares = [q for g in grids.verdict_grids(analysis, "lottery-ticket", "any") for q in g.squares.values()]
    assert [q.number for q in squares if q.kind == "open"] == [f"{n:.0f}" for n in open_["seeds_needed"]]
    assert all("By point estimates" in q.words for q in squares)


def test_new_images_are_spoken_of_where_the_answers_to_single_ones_are_known(analysis: Analysis) -> None:
    runs = analysis.frame
    texts = [bits.text(np.arange(n) < right) for n, right in zip(runs["n_test"], 5 * runs["accuracy"], strict=True)]
    known = pd.DataFrame({"run": runs.index, "correct": texts})
    for images, said in ((known, True), (known[:0], False)):
        one = Analysis(analysis.suite, replace(analysis.results, images=images))
        duel = one.duels[0]
        [grid] = grids.duel_grids(one, duel)
        squares = [q.words for q in grid.squares.values() if "both collapsed" not in q.words]
        assert {"On new images" in words for words in squares} == {said}
        assert {"on new images" in line for _, line in marginal_lines(one, duel)} == {said}
        assert ("| on new images" in page(one)) == ("marked 'on new images'" in page(one)) == said


def test_a_duel_the_other_way_round_mirrors(analysis: Analysis) -> None:
    forth, back = analysis.duel("lottery-ticket", "prune-finetune"), analysis.duel("prune-finetune", "lottery-ticket")
    assert (forth.cells["difference"] + back.cells["difference"]).abs().max() < 1e-9
    assert forth.cells["outcome"].tolist() == back.cells["outcome"].tolist()
    with pytest.raises(InputError, match="Did you mean 'prune-finetune'"):
        analysis.duel("lottery-ticket", "prune-finetun")
    with pytest.raises(InputError, match="a duel needs two methods"):
        analysis.duel("dense", "dense")


def test_levels_are_noted_beside_the_records(tmp_path: Path) -> None:
    assert trust.level_of(trust.read(tmp_path), "x") == "claimed"
    row = trust.Row(level="re-trained", bundle="b", authors=("A",), date="2026-01-01")
    (tmp_path / "levels.json").write_bytes(trust.text({"x": row}))
    found = trust.read(tmp_path)
    assert (trust.level_of(found, "x"), trust.level_of(found, "y")) == ("re-trained", "claimed")
    for broken in (trust.text({"x": row}).replace(b"re-trained", b"certified"), b"[", b"[]", b"1"):
        (tmp_path / "levels.json").write_bytes(broken)
        with pytest.raises(InputError, match=r"levels\.json"):
            trust.read(tmp_path)


def test_the_winning_property_needs_both_halves() -> None:
    steps = [0.0, 0.1, -0.1, 0.05, -0.05]
    means = {"won": (91.0, 89.0), "lost to dense": (85.0, 80.0), "no gap": (91.0, 91.0)}
    rows = []
    for name, (ticket, reinit) in means.items():
        values = {("dense", 0.0): 91.0, ("ticket", 0.9): ticket, ("reinit", 0.9): reinit}
        rows += [(name, 0.1, s, m, i, v + d) for (m, s), v in values.items() for i, d in enumerate(steps)]
    records = pd.DataFrame(rows, columns=["workload", "learning_rate", "sparsity", "method", "seed", "accuracy"])
    meta = {name: Meta(10, 10000, 0.5) for name in means}
    table = verdicts(records, meta, "ticket", reinit="reinit", small=None)
    found = winning(table).set_index("workload")["winning"].to_dict()
    assert found == {"won": "holds", "lost to dense": "fails", "no gap": "fails"}
    assert winning(table, Thresholds(alpha=0))["winning"].unique().tolist() == ["pending"]
    assert winning(table, Thresholds(min_seeds=6))["winning"].unique().tolist() == ["open"]


def test_records_of_another_text_of_the_suite_are_refused_by_line(tmp_path: Path) -> None:
    folder = tmp_path / "results/digits"
    folder.mkdir(parents=True)
    text = (RESULTS / "digits/dense.jsonl").read_text()
    first, *rest = text.splitlines(keepends=True)
    other = first.replace('"suite_version": "0.1"', '"suite_version": "0.0"').replace(
        '"suite_hash": "', '"suite_hash": "0'
    )
    (folder / "dense.jsonl").write_text("".join([*rest, other]))
    with pytest.raises(InputError, match=r"dense\.jsonl:20: .* suite digits 0\.0 .*--skip-broken"):
        analysis_of(folder)
    skipped: list[str] = []
    assert len(analysis_of(folder, skipped).frame) == 19
    assert len(skipped) == 1
