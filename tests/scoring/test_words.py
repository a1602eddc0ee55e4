"""Section 8: the words of a row on a board."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from lthbench.scoring.contrast import Meta, Thresholds
from lthbench.scoring.duel import duel, marginals
from lthbench.scoring.ranking import ranking
from lthbench.scoring.verdicts import verdicts
from lthbench.scoring.words import (
    cell_words,
    footer,
    marginal_words,
    on_new_images,
    outcome_counts,
    rank_words,
    verdict_words,
)

Case = Callable[[str], pd.DataFrame]
Metas = dict[str, Meta]
A, B = "lottery-ticket", "prune-finetune"
META = Meta(classes=10, n_test=10000, tolerance=0.5)


@pytest.fixture
def cells(case: Case, meta: Metas) -> pd.DataFrame:
    return duel(case("duel"), meta, A, B)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (2, "prune-finetune ahead by 1.9 pp (1.6 to 2.2), 3 seeds"),
        (8, "lottery-ticket ahead by 0.77 pp (0.52 to 1.01), 3 seeds"),
        (6, "prune-finetune ahead by 0.33 pp (0.22 to 0.44), less than the 0.5 pp that counts as similar"),
        (5, "tie: within 0.5 pp of each other (−0.15 to 0.09)"),
        (4, "undecided: −3.0 pp (−6.4 to 0.4); 8 seeds would decide if the present gap is the true one"),
        (
            9,
            "prune-finetune ahead by 2.2 pp (0.9 to 3.6) on the 2 seeds on which neither collapsed; lottery-ticket collapsed in 1 of 3",
        ),
    ],
)
def test_the_cells_of_the_case(row: int, words: str, cells: pd.DataFrame) -> None:
    assert cell_words(cells.loc[row], A, B, 0.5) == words


@pytest.mark.parametrize(
    ("row", "words"),
    [(2, "1.4 to 2.4"), (5, "−2.40 to −1.40"), (4, "−2.4 to −1.4")],  # a win of b; a tie; undecided
)
def test_an_interval_on_new_images_is_told_from_the_same_side(row: int, words: str, cells: pd.DataFrame) -> None:
    wider = changed(cells.loc[row], low_images=-2.4, high_images=-1.4)
    assert on_new_images(wider) == words
    assert on_new_images(cells.loc[row]) == ""
    assert on_new_images(changed(wider, n_pairs=2)) == on_new_images(changed(wider, outcome="pending")) == ""


def test_a_margin_says_it_behind_its_cells(case: Case, meta: Metas) -> None:
    row = marginals(case("duel"), meta, A, B).loc[0]
    assert "new images" not in marginal_words(row, A, B, 0.5)
    wider = changed(row, low_images=-2.0, high_images=-0.1)
    assert "mean of 10 cells; on new images 0.1 to 2.0; lottery-ticket collapsed" in marginal_words(wider, A, B, 0.5)


def changed(row: pd.Series, **values: object) -> pd.Series:
    return pd.Series({**row.to_dict(), **values})


def test_cells_that_the_case_lacks(cells: pd.DataFrame) -> None:
    undecided, collapsed = cells.loc[4], cells.loc[9]
    said = {
        "; more than 100 seeds would be needed if the present gap is the true one": changed(
            undecided, seeds_needed=np.inf
        ),
        "undecided: 2 of the 3 seeds needed": changed(undecided, n_pairs=2),
        "undecided: too few seeds without a collapse; lottery-ticket collapsed in 2 of 3": changed(
            collapsed, n=1, collapsed_a=2
        ),
        "both collapsed": changed(undecided, note="both collapsed", outcome="tie", n=0),
        "the side that collapsed more often may claim nothing": changed(collapsed, outcome="undecided", difference=2.0),
        "on the 3 seeds on which prune-finetune did not collapse; lottery-ticket collapsed in 3 of 3": changed(
            collapsed, note="separated", n=3, collapsed_a=3
        ),
        "pending: between two declared looks": changed(undecided, outcome="pending"),
    }
    for words, row in said.items():
        assert cell_words(row, A, B, 0.5).endswith(words)


def test_margins_and_their_tally(case: Case, meta: Metas, cells: pd.DataFrame) -> None:
    table = marginals(case("duel"), meta, A, B)
    words = [marginal_words(row, A, B, 0.5) for _, row in table.iterrows()]
    assert words[0] == "prune-finetune ahead by 1.0 pp (0.2 to 1.9), mean of 10 cells; lottery-ticket collapsed in 1"
    assert words[-1] == "undecided: −2.6 pp (−9.4 to 4.1), mean of 2 cells; lottery-ticket collapsed in 1"
    assert marginal_words(changed(table.loc[0], used=0), A, B, 0.5) == "undecided: no cell to compare"
    assert outcome_counts(cells, A, B) == "lottery-ticket 1, prune-finetune 5, tie 3, undecided 1"


def test_verdicts(case: Case, meta: Metas) -> None:
    table = verdicts(case("verdict"), meta, "ticket", reinit="reinit", small="small")
    words = [verdict_words(row, META) for _, row in table[table["reading"] == "same"].iterrows()]
    dense = "dense at this learning rate is"
    assert words == [
        "neither: sparsity 0.5 is trivial",
        "secondary prize: as good as dense at this learning rate, below the best dense by more than 0.5 pp",
        f"neither: condition 4 fails ({dense} 2.9 pp above)",
        "neither: sparsity 0.5 is trivial",
        "jackpot: as good as the best dense network (within 0.5 pp), more than 0.5 pp above re-initialised and small dense",
        "not enough evidence: conditions 4 and 5 open (−0.28, −0.28 pp); 18 seeds would decide",
        "not enough evidence: at least a secondary prize; condition 5 open (−0.38 pp); 32 seeds would decide",
        f"neither: conditions 3 and 4 fail (re-initialised is 0.04 pp below, {dense} 2.4 pp above)",
    ]
    row = table.iloc[-1]
    assert (
        verdict_words(changed(row, failed="3"), META) == "neither: condition 3 fails (re-initialised is 0.04 pp below)"
    )
    assert verdict_words(changed(row, failed="1"), META) == "neither: the recipe is not marked sufficient"
    assert verdict_words(changed(row, verdict="not enough evidence", n=2), META).endswith(
        "2 of the 3 seeds that every comparison needs"
    )
    assert (
        verdict_words(changed(row, verdict="pending"), META, Thresholds(alpha=0))
        == "pending: between two declared looks"
    )


def test_ranks(case: Case, meta: Metas) -> None:
    words = [rank_words(row) for _, row in ranking(case("ranking"), meta, list("abcde")).iterrows()]
    assert words == [
        "1 (1–2), group A",
        "2 (1–2), group A",
        "3 (3–3), group B",
        "4 (4–5), group C",
        "5 (4–5), group C",
        "partial: no rank",
    ]


def test_the_footer_names_the_test_images(meta: Metas) -> None:
    assert footer(meta).startswith(
        "At most 5 % of such tables carry a false prize, and at most 5 % of the wins shown are false."
    )
    assert footer(meta).endswith("Seeds vary, **the test set of 10,000 images does not**: read 'on this test set'.")
    assert "test sets of 500 and 10,000 images do not" in footer({**meta, "digits": Meta(10, 500, 1.0)})
