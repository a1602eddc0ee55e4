"""Thresholds and their growth: the first steps at which a curve reaches a level, and their logarithmic fit."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Array = NDArray[np.float64]

RESAMPLES = 2000


@dataclass(frozen=True)
class Growth:
    """The thresholds by number of examples (NaN if none was reached), and the fit t* = a + b ln m through them.

    `low` and `high` bound the 95 % percentile interval of b over resampled seeds. a, b and the interval are NaN if
    fewer than two thresholds are known. `gaps` are the numbers of examples whose threshold cannot be given, because the
    runs of a step before it, or of the dense network, have no result.
    """

    thresholds: Mapping[int, float]
    a: float
    b: float
    low: float
    high: float
    gaps: tuple[int, ...] = ()


def growth(curves: pd.DataFrame, dense: pd.DataFrame, share: float, seed: int = 0) -> Growth:
    """Return the growth of the threshold with the number of examples.

    `curves`: columns steps, examples, seed, accuracy; `dense`: examples, seed, accuracy. The threshold is the first of the
    steps at which the mean accuracy over seeds is at least `share` of that of the dense network on the same number of
    examples. Runs that are missing are left out of the means. Seeds are resampled whole.
    """
    if curves.empty:
        return Growth({}, math.nan, math.nan, math.nan, math.nan)
    examples, steps, seeds = (np.unique(curves[name]) for name in ("examples", "steps", "seed"))
    cube = _on_grid(curves, {"seed": seeds, "examples": examples, "steps": steps})
    levels = share * _on_grid(dense, {"seed": seeds, "examples": examples})
    here, gaps = _first(_mean(cube), _mean(levels), steps)
    a, b = logarithmic(examples, here)
    drawn = np.random.default_rng(seed).integers(len(cube), size=(RESAMPLES, len(cube)))
    slopes = np.array([logarithmic(examples, _first(_mean(cube[i]), _mean(levels[i]), steps)[0])[1] for i in drawn])
    slopes = slopes[~np.isnan(slopes)]
    low, high = np.percentile(slopes, [2.5, 97.5]) if not math.isnan(b) else (math.nan, math.nan)
    found = dict(zip(map(int, examples), map(float, here), strict=True))
    return Growth(found, a, b, float(low), float(high), tuple(map(int, examples[gaps])))


def _on_grid(rows: pd.DataFrame, axes: Mapping[str, Array]) -> Array:
    """Return the accuracies as an array with these axes, NaN where there is no run."""
    grid = pd.MultiIndex.from_product(list(axes.values()), names=list(axes))
    found: Array = rows.set_index(list(axes))["accuracy"].reindex(grid).to_numpy(float)
    return found.reshape([len(axis) for axis in axes.values()])


def _mean(values: Array) -> Array:
    """Return the mean over the first axis without NaN; NaN where nothing else is."""
    with np.errstate(invalid="ignore"):
        found: Array = np.nansum(values, axis=0) / (~np.isnan(values)).sum(0)
    return found


def _first(curves: Array, levels: Array, steps: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Return the first of the steps at which each curve [examples, steps] reaches its level [examples].

    NaN if it never does, and if a step before is NaN. The second array tells the latter.
    """
    above = curves - levels[:, None]
    unknown = np.logical_or.accumulate(np.isnan(above), axis=1)
    reached = (curves >= levels[:, None] - 1e-9) & ~unknown
    found = np.where(reached.any(1), steps[reached.argmax(1)], np.nan)
    return found, np.isnan(found) & unknown.any(1)


def logarithmic(sizes: Array, values: Array) -> tuple[float, float]:
    """Return a and b of the least-squares fit a + b ln m, ignoring NaN. Both are NaN if fewer than two sizes are left."""
    known = ~np.isnan(values)
    if known.sum() < 2:
        return math.nan, math.nan
    x, y = np.log(sizes[known]), values[known]
    b = float(((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum())
    return float(y.mean() - b * x.mean()), b
