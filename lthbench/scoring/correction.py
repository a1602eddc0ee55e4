"""Many tests, several looks, more seeds (specification, section 4).

Holm: p_(k) (m - k + 1), running maximum, at most 1          BH: Benjamini and Hochberg 1995
alpha at look n of the declared looks = alpha · n / sum(looks)
seeds needed = smallest n' > n with |gap| √n' / s >= t.isf(level, d0 + n' - 1) + t.ppf(power, d0 + n' - 1)
"""

from collections.abc import Callable, Collection

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from lthbench.scoring.contrast import Array, Thresholds


def holm(p: ArrayLike) -> Array:
    """Adjusted p-values in the order given; the chance of any false claim at p <= alpha is at most alpha."""
    p = np.asarray(p, dtype=float)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted


def bh(p: ArrayLike) -> Array:
    """Adjusted p-values in the order given; of the claims at p <= alpha a share of at most alpha is expected to be false."""
    p = np.asarray(p, dtype=float)
    return np.asarray(stats.false_discovery_control(p, method="bh"), dtype=float) if len(p) else p


def within(family: ArrayLike, p: ArrayLike, adjust: Callable[[ArrayLike], Array]) -> Array:
    """p adjusted over the rows where `family` is true; NaN outside of it."""
    family, p = np.asarray(family, dtype=bool), np.asarray(p, dtype=float)
    adjusted = np.full(len(p), np.nan)
    adjusted[family] = adjust(p[family])
    return adjusted


def alpha_at(n: int, looks: Collection[int], alpha: float = 0.05) -> float:
    """The part of `alpha` that may be spent with `n` seeds; 0 between the declared looks, where every answer is *pending*."""
    return alpha * n / sum(looks) if n in looks else 0.0


def seeds_needed(
    gap: ArrayLike,
    s: ArrayLike,
    prior_df: ArrayLike,
    n: ArrayLike,
    level: ArrayLike,
    thresholds: Thresholds | None = None,
) -> Array:
    """Seeds at which a gap (pp) to a threshold would be shown at `level`, if it is the true one; inf for more than `max_seeds`.

    `s` is the moderated standard deviation (pp) of one paired difference, `n` the seeds so far. Arrays broadcast; NaN in, NaN out.
    """
    thresholds = thresholds or Thresholds()
    gap, s, prior_df, n, level = np.broadcast_arrays(
        *(np.asarray(v, dtype=float) for v in (gap, s, prior_df, n, level))
    )
    few, enough = n, np.full(gap.shape, thresholds.max_seeds + 1.0)
    # What is asked for falls and what is offered rises with n', so halving finds the same n' as trying all of them. Rounded up, so that
    # an answer already found is tried again, and never the seeds there are, while others are still searched for.
    while np.any(enough - few > 1):
        tried = np.ceil((few + enough) / 2)
        df = np.maximum(prior_df + tried - 1, 1e-6)
        shown = np.abs(gap) * np.sqrt(tried) / s >= special.stdtrit(df, thresholds.power) - special.stdtrit(df, level)
        few, enough = np.where(shown, few, tried), np.where(shown, tried, enough)
    return np.where(np.isnan(gap) | np.isnan(s), np.nan, np.where(enough > thresholds.max_seeds, np.inf, enough))


def detectable(se: ArrayLike, df: ArrayLike, level: ArrayLike, power: float = 0.8) -> Array:
    """The smallest difference (pp) that a contrast with this standard error would show at `level` with this power."""
    return np.asarray((stats.t.isf(level, df) + stats.t.ppf(power, df)) * np.asarray(se, dtype=float))
