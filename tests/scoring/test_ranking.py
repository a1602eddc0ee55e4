"""Section 7: places among a fixed field, rank intervals, groups."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lthbench.scoring.contrast import Meta
from lthbench.scoring.duel import overall
from lthbench.scoring.ranking import PAIR_COLUMNS, RANKING_COLUMNS, _groups, at_best_rate, pairs, ranking

Close = Callable[[object], object]
Metas = dict[str, Meta]
FIELD = list("abcde")


@pytest.fixture
def records(case: Callable[[str], pd.DataFrame]) -> pd.DataFrame:
    return case("ranking")


def test_the_case(records: pd.DataFrame, meta: Metas, close: Close) -> None:
    table = ranking(records, meta, FIELD)
    assert table["method"].tolist() == list("bacdef")
    assert table["mean_place"].tolist() == close([1.375, 1.625, 3, 4.375, 4.625, np.nan])
    ranked = table.iloc[:5]
    assert ranked["rank_low"].tolist() == [1, 1, 3, 4, 4]
    assert ranked["rank_high"].tolist() == [2, 2, 3, 5, 5]
    assert ranked["group"].tolist() == [1, 1, 2, 3, 3]
    assert table["partial"].tolist() == [False] * 5 + [True]
    assert table.loc[6, ["rank_low", "group", "place_without_low"]].isna().all()
    assert table.columns.tolist() == RANKING_COLUMNS and table.index.tolist() == [1, 2, 3, 4, 5, 6]


def test_the_pairs_of_the_case(records: pd.DataFrame, meta: Metas) -> None:
    table = pairs(records, meta, FIELD)
    p = table.set_index(table["method"] + table["other"])["p_adjusted"]
    expected = [0.3387602, 2.319208e-5, 8.735736e-7, 1.088889e-6, 4.755425e-5]
    assert p[["ba", "bc", "bd", "be", "ac"]].tolist() == pytest.approx(expected, rel=1e-5)
    assert table.columns.tolist() == PAIR_COLUMNS


def test_a_field_of_two_places_the_others_as_if_alone(records: pd.DataFrame, meta: Metas, close: Close) -> None:
    assert ranking(records, meta, ["b", "d"])["mean_place"].tolist()[:5] == close([1, 1.125, 1.5, 2, 2.125])


def test_a_clone_changes_nobodys_place(records: pd.DataFrame, meta: Metas) -> None:
    clones = pd.concat([records, *(records[records["method"] == "a"].assign(method=f"a{k}") for k in range(5))])
    before, after = (ranking(rows, meta, FIELD).set_index("method")["mean_place"] for rows in (records, clones))
    pd.testing.assert_series_equal(after[before.index], before, check_exact=True)
    # A clone meets the original as a tie, as the original meets itself.
    assert after["a3"] == after["a"]


def test_a_diverged_run_is_last_and_a_missing_one_makes_the_row_partial(
    records: pd.DataFrame, meta: Metas, close: Close
) -> None:
    worst = (
        records["method"].eq("a") & records["seed"].eq(0) & records["workload"].eq("u") & records["sparsity"].eq(0.8)
    )
    diverged = ranking(records.assign(accuracy=records["accuracy"].mask(worst)), meta, FIELD).set_index("method")
    before = ranking(records, meta, FIELD).set_index("method")
    assert diverged.loc["a", "mean_place"] - before.loc["a", "mean_place"] == close((5 - 2) / (2 * 2 * 3)), (
        "from 2nd to 5th in one of twelve runs"
    )
    missing = ranking(records[~worst], meta, FIELD).set_index("method")
    assert missing["partial"].to_dict() == {"b": False, "c": False, "d": False, "e": False, "a": True, "f": True}
    assert missing.loc["b", "mean_place"] < before.loc["b", "mean_place"], "an incomplete method of the field leaves it"


def test_a_group_is_told_by_its_first_member() -> None:
    apart = np.zeros((4, 4), dtype=bool)
    apart[0, 2] = apart[2, 0] = apart[0, 3] = apart[3, 0] = True
    assert _groups(apart) == [1, 1, 2, 2], "the third is not apart from the second, but from the first"


def test_two_seeds_set_nobody_apart(records: pd.DataFrame, meta: Metas) -> None:
    table = ranking(records[records["seed"] < 2], meta, FIELD).iloc[:5]
    assert set(table["group"]) == {1} and set(table["rank_low"]) == {1} and set(table["rank_high"]) == {5}


def test_without_a_complete_method_of_the_field_nobody_is_ranked(records: pd.DataFrame, meta: Metas) -> None:
    runs = records[
        (records["method"] == "a")
        | (records["method"] == "f")
        | ((records["method"] == "e") & (records["workload"] == "v"))
    ]
    assert ranking(runs, meta, ["e", "f"])["partial"].tolist() == [True, True, True]


def test_leaving_a_workload_out_shows_who_depends_on_it(records: pd.DataFrame, meta: Metas) -> None:
    one_sided = records["method"].eq("c") & records["workload"].eq("u")
    moved = ranking(records.assign(accuracy=records["accuracy"] + 5 * one_sided), meta, FIELD).set_index("method")
    assert moved.loc["c", ["place_without_low", "place_without_high"]].tolist() == [1, 3]
    assert moved.loc["e", ["place_without_low", "place_without_high"]].tolist() == [5, 5]
    alone = records[(records["workload"] == "u") & (records["sparsity"] == 0.8)]
    table = ranking(alone, meta, FIELD).iloc[:5]
    assert table["place_without_low"].tolist() == table["place_without_high"].tolist() == [1, 2, 3, 4, 5]


def test_the_gap_is_the_overall_duel(records: pd.DataFrame, meta: Metas) -> None:
    table = ranking(records, meta, FIELD, reference="c").set_index("method")
    expected = overall(records, meta, "a", "c")
    assert table.loc["a", ["gap", "gap_low", "gap_high"]].tolist() == expected[["difference", "low", "high"]].tolist()
    assert table.loc["c", ["gap", "gap_low", "gap_high"]].isna().all()


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(80, 100), min_size=5 * 2 * 3, max_size=5 * 2 * 3))
def test_places_of_a_field_are_fractional_ranks_in_any_order(accuracies: list[int]) -> None:
    index = pd.MultiIndex.from_product(
        [["u"], [0.1], [0.8, 0.9], FIELD, range(3)], names=["workload", "learning_rate", "sparsity", "method", "seed"]
    )
    records = index.to_frame(index=False).assign(accuracy=[float(a) for a in accuracies])
    meta = {"u": Meta(10, 100, 1.0)}
    table = ranking(records, meta, FIELD)
    ranks = records.groupby(["sparsity", "seed"])["accuracy"].rank(ascending=False).groupby(records["method"]).mean()
    np.testing.assert_allclose(table["mean_place"], ranks[table["method"]])
    pd.testing.assert_frame_equal(ranking(records.iloc[::-1], meta, FIELD[::-1]), table, check_exact=True)
    assert (table["rank_low"] <= table.index).all() and (table["rank_high"] >= table.index).all()


def test_the_best_rate_is_chosen_on_validation_images(records: pd.DataFrame, meta: Metas) -> None:
    low = records.assign(validation_accuracy=records["accuracy"] - 3)
    high = records.assign(
        learning_rate=0.2, accuracy=records["accuracy"] - 1, validation_accuracy=records["accuracy"] - 2
    )
    chosen = at_best_rate(pd.concat([low, high]))
    assert set(chosen["learning_rate"]) == {0.0} and len(chosen) == len(records)
    assert chosen["accuracy"].tolist() == high["accuracy"].tolist(), "worse on test, better on validation"
    assert (
        ranking(chosen, meta, FIELD)["mean_place"].tolist()[:5]
        == ranking(records, meta, FIELD)["mean_place"].tolist()[:5]
    )
    tied = at_best_rate(pd.concat([high.assign(validation_accuracy=1.0), low.assign(validation_accuracy=1.0)]))
    assert tied["accuracy"].tolist() == low["accuracy"].tolist()
    fallen = at_best_rate(
        pd.concat([low, high.assign(validation_accuracy=high["validation_accuracy"].mask(high["seed"] == 0))])
    )
    assert fallen["accuracy"].tolist() == low["accuracy"].tolist(), "a diverged run is no reason to choose its rate"


def test_bad_requests_raise(records: pd.DataFrame, meta: Metas) -> None:
    with pytest.raises(ValueError, match="validation_accuracy"):
        at_best_rate(records)
    with pytest.raises(ValueError, match="no runs of method 'z'"):
        ranking(records, meta, ["a", "z"])
