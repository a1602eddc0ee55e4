"""Borrow variance between the contrasts of one pool, never means (specification, section 3; Smyth 2004, section 6.2; a trend, a cap).

The method is that of Smyth 2004, with a trend and a cap. With z = ln s² - psi(f/2) + ln(f/2), its least-squares line on
the log error x, and e = residual variance - mean psi1(f/2):

    d0  = min(cap, 2 psi1⁻¹(e)), or cap where e <= 1e-8
    s0² = exp(line + psi(cap/2) - ln(cap/2))
    moderated s² = (d0 s0² + f s²) / (d0 + f)      df = d0 + f

The cap is there because d0 estimated from few contrasts with f = 2 is often infinite: uncapped, 8 to 16 % of null suites hold a false win.

Smyth and the specification have d0 for cap in s0². The term is the bias of the logarithm of a scaled inverse chi-squared variance, whose
long tail towards large variances grows as d0 falls: at d0 = 1 it takes s0² to 0.28 of the line. Variances that scatter widely need not have
that tail, and s0² is then too small: 8 % of null suites held a false win at n = 3 where ln sd had scatter 1. At the cap nothing differs.
Phipson et al. 2016 lower d0 for single outliers instead: that did less here, and other cures cost more power (docs/log.md, 2026-11-27).
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import special, stats

from lthbench.scoring.contrast import Array, Thresholds


class Moderated(NamedTuple):
    """Variances with their degrees of freedom. `prior_df` is 0 and `prior` is NaN where nothing was borrowed."""

    variance: Array
    df: Array
    prior_df: float
    prior: Array


def inverse_trigamma(x: float) -> float:
    """Solve psi1(y) = x for y, with x > 0, by Newton's method on 1 / psi1, which converges from below."""
    y = 0.5 + 1 / x
    for _ in range(50):
        t = special.polygamma(1, y)
        step = t * (1 - t / x) / special.polygamma(2, y)
        y += step
        if abs(step / y) < 1e-12:
            break
    return float(y)


def moderate(variance: Array, f: Array, x: Array, cap: float = 4.0, min_pool: int = 8) -> Moderated:
    """Shrink the variances (G,), each with `f` degrees of freedom, towards their trend on `x`.

    A pool of fewer than `min_pool` stays as it is.
    """
    if len(variance) < min_pool:
        return Moderated(variance, f, 0.0, np.full(len(variance), np.nan))
    z = np.log(variance) - special.digamma(f / 2) + np.log(f / 2)
    centred = x - x.mean()
    sloped = centred @ centred > 1e-6 * len(x)
    line = z.mean() + (centred @ z / (centred @ centred) * centred if sloped else np.zeros(len(x)))
    excess = ((z - line) ** 2).sum() / (len(z) - 1 - sloped) - special.polygamma(1, f / 2).mean()
    d0 = min(cap, 2 * inverse_trigamma(excess)) if excess > 1e-8 else cap
    prior = np.exp(line + special.digamma(cap / 2) - np.log(cap / 2))
    return Moderated((d0 * prior + f * variance) / (d0 + f), d0 + f, d0, prior)


def borrowed(contrasts: pd.DataFrame, thresholds: Thresholds) -> pd.DataFrame:
    """Return the contrasts with variance_moderated, prior_df, df, se, and the 95 % interval low, high (pp, not
    adjusted).

    A pool is one workload of the given frame, which must belong to one report and hold no submission of others. Its
    members have n >= 2 and no side that collapsed in every run. All other contrasts keep their own variance.
    """
    variance, prior_df = contrasts["variance"].to_numpy(dtype=float).copy(), np.zeros(len(contrasts))
    f = contrasts["n"].to_numpy(dtype=float) - 1
    member = (f >= 1) & (contrasts["note"] == "").to_numpy()
    for workload in contrasts["workload"].unique():
        pool = member & (contrasts["workload"] == workload).to_numpy()
        shrunk = moderate(
            variance[pool],
            f[pool],
            contrasts["log_error"].to_numpy()[pool],
            thresholds.prior_df_cap,
            thresholds.min_pool,
        )
        variance[pool], prior_df[pool] = shrunk.variance, shrunk.prior_df
    df = np.where(f >= 1, f + prior_df, np.nan)
    se = np.sqrt(variance / np.maximum(f + 1, 1))
    return with_interval(contrasts.assign(variance_moderated=variance, prior_df=prior_df, df=df, se=se))


def with_interval(estimates: pd.DataFrame) -> pd.DataFrame:
    """Return the estimates with low and high: difference ± t.975(df) · se.

    They are 95 % intervals for display, at any alpha.
    """
    half = stats.t.ppf(0.975, estimates["df"].to_numpy(dtype=float)) * estimates["se"]
    return estimates.assign(low=estimates["difference"] - half, high=estimates["difference"] + half)
