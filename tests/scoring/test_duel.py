"""Section 5: the duel's cells and margins."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lthbench.scoring.contrast import Meta, Thresholds
from lthbench.scoring.correction import seeds_needed
from lthbench.scoring.duel import CELL_COLUMNS, MARGIN_COLUMNS, duel, marginals, overall

Close = Callable[[object], object]
Case = Callable[[str], pd.DataFrame]
Metas = dict[str, Meta]
TICKET, FINETUNE = "lottery-ticket", "prune-finetune"


@pytest.fixture
def records(case: Case) -> pd.DataFrame:
    return case("duel")


@pytest.fixture
def cells(records: pd.DataFrame, meta: Metas) -> pd.DataFrame:
    return duel(records, meta, TICKET, FINETUNE)


def test_the_cells_of_the_case(cells: pd.DataFrame, close: Close) -> None:
    expected = {
        "difference": [-0.0666667, -0.9333333, -1.9, -2.5666667, -3.0, -0.0333333, -0.3333333, 0, 0.7666667, -2.25],
        "variance_moderated": [
            *(0.009488178, 0.01666615, 0.05481535, 0.1496868, 5.946456),
            *(0.007347815, 0.005895974, 0.05122535, 0.0295384, 0.5677783),
        ],
        "q": [
            *(0.350827, 7.93171e-5, 7.93171e-5, 8.69881e-5, 0.11017),
            *(0.584097, 0.000573099, 1, 0.000573099, 0.0138414),
        ],
        "q_tie": [0.000626054, 1, 1, 1, 1, 0.000404426, 0.0117549, 0.0117549, 1, 1],
        "df": [6.0] * 9 + [5.0],
        "seeds_needed": [np.nan] * 4 + [8] + [np.nan] * 5,
    }
    for column, values in expected.items():
        assert cells[column].tolist() == close(values), column
    p = [0.280661, 1.58634e-5, 8.09108e-6, 2.60964e-5, 0.0771188, 0.525688, 0.000286549, 1, 0.000246687, 0.00830485]
    assert cells["p"].tolist() == pytest.approx(p, rel=1e-5)
    assert cells.loc[8, ["low", "high"]].tolist() == close([0.5238653, 1.009468])
    assert (cells["prior_df"] == 4).all()


def test_the_outcomes_of_the_case(cells: pd.DataFrame) -> None:
    ahead = [FINETUNE] * 3
    assert cells["outcome"].tolist() == ["tie", *ahead, "undecided", "tie", FINETUNE, "tie", TICKET, FINETUNE]
    assert cells["small"].tolist() == [False] * 6 + [True] + [False] * 3
    assert cells.loc[9, ["n", "collapsed_a", "collapsed_b"]].tolist() == [2, 1, 0]
    assert cells.columns.tolist() == CELL_COLUMNS


def test_the_margins_of_the_case(records: pd.DataFrame, meta: Metas, close: Close) -> None:
    table = marginals(records, meta, TICKET, FINETUNE).set_index("group")
    whole = table.loc["overall", ["difference", "se", "df", "low", "high", "p"]].tolist()
    assert whole == close([-1.0316667, 0.1994950, 2, -1.8900242, -0.1733091, 0.0354179])
    assert table.loc["overall", "outcome"] == FINETUNE
    by_sparsity = table[table.index.str.startswith("sparsity")]
    assert by_sparsity["p_adjusted"].tolist() == close([0.4508066, 0.00345901, 0.0110345, 0.0213743, 0.4508066])
    assert by_sparsity["outcome"].tolist() == ["tie", FINETUNE, FINETUNE, FINETUNE, "undecided"]
    assert table.index.tolist()[:4] == ["overall", "workload w", "learning_rate 0.01", "learning_rate 0.1"]
    assert marginals(records, meta, TICKET, FINETUNE).columns.tolist() == MARGIN_COLUMNS


def test_two_workloads_weigh_the_same(case: Case, meta: Metas, close: Close) -> None:
    row = overall(case("margin"), meta, "A", "B")
    assert row[["difference", "se", "df", "p"]].tolist() == close([-0.54125, 0.0887491, 5.4604567, 0.00125223])
    assert row[["cells", "used", "collapsed_a", "collapsed_b"]].tolist() == [4, 4, 1, 0]
    assert row["p_tie"] == 1, "who collapsed more often may claim no tie either"


def test_the_tolerance_of_two_workloads_is_their_mean(case: Case, meta: Metas) -> None:
    row = overall(case("margin").replace({"accuracy": {1.0: 65.3}}), meta, "A", "B")
    assert row["p_tie"] == pytest.approx(stats.t.sf((row["difference"] + 0.75) / row["se"], row["df"]))


def test_the_side_that_collapsed_more_often_wins_no_margin(records: pd.DataFrame, meta: Metas) -> None:
    turned = records.replace({"method": {TICKET: FINETUNE, FINETUNE: TICKET}})
    lifted = turned.assign(accuracy=turned["accuracy"] + 2 * turned["method"].eq(FINETUNE) * (turned["accuracy"] > 20))
    row = overall(lifted, meta, TICKET, FINETUNE)
    assert row["difference"] < 0 < row["collapsed_b"]
    assert (row["p"], row["outcome"]) == (1, "undecided")


def test_a_margin_counts_the_collapses_of_cells_that_it_does_not_average(records: pd.DataFrame, meta: Metas) -> None:
    ahead = [cell([90.0 + s, 90.1 + s, 90.2 + s], [88.0, 88.1, 88.3], s) for s in (0.5, 0.7, 0.9)]
    assert overall(pd.concat(ahead), meta, TICKET, FINETUNE)["outcome"] == TICKET
    row = overall(pd.concat([*ahead, cell([10.0] * 3, [40.0, 41.0, 40.5], 0.99)]), meta, TICKET, FINETUNE)
    assert row[["cells", "used", "collapsed_a", "collapsed_b"]].tolist() == [4, 3, 3, 0]
    assert row["difference"] > 2 and (row["p"], row["outcome"]) == (1, "undecided")


def test_shuffled_rows_change_no_bit(records: pd.DataFrame, meta: Metas) -> None:
    shuffled = records.sample(frac=1, random_state=3)
    for report in (duel, marginals):
        pd.testing.assert_frame_equal(
            report(records, meta, TICKET, FINETUNE), report(shuffled, meta, TICKET, FINETUNE), check_exact=True
        )


def assert_mirrored(records: pd.DataFrame, meta: Metas) -> None:
    for report in (duel, marginals):
        one, other = report(records, meta, TICKET, FINETUNE), report(records, meta, FINETUNE, TICKET)
        assert (one["difference"] + other["difference"]).fillna(0).eq(0).all()
        q = [column for column in ("q", "q_tie", "p_adjusted", "p_tie_adjusted", "seeds_needed") if column in one]
        pd.testing.assert_frame_equal(one[q], other[q], rtol=1e-9)
        assert one["outcome"].tolist() == other["outcome"].tolist()


def test_swapped_sides_change_only_the_sign(records: pd.DataFrame, meta: Metas) -> None:
    assert_mirrored(records, meta)


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(0, 500), min_size=2 * 9 * 4, max_size=2 * 9 * 4), st.randoms(use_true_random=False))
def test_invariances_of_any_records(counts: list[int], random: object) -> None:
    sparsities, seeds = [0.1 * k for k in range(1, 10)], range(4)
    index = pd.MultiIndex.from_product(
        [["w"], [0.1], sparsities, [TICKET, FINETUNE], seeds],
        names=["workload", "learning_rate", "sparsity", "method", "seed"],
    )
    records = index.to_frame(index=False).assign(accuracy=[count / 5 for count in counts])
    meta = {"w": Meta(10, 500, 1.0)}
    order = list(range(len(records)))
    random.shuffle(order)  # type: ignore[attr-defined]
    shuffled = duel(records.iloc[order], meta, TICKET, FINETUNE)
    pd.testing.assert_frame_equal(shuffled, duel(records, meta, TICKET, FINETUNE), check_exact=True)
    assert_mirrored(records, meta)


def cell(a: list[float], b: list[float], sparsity: float) -> pd.DataFrame:
    rows = [("w", 0.1, sparsity, m, i, v) for m, side in ((TICKET, a), (FINETUNE, b)) for i, v in enumerate(side)]
    return pd.DataFrame(rows, columns=["workload", "learning_rate", "sparsity", "method", "seed", "accuracy"])


def test_both_collapsed_is_a_tie_outside_of_all_families(
    records: pd.DataFrame, cells: pd.DataFrame, meta: Metas
) -> None:
    more = duel(pd.concat([records, cell([10, 10, 10], [10, 9, 10], 0.99)]), meta, TICKET, FINETUNE)
    fallen = more["sparsity"] == 0.99
    assert more.loc[fallen, ["outcome", "note"]].iloc[0].tolist() == ["tie", "both collapsed"]
    assert more.loc[fallen, ["q", "q_tie", "seeds_needed"]].isna().all(axis=None)
    pd.testing.assert_frame_equal(more[~fallen].reset_index(drop=True), cells)


def test_a_separated_cell_is_won_by_who_stands(records: pd.DataFrame, meta: Metas) -> None:
    more = duel(pd.concat([records, cell([10, 10, 10], [40, 41, 40.5], 0.99)]), meta, TICKET, FINETUNE)
    assert more.iloc[-1][["outcome", "note", "n", "prior_df"]].tolist() == [FINETUNE, "separated", 3, 0]


def test_two_seeds_decide_nothing_and_advise_nothing(meta: Metas) -> None:
    row = duel(cell([95.0, 95.1], [80.0, 80.1], 0.8), meta, TICKET, FINETUNE).iloc[0]
    assert row["outcome"] == "undecided" and np.isnan(row["seeds_needed"])
    assert overall(cell([95.0, 95.1], [80.0, 80.1], 0.8), meta, TICKET, FINETUNE)["outcome"] == "undecided"


def test_a_small_difference_is_advised_to_become_a_tie(meta: Metas) -> None:
    d = np.array([0.6, -0.5, 0.55, -0.45])
    row = duel(cell(list(90 + d), [90.0] * 4, 0.8), meta, TICKET, FINETUNE).iloc[0]
    assert row["outcome"] == "undecided"
    assert row["seeds_needed"] == seeds_needed(0.5 - d.mean(), d.std(ddof=1), 0, 4, 0.05) < 100
    fallen = duel(cell([*(90 + d), 90], [90.0] * 4 + [10.0], 0.8), meta, TICKET, FINETUNE).iloc[0]
    assert fallen["seeds_needed"] == np.inf, "who differ in collapses cannot tie"


def test_what_ties_and_wins_counts_for_the_level_of_the_next_tie(meta: Metas) -> None:
    d = np.array([0.6, -0.5, 0.55, -0.45])
    small_wins = [cell([90.2, 90.21, 90.22, 90.2], [90.0] * 4, sparsity) for sparsity in (0.5, 0.6, 0.7)]
    rows = duel(pd.concat([*small_wins, cell(list(90 + d), [90.0] * 4, 0.8)]), meta, TICKET, FINETUNE)
    assert rows["outcome"].tolist() == [TICKET] * 3 + ["undecided"]
    assert (rows["q_tie"][:3] <= 0.05).all(), "BH rejects these three of the ties' family, too"
    needed = [seeds_needed(0.5 - d.mean(), d.std(ddof=1), 0, 4, 0.05 * (ties + 1) / 4) for ties in (0, 3)]
    assert rows["seeds_needed"].iloc[3] == needed[1] < needed[0]


def test_a_large_difference_is_advised_to_become_a_win(meta: Metas) -> None:
    d = np.array([30.0, -5, 28, -3])
    row = duel(cell(list(60 + d), [60.0] * 4, 0.8), meta, TICKET, FINETUNE).iloc[0]
    assert row["seeds_needed"] == seeds_needed(d.mean(), d.std(ddof=1), 0, 4, 0.025)
    assert row["seeds_needed"] > seeds_needed(d.mean() - 0.5, d.std(ddof=1), 0, 4, 0.05), "the shorter way to no tie"


def test_no_advice_where_the_side_ahead_collapsed(meta: Metas) -> None:
    row = duel(cell([92, 92.2, 92.1, 10], [90, 90, 90.1, 90], 0.8), meta, TICKET, FINETUNE).iloc[0]
    assert row["outcome"] == "undecided" and np.isnan(row["seeds_needed"])


def test_between_looks_everything_is_pending(records: pd.DataFrame, meta: Metas) -> None:
    for report in (duel, marginals):
        assert set(report(records, meta, TICKET, FINETUNE, thresholds=Thresholds(alpha=0))["outcome"]) == {"pending"}


def test_no_common_cell_is_an_empty_answer_and_an_unknown_method_an_error(records: pd.DataFrame, meta: Metas) -> None:
    empty = duel(records, meta, TICKET, "dense")
    assert (len(empty), empty.columns.tolist()) == (0, CELL_COLUMNS)
    assert marginals(records, meta, TICKET, "dense").columns.tolist() == MARGIN_COLUMNS
    assert np.isnan(overall(records, meta, TICKET, "dense")["difference"])
    with pytest.raises(ValueError, match="did you mean 'prune-finetune'"):
        duel(records, meta, TICKET, "prune-finetun")
