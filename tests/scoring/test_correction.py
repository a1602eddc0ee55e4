"""Section 4: corrections, looks, seeds needed."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lthbench.scoring.contrast import Thresholds
from lthbench.scoring.correction import alpha_at, bh, detectable, holm, seeds_needed, within

Close = Callable[[object], object]
P = st.lists(st.floats(0, 1), max_size=12)


def test_holm_and_bh_of_five(close: Close) -> None:
    p = [0.001, 0.01, 0.02, 0.04, 0.3]
    assert holm(p).tolist() == close([0.005, 0.04, 0.06, 0.08, 0.3])
    assert bh(p).tolist() == close([0.005, 0.025, 0.0333333, 0.05, 0.3])


def test_holm_and_bh_keep_the_order_given(close: Close) -> None:
    p = [0.04, 0.001, 0.02]
    assert holm(p).tolist() == close([0.04, 0.003, 0.04])
    assert bh(p).tolist() == close([0.04, 0.003, 0.03])


def test_an_empty_family_is_an_empty_answer() -> None:
    assert holm([]).shape == bh([]).shape == (0,)


@given(P)
def test_holm_is_the_closed_bonferroni_test(p: list[float]) -> None:
    order = sorted(range(len(p)), key=p.__getitem__)
    expected, running = [0.0] * len(p), 0.0
    for k, i in enumerate(order):
        running = expected[i] = max(running, min(1.0, p[i] * (len(p) - k)))
    assert holm(p).tolist() == pytest.approx(expected)


@given(P)
def test_bh_claims_no_less_than_holm_and_both_keep_the_ranking(p: list[float]) -> None:
    assert (bh(p) <= holm(p) + 1e-12).all()
    order = np.argsort(p, kind="stable")
    assert (np.diff(holm(p)[order]) >= 0).all() and (np.diff(bh(p)[order]) >= 0).all()


def test_rows_outside_the_family_are_not_counted() -> None:
    np.testing.assert_array_equal(within([True, False, True], [0.01, 0.001, 0.5], holm), [0.02, np.nan, 0.5])


def test_alpha_is_split_over_the_declared_looks(close: Close) -> None:
    assert [alpha_at(n, (3, 5, 10)) for n in (3, 4, 5, 10)] == close([0.0083333, 0, 0.0138889, 0.0277778])
    assert alpha_at(5, (5,)) == 0.05


@pytest.mark.parametrize(
    ("gap", "s", "n", "level", "seeds"),
    [(0.3, 0.4, 5, 0.025, 16), (-0.3, 0.4, 3, 0.005, 24), (1, 0.2, 3, 0.01, 4), (0.05, 0.4, 5, 0.025, np.inf)],
)
def test_seeds_needed(gap: float, s: float, n: int, level: float, seeds: float) -> None:
    assert seeds_needed(gap, s, 4, n, level) == seeds


@given(st.floats(-2, 2), st.floats(0.01, 2), st.floats(0, 4), st.integers(2, 100), st.floats(1e-4, 0.05))
def test_seeds_needed_is_the_first_that_would_do(gap: float, s: float, prior_df: float, n: int, level: float) -> None:
    tried = np.arange(n + 1, 101)
    df = prior_df + tried - 1
    shown = tried[abs(gap) * np.sqrt(tried) / s >= stats.t.isf(level, df) + stats.t.ppf(0.8, df)]
    assert seeds_needed(gap, s, prior_df, n, level) == (shown[0] if len(shown) else np.inf)


def test_seeds_needed_over_all_answers() -> None:
    gaps = np.geomspace(0.1, 2, 400)
    tried = np.arange(4, 101)
    threshold = stats.t.isf(0.02, 3.0 + tried) + stats.t.ppf(0.8, 3.0 + tried)
    shown = gaps[:, None] * np.sqrt(tried) / 0.5 >= threshold
    expected = np.where(shown.any(axis=1), tried[shown.argmax(axis=1)], np.inf)
    assert len(set(expected)) > 60
    np.testing.assert_array_equal(seeds_needed(gaps, 0.5, 4, 3, 0.02), expected)


def test_what_is_not_known_needs_no_seeds() -> None:
    assert np.isnan(seeds_needed([np.nan, 1.0], [0.1, np.nan], 4, 3, 0.05)).all()
    assert seeds_needed(0.3, 0.4, 4, 5, 0.025, Thresholds(max_seeds=15)) == np.inf


def test_the_detectable_difference_is_the_gap_that_these_seeds_would_show() -> None:
    s, n, prior_df = 0.4, 16, 4.0
    gap = float(detectable(s / np.sqrt(n), prior_df + n - 1, 0.025))
    assert seeds_needed(gap * 1.0001, s, prior_df, n - 1, 0.025) == n
    assert seeds_needed(gap * 0.9999, s, prior_df, n - 1, 0.025) == n + 1
