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
    fewer than two thresholds are known.
    """

    thresholds: Mapping[int, float]
    a: float
    b: float
    low: float
    high: float


def growth(curves: pd.DataFrame, dense: pd.DataFrame, share: float, seed: int = 0) -> Growth:
    """Return the growth of the threshold with the number of examples.

    `curves`: columns steps, examples, seed, accuracy; `dense`: examples, seed, accuracy, both on one grid without gaps.
    The threshold is the first of the steps at which the mean accuracy over seeds is at least `share` of that of the
    dense network on the same number of examples. Seeds are resampled whole.
    """
    examples, steps = (np.unique(curves[name]) for name in ("examples", "steps"))
    cube = (
        curves.sort_values(["seed", "examples", "steps"])["accuracy"].to_numpy().reshape(-1, len(examples), len(steps))
    )
    level = dense[dense["examples"].isin(examples)].sort_values(["seed", "examples"])["accuracy"]
    levels = share * level.to_numpy().reshape(-1, len(examples))
    here = _first(cube.mean(0), levels.mean(0), steps)
    a, b = logarithmic(examples, here)
    drawn = np.random.default_rng(seed).integers(len(cube), size=(RESAMPLES, len(cube)))
    slopes = np.array([logarithmic(examples, _first(cube[i].mean(0), levels[i].mean(0), steps))[1] for i in drawn])
    slopes = slopes[~np.isnan(slopes)]
    low, high = np.percentile(slopes, [2.5, 97.5]) if not math.isnan(b) else (math.nan, math.nan)
    return Growth(dict(zip(map(int, examples), map(float, here), strict=True)), a, b, float(low), float(high))


def _first(curves: Array, levels: Array, steps: Array) -> Array:
    """Return the first of the steps at which each curve [examples, steps] reaches its level [examples].

    NaN if it never does.
    """
    reached = curves >= levels[:, None] - 1e-9
    return np.where(reached.any(1), steps[reached.argmax(1)], np.nan)


def logarithmic(sizes: Array, values: Array) -> tuple[float, float]:
    """Return a and b of the least-squares fit a + b ln m, ignoring NaN. Both are NaN if fewer than two sizes are left."""
    known = ~np.isnan(values)
    if known.sum() < 2:
        return math.nan, math.nan
    x, y = np.log(sizes[known]), values[known]
    b = float(((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum())
    return float(y.mean() - b * x.mean()), b
