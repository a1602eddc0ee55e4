"""Section 2: pairing, collapse, the variance floor, and the two one-sided tests."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lthbench.scoring.contrast import (
    Array,
    Meta,
    Pairs,
    Thresholds,
    accuracy_table,
    barred,
    collapse_limits,
    contrast,
    known,
    p_less,
    p_more,
    satterthwaite,
)
from lthbench.scoring.moderation import borrowed

Close = Callable[[object], object]
LIMIT = 18.18


def alone(a: list[float], b: list[float], n_test: int = 10000) -> pd.DataFrame:
    """Return the contrast of two lists of accuracies, with its own variance."""
    pairs = Pairs(*(np.array([side], dtype=float) for side in (a, b)), np.array([LIMIT]), np.array([float(n_test)]))
    return borrowed(contrast(pairs).assign(workload="w"), Thresholds())


def records(**methods: list[float]) -> pd.DataFrame:
    rows = [
        ("w", 0.1, 0.8, method, seed, value) for method, values in methods.items() for seed, value in enumerate(values)
    ]
    return pd.DataFrame(rows, columns=["workload", "learning_rate", "sparsity", "method", "seed", "accuracy"])


META = {"w": Meta(10, 10000, 0.5)}


def test_alone_it_is_the_paired_t_test(close: Close) -> None:
    a, b = [91.0, 91.4, 91.2], [90.5, 90.9, 90.8]
    row = alone(a, b)
    expected = {
        "n": 3,
        "df": 2,
        "difference": 0.4666667,
        "variance": 0.003333333,
        "log_error": 2.2264237,
        "se": 0.03333333,
    }
    expected |= {"low": 0.3232449, "high": 0.6100884}
    assert row[list(expected)].iloc[0].to_dict() == close(expected)
    assert [p_more(row, m)[0] for m in (0, 0.3, 0.5)] == close([0.00253166, 0.01887478, 0.7886751])
    assert p_less(row, 0.5)[0] == close(0.2113249)
    assert 2 * p_more(row, 0)[0] == pytest.approx(stats.ttest_rel(a, b).pvalue)


def test_the_floor_is_the_rounding_noise_of_two_accuracies(close: Close) -> None:
    row = alone([97.0, 97.2, 97.4], [96.8, 97.0, 97.2], n_test=500)
    assert row[["variance", "se"]].iloc[0].tolist() == close([0.00666667, 0.04714045])
    assert 2 * p_more(row, 0)[0] == close(0.0513167)
    perfect = alone([100.0] * 3, [100.0] * 3, n_test=500)
    assert perfect["log_error"][0] == close(np.log(0.1))
    assert p_more(perfect, 0)[0] == p_less(perfect, 0)[0] == 0.5
    assert max(p_more(perfect, -1)[0], p_less(perfect, 1)[0]) == close(0.00110742)


def test_the_limit_lies_a_tenth_of_the_way_from_chance_to_the_best_dense_median(
    case: Callable[[str], pd.DataFrame],
) -> None:
    table = accuracy_table(case("duel"), META)
    assert collapse_limits(table, META, "dense", Thresholds())["w"] == pytest.approx(18.18)
    assert collapse_limits(table, META, "none", Thresholds())["w"] == pytest.approx(10 + 0.1 * (91.8 - 10))


@pytest.mark.parametrize(
    ("a", "difference", "less"),
    [([90.1, 90.3, 90.2, 90.4], 0.2, 0.9918617), ([89.8, 89.9, 89.8, 89.7], -0.25, 0.00769622)],
)
def test_the_side_that_collapsed_may_claim_nothing(
    a: list[float], difference: float, less: float, close: Close
) -> None:
    row = alone([*a, 10.0], [90.0, 90.1, 90.0, 90.1, 90.2])
    assert row[["n_pairs", "n", "collapsed_a", "collapsed_b"]].iloc[0].tolist() == [5, 4, 1, 0]
    assert row["difference"][0] == close(difference)
    assert (p_more(row, 0)[0], p_less(row, 0)[0]) == close((1.0, less))
    assert barred(row, 1.0)[0] and not barred(row, -1.0)[0]


def test_a_side_that_always_collapses_is_separated(close: Close) -> None:
    table = accuracy_table(records(a=[85, 85.2, 85.4, 10], b=[10, 10, 10, np.nan]), META)
    row = alone(*(table.xs(m, level="method").iloc[0].tolist() for m in "ab"))
    assert row[["n", "collapsed_a", "collapsed_b", "note"]].iloc[0].tolist() == [3, 1, 4, "separated"]
    assert (row["difference"][0], p_more(row, 0)[0]) == close((75.2, 1.178885e-6))
    mirrored = alone([10, 10, 10, 0], [85, 85.2, 85.4, 10])
    assert p_less(mirrored, 0)[0] == close(1.178885e-6)


def test_both_collapsed_says_nothing() -> None:
    row = alone([10, 10, 10], [10, 10, 10])
    assert row[["n", "note"]].iloc[0].tolist() == [0, "both collapsed"]
    assert p_more(row, 0)[0] == p_less(row, 0)[0] == 1


def test_no_common_seed_and_one_pair_say_nothing() -> None:
    for row in (alone([90.0, np.nan], [np.nan, 90.0]), alone([90.0, np.nan], [80.0, 90.0])):
        assert row["note"][0] == ""
        assert p_more(row, 0)[0] == p_less(row, 0)[0] == 1


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=2, max_size=8))
def test_swapped_sides_mirror_each_other(pairs: list[tuple[int, int]]) -> None:
    a, b = ([side / 5 for side in runs] for runs in zip(*pairs, strict=True))
    row, mirrored = alone(a, b, n_test=500), alone(b, a, n_test=500)
    assert mirrored["difference"].equals(-row["difference"])
    assert (p_more(row, 0.3)[0], p_less(row, 0.3)[0]) == (p_less(mirrored, -0.3)[0], p_more(mirrored, -0.3)[0])


def test_equal_counts_are_equal_accuracies() -> None:
    table = accuracy_table(records(a=[91.3], b=[100 * (0.1 + 0.2) + 61.3]), META)
    assert table[0].nunique() == 1


def test_rows_in_any_order_and_diverged_runs_make_one_table() -> None:
    rows = records(a=[91.0, np.nan], b=[90.0])
    table = accuracy_table(rows, META)
    pd.testing.assert_frame_equal(table, accuracy_table(rows.iloc[::-1], META))
    assert table.loc[("w", "a", 0.1, 0.8), 1] == 0
    assert np.isnan(table.loc[("w", "b", 0.1, 0.8), 1])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: pd.concat([r, r.head(1)]), "each run needs exactly one row"),
        (lambda r: r.assign(validation_acc=1.0), "unknown: .'validation_acc'"),
        (lambda r: r.drop(columns="seed"), "missing: .'seed'"),
        (lambda r: r.assign(workload="z"), "no Meta for workload .'z'"),
        (lambda r: r.assign(seed=np.nan), "empty"),
        (lambda r: r.assign(accuracy=101.0), "percentages"),
    ],
)
def test_bad_records_raise_one_clear_line(change: Callable[[pd.DataFrame], pd.DataFrame], words: str) -> None:
    with pytest.raises(ValueError, match=words) as error:
        accuracy_table(change(records(a=[91.0], b=[90.0])), META)
    assert "\n" not in str(error.value)


def test_an_unknown_method_raises_and_guesses() -> None:
    with pytest.raises(ValueError, match="no runs of method 'lottery'.*did you mean 'lottery-ticket'"):
        known(accuracy_table(records(**{"lottery-ticket": [90.0]}), META), "lottery")


def test_satterthwaite_adds_what_equal_estimates_know() -> None:
    ones: Array = np.ones(3)
    assert satterthwaite(ones, 4 * ones) == (pytest.approx(1 / 3), pytest.approx(12))
