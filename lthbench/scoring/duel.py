"""The duel of two methods, cell by cell and over cells (specification, section 5).

Cell:     p = min(1, 2 min(p_more(0), p_less(0)))      p_tie = max(p_more(-delta), p_less(delta))
          q = BH over the cells of the suite
Marginal: workload w with C cells has m_w = mean of the cells' differences and, for seed i,
          x_i = m_w + mean over its kept cells of (d_ci - mean d_c)      v_w = max(var(x), u / C) / n_w
          difference = mean m_w      se² = sum v_w / W²      df by Satterthwaite      Holm over the levels of a factor

Cells share their seeds, so a marginal mean counts seeds and never treats cells as replicates.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from lthbench.scoring.contrast import (
    BOTH,
    CELL,
    Array,
    Meta,
    Pairs,
    Thresholds,
    accuracy_table,
    barred,
    collapse_limits,
    contrast,
    keys,
    known,
    p_less,
    p_more,
    pairs_at,
    rounding_noise,
    satterthwaite,
)
from lthbench.scoring.correction import bh, detectable, holm, seeds_needed, within
from lthbench.scoring.images import COLUMNS as IMAGE_COLUMNS
from lthbench.scoring.images import Answers, answers, with_images
from lthbench.scoring.moderation import borrowed, with_interval

CELL_COLUMNS = [*CELL, "n_pairs", "n", "collapsed_a", "collapsed_b", "mean_a", "mean_b", "difference", "low", "high"]
CELL_COLUMNS += ["se", "df", "prior_df", "variance", "variance_moderated", "log_error", "p", "q", "p_tie", "q_tie"]
CELL_COLUMNS += ["outcome", "small", "note", "seeds_needed", "detectable", *IMAGE_COLUMNS]
MARGINAL_COLUMNS = ["group", "cells", "used", "difference", "low", "high", "se", "df", "p", "p_adjusted", "p_tie"]
MARGINAL_COLUMNS += ["p_tie_adjusted", "outcome", "small", "collapsed_a", "collapsed_b", *IMAGE_COLUMNS]
FACTORS = ("overall", *CELL)


def duel(
    records: pd.DataFrame,
    meta: Mapping[str, Meta],
    a: str,
    b: str,
    *,
    dense: str = "dense",
    thresholds: Thresholds | None = None,
) -> pd.DataFrame:
    """Compare two methods: one row for each cell in which both have runs, with `CELL_COLUMNS`.

    Differences are a - b in pp. `outcome` is the name of the winner, `tie`, `undecided`, or `pending` at alpha 0.
    `small` marks a win within the tolerance. `note` is `both collapsed`, `separated` (one side collapsed in every run)
    or empty. `seeds_needed` is set for undecided cells: inf means more than `max_seeds`; NaN means no advice, because
    there are too few seeds or the side ahead collapsed more often. `detectable` is the smallest difference (pp) that
    these seeds would show at the next level of the family. `low_images`, `high_images` and `se_images` are for new test
    images as well as new seeds; they are NaN unless every kept run has a text of `lthbench.bits` in the column
    `correct`.

    Raises ValueError for bad records or a method without runs.
    """
    thresholds = thresholds or Thresholds()
    cells, pairs, right = _matched(records, meta, a, b, dense, thresholds)
    cells = borrowed(pd.concat([cells, contrast(pairs)], axis=1), thresholds)
    kept = ~np.isnan(pairs.differences)
    cells = with_images(cells, [right.add([row], kept[[row]]) for row in range(len(cells))])
    delta, family = _tolerances(cells, meta), cells["note"] != BOTH
    cells["p"], cells["p_tie"] = _p(cells), _p_tie(cells, delta)
    cells["q"], cells["q_tie"] = within(family, cells["p"], bh), within(family, cells["p_tie"], bh)
    cells["outcome"] = _outcomes(cells, cells["q"], cells["q_tie"], a, b, thresholds)
    cells["small"] = _small(cells, delta, a, b)
    cells["seeds_needed"] = _advice(cells, delta, int(family.sum()), thresholds)
    level = _next_level(cells["q"], int(family.sum()), thresholds) / 2
    cells["detectable"] = np.where(
        family & (level > 0), detectable(cells["se"], cells["df"], level, thresholds.power), np.nan
    )
    return cells[CELL_COLUMNS]


def marginals(
    records: pd.DataFrame,
    meta: Mapping[str, Meta],
    a: str,
    b: str,
    *,
    dense: str = "dense",
    thresholds: Thresholds | None = None,
    factors: Sequence[str] = FACTORS,
) -> pd.DataFrame:
    """Compare two methods overall and by workload, learning rate and sparsity: one row for each level, with
    `MARGINAL_COLUMNS`. The levels of a factor are one family.

    `group` is "overall" or such as "sparsity 0.9"; `used` of its `cells` carry the number: those where no side collapsed in every run,
    with two or more clean pairs. `collapsed_*` count over all its cells.
    """
    thresholds = thresholds or Thresholds()
    cells, pairs, right = _matched(records, meta, a, b, dense, thresholds)
    cells = pd.concat([cells, contrast(pairs)], axis=1).assign(
        tolerance=lambda c: _tolerances(c, meta), n_test=pairs.n_test
    )
    families = [
        _levels(cells.assign(overall=""), pairs.differences, right, factor, a, b, thresholds) for factor in factors
    ]
    return pd.concat(families, ignore_index=True)[MARGINAL_COLUMNS]


def overall(
    records: pd.DataFrame,
    meta: Mapping[str, Meta],
    a: str,
    b: str,
    *,
    dense: str = "dense",
    thresholds: Thresholds | None = None,
) -> pd.Series:
    """Return the row "overall" of `marginals`. Its numbers are NaN if a and b share no cell."""
    table = marginals(records, meta, a, b, dense=dense, thresholds=thresholds, factors=["overall"])
    return table.iloc[0] if len(table) else pd.Series(np.nan, index=MARGINAL_COLUMNS)


def _matched(
    records: pd.DataFrame, meta: Mapping[str, Meta], a: str, b: str, dense: str, thresholds: Thresholds
) -> tuple[pd.DataFrame, Pairs, Answers]:
    table = accuracy_table(records, meta)
    rows_a, rows_b = (table.xs(known(table, method), level="method").index for method in (a, b))
    cells = rows_a.intersection(rows_b).sort_values().to_frame(index=False)
    of_a, of_b = keys(cells, a), keys(cells, b)
    pairs = pairs_at(table, meta, collapse_limits(table, meta, dense, thresholds), cells, of_a, of_b)
    return cells, pairs, answers(records, of_a, of_b, table.columns, pairs.n_test)


def _tolerances(cells: pd.DataFrame, meta: Mapping[str, Meta]) -> Array:
    return np.array([meta[workload].tolerance for workload in cells["workload"]], dtype=float)


def _p(estimates: pd.DataFrame) -> Array:
    return np.minimum(1.0, 2 * np.minimum(p_more(estimates, 0.0), p_less(estimates, 0.0)))


def _p_tie(estimates: pd.DataFrame, delta: Array) -> Array:
    return np.maximum(p_more(estimates, -delta), p_less(estimates, delta))


def _outcomes(
    estimates: pd.DataFrame, q: ArrayLike, q_tie: ArrayLike, a: str, b: str, thresholds: Thresholds
) -> NDArray[np.object_]:
    won = np.asarray(q) <= thresholds.alpha
    tied = (np.asarray(q_tie) <= thresholds.alpha) | (estimates["note"] == BOTH)
    conditions = [estimates["n_pairs"] < thresholds.min_seeds, won & (estimates["difference"] > 0), won, tied]
    outcome = np.select([np.asarray(c) for c in conditions], ["undecided", a, b, "tie"], "undecided").astype(object)
    return outcome if thresholds.alpha > 0 else np.full(len(outcome), "pending", dtype=object)


def _small(estimates: pd.DataFrame, delta: Array, a: str, b: str) -> pd.Series:
    return estimates["outcome"].isin([a, b]) & (-delta < estimates["low"]) & (estimates["high"] < delta)


def _advice(cells: pd.DataFrame, delta: Array, family: int, thresholds: Thresholds) -> Array:
    """Seeds to a win or, where the difference lies within the tolerance, to a tie, each at the level that BH would ask next."""
    gap, state = cells["difference"].abs(), (np.sqrt(cells["variance_moderated"]), cells["prior_df"], cells["n"])
    to_win = seeds_needed(gap, *state, _next_level(cells["q"], family, thresholds) / 2, thresholds)
    tieable = (gap < delta) & (cells["collapsed_a"] == cells["collapsed_b"])
    to_tie = np.where(
        tieable, seeds_needed(delta - gap, *state, _next_level(cells["q_tie"], family, thresholds), thresholds), np.inf
    )
    advised = (
        cells["outcome"].eq("undecided")
        & (cells["n_pairs"] >= thresholds.min_seeds)
        & ~barred(cells, cells["difference"])
    )
    return np.where(advised, np.minimum(to_win, to_tie), np.nan)


def _next_level(q: pd.Series, family: int, thresholds: Thresholds) -> float:
    """The level at which BH would reject one more of its family: what it rejected counts, whatever the cell is called.

    A win within the tolerance is such a cell: it may be shown to tie as well, and is called a win.
    """
    return float(thresholds.alpha * ((q <= thresholds.alpha).sum() + 1) / max(family, 1))


def _levels(
    cells: pd.DataFrame, differences: Array, right: Answers, factor: str, a: str, b: str, thresholds: Thresholds
) -> pd.DataFrame:
    """Return the rows of one factor, which is one family."""
    rows = [
        {"group": f"{factor} {level}".strip(), **_estimate(group, differences, right)}
        for level, group in cells.groupby(factor, sort=True)
    ]
    if not rows:
        return pd.DataFrame(columns=MARGINAL_COLUMNS)
    estimates = with_interval(pd.DataFrame(rows))
    estimates = with_images(estimates, estimates["added"])
    delta = estimates["tolerance"].to_numpy(dtype=float)
    estimates["p"], estimates["p_tie"] = _p(estimates), _p_tie(estimates, delta)
    estimates["p_adjusted"], estimates["p_tie_adjusted"] = holm(estimates["p"]), holm(estimates["p_tie"])
    estimates["outcome"] = _outcomes(estimates, estimates["p_adjusted"], estimates["p_tie_adjusted"], a, b, thresholds)
    return estimates.assign(small=_small(estimates, delta, a, b))


def _estimate(cells: pd.DataFrame, differences: Array, right: Answers) -> dict[str, object]:
    """Return the mean difference of these cells, all workloads weighted alike, and its variance over seeds.

    `added` is the variance that the test images add, in pp². Workloads may share test images, so their parts are
    treated as perfectly correlated.
    """
    used = cells[(cells["note"] == "") & (cells["n"] >= 2)]
    groups = [group for _, group in used.groupby("workload", sort=True)]
    of_workloads = [_workload(group, differences[group.index]) for group in groups]
    row: dict[str, object] = {
        "cells": len(cells),
        "used": len(used),
        "note": "",
        "n_pairs": used["n_pairs"].min() if len(used) else 0,
    }
    row |= {side: cells[side].sum() for side in ("collapsed_a", "collapsed_b")}
    if not of_workloads:
        return row | dict.fromkeys(["difference", "se", "df", "tolerance", "added"], np.nan)
    mean, v, n, tolerance = np.array(of_workloads).T
    variance, df = satterthwaite(v, n - 1)
    row |= {"difference": mean.mean(), "se": np.sqrt(variance), "df": df, "tolerance": tolerance.mean()}
    added = [right.add(group.index, ~np.isnan(differences[group.index])) for group in groups]
    return row | {"added": np.sqrt(added).mean() ** 2}


def _workload(cells: pd.DataFrame, d: Array) -> tuple[float, float, int, float]:
    """Return m_w (pp), v_w (pp²), seeds n_w and tolerance (pp) of one workload's cells, with d (cells, seeds)."""
    kept = ~np.isnan(d)
    seen = kept.any(axis=0)
    residual = (
        np.where(kept, d - cells["difference"].to_numpy()[:, None], 0.0).sum(axis=0)[seen] / kept.sum(axis=0)[seen]
    )
    floor = rounding_noise(cells["n_test"].iloc[0]) / len(cells)
    v = max(float(residual.var(ddof=1)), float(floor)) / len(residual)
    return float(cells["difference"].mean()), v, len(residual), float(cells["tolerance"].iloc[0])
