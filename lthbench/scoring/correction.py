"""Corrections for many tests and several looks, and the seeds needed (specification, section 4).

Holm: p_(k) (m - k + 1), running maximum, at most 1          BH: Benjamini and Hochberg 1995
alpha at look n of the declared looks = alpha · n / sum(looks)
seeds needed = smallest n' > n with |gap| √n' / s >= t.isf(level, d0 + n' - 1) + t.ppf(power, d0 + n' - 1)
"""

from collections.abc import Callable, Collection

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from lthbench.scoring.contrast import ALPHA, Array, Thresholds


def holm(p: ArrayLike) -> Array:
    """Adjust p-values by Holm, in the order given: the probability of any false claim at p <= alpha is at most alpha."""
    p = np.asarray(p, dtype=float)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted


def bh(p: ArrayLike) -> Array:
    """Adjust p-values by Benjamini and Hochberg, in the order given.

    Of the claims at p <= alpha, an expected share of at most alpha is false.
    """
    p = np.asarray(p, dtype=float)
    return np.asarray(stats.false_discovery_control(p, method="bh"), dtype=float) if len(p) else p


def within(family: ArrayLike, p: ArrayLike, adjust: Callable[[ArrayLike], Array]) -> Array:
    """Adjust p over the rows in which `family` is true. The result is NaN elsewhere."""
    family, p = np.asarray(family, dtype=bool), np.asarray(p, dtype=float)
    adjusted = np.full(len(p), np.nan)
    adjusted[family] = adjust(p[family])
    return adjusted


def alpha_at(n: int, looks: Collection[int], alpha: float = ALPHA) -> float:
    """Return the part of `alpha` that may be spent at `n` seeds.

    It is 0 between the declared looks, where every answer is *pending*.
    """
    return alpha * n / sum(looks) if n in looks else 0.0


def seeds_needed(
    gap: ArrayLike,
    s: ArrayLike,
    prior_df: ArrayLike,
    n: ArrayLike,
    level: ArrayLike,
    thresholds: Thresholds | None = None,
) -> Array:
    """Return the number of seeds that would show a gap (pp) to a threshold at `level`, if it is the true one.

    It is inf for more than `max_seeds`. `s` is the moderated standard deviation (pp) of one paired difference, and `n`
    the present number of seeds. Arrays broadcast; NaN gives NaN.
    """
    thresholds = thresholds or Thresholds()
    gap, s, prior_df, n, level = np.broadcast_arrays(
        *(np.asarray(v, dtype=float) for v in (gap, s, prior_df, n, level))
    )
    few, enough = n, np.full(gap.shape, thresholds.max_seeds + 1.0)
    # The left side rises with n' and the right side falls, so that halving finds the same n' as trying all. Rounding up tries an
    # n' that is already found again, and never the present n, while other rows are still searched.
    while np.any(enough - few > 1):
        tried = np.ceil((few + enough) / 2)
        df = np.maximum(prior_df + tried - 1, 1e-6)
        shown = np.abs(gap) * np.sqrt(tried) / s >= special.stdtrit(df, thresholds.power) - special.stdtrit(df, level)
        few, enough = np.where(shown, few, tried), np.where(shown, tried, enough)
    return np.where(np.isnan(gap) | np.isnan(s), np.nan, np.where(enough > thresholds.max_seeds, np.inf, enough))


def detectable(se: ArrayLike, df: ArrayLike, level: ArrayLike, power: float = 0.8) -> Array:
    """Return the smallest difference (pp) that a contrast with this standard error would show at `level` with this
    power."""
    return np.asarray((stats.t.isf(level, df) + stats.t.ppf(power, df)) * np.asarray(se, dtype=float))
