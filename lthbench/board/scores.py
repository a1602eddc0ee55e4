"""The plain scores: n, mean and interval of every method in every cell."""

import math

import pandas as pd
from scipy import stats

from lthbench.scoring.ranking import at_best_rate

SCORE_KEYS = ["workload", "learning_rate", "sparsity", "method"]


def scores(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each method and cell of `Tables.scored`: n, diverged, mean, low, high, sd of test accuracy in percent.

    `low` and `high` are the 95 % interval of the mean by Student's t, cut at 0 and 100. A mean accuracy lies between these,
    so that the cut takes nothing from the coverage; with two seeds, t alone would give bounds like -234 and 360. `n` runs
    did not diverge. Those that did enter the mean at chance, so that no method gains by a run that it calls diverged.
    `epochs` charged, `epochs_computed`, `parameters` that stay, `multiplications` and `multiplications_saved` are means over
    seeds; `collapsed_layers` is the most in any run.
    """
    groups = frame.assign(counted=at_chance(frame)).groupby(SCORE_KEYS, sort=True)
    accuracy, counted = groups["accuracy"], groups["counted"]
    table = pd.DataFrame(
        {
            "n": accuracy.count(),
            "diverged": accuracy.size() - accuracy.count(),
            "mean": counted.mean(),
            "sd": counted.std(ddof=1),
            "epochs": groups["epochs"].mean(),
            "epochs_computed": groups["epochs_computed"].mean(),
            "parameters": groups["parameters_left"].mean(),
            "multiplications": groups["multiplications"].mean(),
            "multiplications_saved": groups["multiplications_saved"].mean(),
            "collapsed_layers": groups["collapsed_layers"].max(),
        }
    )
    runs = counted.count()
    half = stats.t.ppf(0.975, (runs - 1).clip(lower=1)) * table["sd"] / runs**0.5
    table.insert(4, "low", (table["mean"] - half).clip(lower=0))
    table.insert(5, "high", (table["mean"] + half).clip(upper=100))
    return table.reset_index()


def at_chance(frame: pd.DataFrame) -> pd.Series:
    """Return the accuracy of every run; that of chance where it diverged."""
    return frame["accuracy"].fillna(frame["chance"])


def with_deviation(mean: float, deviation: float, decimals: int = 1) -> str:
    """Format a mean as `96.3 ± 0.5`; alone where there is no deviation, as of one seed; "" where there is no mean."""
    if math.isnan(mean):
        return ""
    return f"{mean:.{decimals}f}" + ("" if math.isnan(deviation) else f" ± {deviation:.{decimals}f}")


def best_rates(frame: pd.DataFrame) -> pd.DataFrame:
    """Return each method at the learning rate that its mean *validation* accuracy chooses.

    There is one row for each workload, sparsity and method.
    """
    counted = frame.assign(rate=frame["learning_rate"], accuracy=at_chance(frame))
    chosen = at_best_rate(counted).groupby(["workload", "sparsity", "method"])
    return chosen.agg(learning_rate=("rate", "first"), accuracy=("accuracy", "mean")).reset_index()
