"""The plain scores: n, mean and interval of every method in every cell."""

import pandas as pd
from scipy import stats

from lthbench.scoring.ranking import at_best_rate

CELL = ["workload", "learning_rate", "sparsity", "method"]


def scores(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each method and cell of `Results.scored`: n, diverged, mean, low, high, sd of test accuracy in percent.

    `low` and `high` are the 95 % interval of the mean by Student's t, cut at 0 and 100. A mean accuracy lies between these,
    so that the cut takes nothing from the coverage; with two seeds, t alone would give bounds like -234 and 360. Diverged
    runs are counted, and enter no mean. `epochs` charged, `epochs_computed` and the theoretical `speed_up` are means over
    seeds; `collapsed_layers` is the most in any run.
    """
    groups = frame.groupby(CELL, sort=True)
    accuracy = groups["accuracy"]
    table = pd.DataFrame(
        {
            "n": accuracy.count(),
            "diverged": accuracy.size() - accuracy.count(),
            "mean": accuracy.mean(),
            "sd": accuracy.std(ddof=1),
            "epochs": groups["epochs"].mean(),
            "epochs_computed": groups["epochs_computed"].mean(),
            "multiplications": groups["multiplications"].mean(),
            "speed_up": groups["speed_up"].mean(),
            "collapsed_layers": groups["collapsed_layers"].max(),
        }
    )
    half = stats.t.ppf(0.975, (table["n"] - 1).clip(lower=1)) * table["sd"] / table["n"] ** 0.5
    table.insert(4, "low", (table["mean"] - half).clip(lower=0))
    table.insert(5, "high", (table["mean"] + half).clip(upper=100))
    return table.reset_index()


def best_rates(frame: pd.DataFrame) -> pd.DataFrame:
    """Return each method at the learning rate that its mean *validation* accuracy chooses.

    There is one row for each workload, sparsity and method.
    """
    chosen = at_best_rate(frame.assign(rate=frame["learning_rate"])).groupby(["workload", "sparsity", "method"])
    return chosen.agg(learning_rate=("rate", "first"), accuracy=("accuracy", "mean")).reset_index()
