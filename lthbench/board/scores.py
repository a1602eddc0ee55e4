"""The plain scores: every method in every cell."""

import pandas as pd
from scipy import stats

CELL = ["workload", "learning_rate", "sparsity", "method"]


def scores(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a method and cell of `records.frame`: n, diverged, mean, sd, low, high of test accuracy in percent, epochs charged.

    `low` and `high` are the 95 % interval of the mean by Student's t. Diverged runs are counted, and enter no mean.
    """
    groups = frame.groupby(CELL, sort=True)["accuracy"]
    table = pd.DataFrame(
        {
            "n": groups.count(),
            "diverged": groups.size() - groups.count(),
            "mean": groups.mean(),
            "sd": groups.std(ddof=1),
            "epochs": frame.groupby(CELL, sort=True)["epochs"].mean(),
        }
    )
    half = stats.t.ppf(0.975, (table["n"] - 1).clip(lower=1)) * table["sd"] / table["n"] ** 0.5
    table.insert(4, "low", table["mean"] - half)
    table.insert(5, "high", table["mean"] + half)
    return table.reset_index()


def best_rates(frame: pd.DataFrame) -> pd.DataFrame:
    """Each method at the learning rate that its mean *validation* accuracy chooses: one row a workload, sparsity and method."""
    means = frame.groupby(CELL, sort=True)[["accuracy", "validation_accuracy"]].mean().reset_index()
    best = means.groupby(["workload", "sparsity", "method"])["validation_accuracy"].idxmax().dropna()
    return means.loc[best.astype(int)].sort_values(["workload", "sparsity", "method"]).reset_index(drop=True)
