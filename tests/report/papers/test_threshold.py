"""Thresholds on artificial curves, and their logarithmic fit with its interval."""

import math

import numpy as np
import pandas as pd
import pytest

from lthbench.report.papers.threshold import growth, logarithmic

STEPS, SIZES = (0, 1, 2, 4, 8, 16, 32), (100, 200, 400, 800)


def curves(threshold: dict[int, float], seeds: int = 5, noise: float = 0.0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return curves with accuracy 90 from the threshold on and 50 below it; the dense network has 91."""
    g = np.random.default_rng(0)
    rows = [
        {
            "steps": t,
            "examples": m,
            "seed": seed,
            "accuracy": (90.0 if t >= threshold[m] + g.normal(0, noise) else 50.0),
        }
        for m in SIZES
        for t in STEPS
        for seed in range(seeds)
    ]
    dense = [{"examples": m, "seed": seed, "accuracy": 91.0} for m in SIZES for seed in range(seeds)]
    return pd.DataFrame(rows).sample(frac=1, random_state=0), pd.DataFrame(dense)


def test_a_logarithm_is_found() -> None:
    found = growth(*curves({100: 2, 200: 4, 400: 8, 800: 16}), share=0.98)
    assert found.thresholds == {100: 2.0, 200: 4.0, 400: 8.0, 800: 16.0}
    assert (found.a, found.b) == pytest.approx(tuple(np.polyfit(np.log(SIZES), [2, 4, 8, 16], 1)[::-1]))
    assert found.low == pytest.approx(found.b) == pytest.approx(found.high)  # all seeds agree


def test_one_step_a_doubling_has_the_slope_of_one_doubling() -> None:
    a, b = logarithmic(np.array(SIZES, dtype=float), np.array([3.0, 4.0, 5.0, 6.0]))
    assert b == pytest.approx(1 / math.log(2)) and a + b * math.log(100) == pytest.approx(3.0)


def test_what_is_never_reached_is_left_out() -> None:
    found = growth(*curves({100: 2, 200: 99, 400: 8, 800: 99}), share=0.98)
    assert math.isnan(found.thresholds[200]) and found.b == pytest.approx(6 / math.log(4))
    nothing = growth(*curves(dict.fromkeys(SIZES, 99)), share=0.98)
    assert all(map(math.isnan, (nothing.a, nothing.b, nothing.low, nothing.high)))


def test_the_interval_widens_with_the_noise_and_is_the_same_again() -> None:
    noisy = growth(*curves({100: 4, 200: 4, 400: 4, 800: 4}, noise=4), share=0.6)
    assert noisy.low < noisy.high and noisy.low <= 0 <= noisy.high
    assert growth(*curves({100: 4, 200: 4, 400: 4, 800: 4}, noise=4), share=0.6) == noisy


def test_the_share_decides() -> None:
    assert set(growth(*curves(dict.fromkeys(SIZES, 8)), share=0.5).thresholds.values()) == {0.0}
    assert set(growth(*curves(dict.fromkeys(SIZES, 8)), share=0.95).thresholds.values()) == {8.0}


def test_a_run_without_a_result_moves_no_other() -> None:
    """Without one, the rows do not fill the grid; without one of each step, they fill a smaller grid, in wrong places."""
    rows, dense = curves({100: 2, 200: 4, 400: 8, 800: 16})
    whole = growth(rows, dense, share=0.98)
    one = (rows["seed"] == 0) & (rows["examples"] == 100) & (rows["steps"] == 8)
    assert growth(rows[~one], dense, share=0.98) == whole
    diagonal = (rows["seed"] == rows["examples"].map(SIZES.index)) & (rows["steps"] > 0)
    assert growth(rows[~diagonal], dense, share=0.98).thresholds == whole.thresholds
    assert growth(rows, dense[1:], share=0.98).thresholds == whole.thresholds


@pytest.mark.parametrize(("step", "gaps"), [(1, (200,)), (4, (200,)), (8, ())])
def test_a_threshold_above_a_gap_is_not_known(step: int, gaps: tuple[int, ...]) -> None:
    rows, dense = curves({100: 2, 200: 4, 400: 8, 800: 16})
    found = growth(rows[(rows["examples"] != 200) | (rows["steps"] != step)], dense, share=0.98)
    assert found.gaps == gaps
    assert found.thresholds[100] == 2 and (math.isnan(found.thresholds[200]) if gaps else found.thresholds[200] == 4)
    assert growth(rows, dense[dense["examples"] != 100], share=0.98).gaps == (100,)


def test_nothing_grows_where_no_run_has_a_result() -> None:
    rows, dense = curves({100: 2, 200: 4, 400: 8, 800: 16})
    assert growth(rows[:0], dense, share=0.98).thresholds == {}
