"""Section 3: the inverse of the trigamma function and the borrowing of variance."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import digamma, polygamma

from lthbench.scoring.contrast import Thresholds
from lthbench.scoring.moderation import borrowed, inverse_trigamma, moderate

Close = Callable[[object], object]
X = np.array([2.0, 2.1, 2.2, 2.3, 2.5, 2.6, 2.9, 3.4])
TREND = np.array([0.01, 0.02, 0.04, 0.05, 0.08, 0.10, 0.30, 1.20])
WILD = np.array([0.001, 0.5, 0.02, 2, 0.004, 0.9, 0.05, 0.3])
TWO = np.full(8, 2.0)


def term(d0: float) -> float:
    """What the mean of ln variance is multiplied with, for a prior of d0 degrees of freedom, after the exponential."""
    return float(np.exp(digamma(d0 / 2) - np.log(d0 / 2)))


@pytest.mark.parametrize("y", [0.1, 1, 2, 50])
def test_the_inverse_undoes_the_trigamma_function(y: float, close: Close) -> None:
    assert inverse_trigamma(polygamma(1, y)) == close(y)


def test_the_inverse_at_two_known_points(close: Close) -> None:
    assert (inverse_trigamma(0.1), inverse_trigamma(10)) == close((10.491682, 0.3350810))


@given(st.floats(1e-6, 1e6))
def test_the_inverse_everywhere(x: float) -> None:
    assert polygamma(1, inverse_trigamma(x)) == pytest.approx(x, rel=1e-8)


def test_a_trend_takes_what_variances_share(close: Close) -> None:
    found = moderate(TREND, TWO, X)
    assert found.prior_df == 4
    assert found.df.tolist() == [6.0] * 8
    assert found.prior.tolist() == close(
        [0.0208043, 0.0286888, 0.0395613, 0.0545543, 0.10374, 0.1430555, 0.3751281, 1.8705599]
    )
    assert found.variance.tolist() == close(
        [0.0172029, 0.0257925, 0.0397076, 0.0530362, 0.0958266, 0.1287036, 0.3500854, 1.6470399]
    )


def test_without_a_spread_in_error_there_is_no_trend(close: Close) -> None:
    found = moderate(WILD, TWO, np.full(8, 2.3))
    assert found.prior_df == close(0.9168157)
    # The specification has .0331019 for the prior, whose term is that of d0 there and of the cap here (docs/log.md, 2026-11-27).
    assert found.prior.tolist() == close([0.0331019 * term(4) / term(0.9168157)] * 8)
    expected = [0.0330313, 0.3751853, 0.0460592, 1.4037041, 0.0350883, 0.6494570, 0.0666296, 0.2380494]
    assert found.variance.tolist() == close(expected)


def test_contrasts_with_fewer_seeds_weigh_less(close: Close) -> None:
    found = moderate(WILD, np.array([2.0, 2, 1, 2, 2, 2, 2, 2]), X)
    assert found.prior_df == close(0.9152136)
    assert found.df[:3].tolist() == close([2.9152136, 2.9152136, 1.9152136])
    assert found.variance[:3].tolist() == close([0.0174061, 0.3624357, 0.0447324])


@given(st.floats(0.05, 3))
def test_the_prior_lies_on_the_line_whatever_the_scatter(scatter: float) -> None:
    wide = np.exp(scatter * np.linspace(-2, 2, 12) + 1)
    found = moderate(wide, np.full(12, 4.0), np.ones(12))
    assert found.prior == pytest.approx(moderate(np.full(12, np.e), np.full(12, 4.0), np.ones(12)).prior)


def test_a_small_pool_lends_nothing() -> None:
    found = moderate(TREND[:7], TWO[:7], X[:7])
    assert (found.variance.tolist(), found.df.tolist(), found.prior_df) == (TREND[:7].tolist(), [2.0] * 7, 0)


@given(st.lists(st.floats(1e-4, 1e2), min_size=8, max_size=20), st.floats(1e-3, 1e3))
def test_moderated_variances_lie_between_own_and_prior_and_scale(variances: list[float], unit: float) -> None:
    variance, f = np.array(variances), np.full(len(variances), 4.0)
    x = np.linspace(1, 3, len(variances))
    found, scaled = moderate(variance, f, x), moderate(variance * unit, f, x)
    assert (found.variance >= np.minimum(variance, found.prior) * (1 - 1e-9)).all()
    assert (found.variance <= np.maximum(variance, found.prior) * (1 + 1e-9)).all()
    assert 0 < found.prior_df <= 4
    np.testing.assert_allclose(scaled.variance, found.variance * unit, rtol=1e-6)


def pool(workload: str) -> pd.DataFrame:
    return pd.DataFrame({"workload": workload, "variance": WILD, "n": 3, "log_error": X, "note": "", "difference": 0.5})


def test_a_pool_is_one_workload_and_leaves_out_what_collapsed() -> None:
    other = pool("v").assign(variance=TREND)
    both = borrowed(pd.concat([pool("w"), other], ignore_index=True), Thresholds())
    np.testing.assert_array_equal(both["variance_moderated"][:8], moderate(WILD, TWO, X).variance)
    np.testing.assert_array_equal(both["variance_moderated"][8:], moderate(TREND, TWO, X).variance)
    stray = pool("w").iloc[[0]].assign(note="separated", variance=1e6)
    lone = pool("w").iloc[[0]].assign(n=1, variance=np.nan)
    with_strays = borrowed(pd.concat([pool("w"), stray, lone], ignore_index=True), Thresholds())
    np.testing.assert_array_equal(with_strays["variance_moderated"][:8], both["variance_moderated"][:8])
    assert with_strays.loc[8, ["variance_moderated", "prior_df", "df"]].tolist() == [1e6, 0, 2]
    assert with_strays.loc[9, ["df", "se", "low", "high"]].isna().all()
