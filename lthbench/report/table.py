"""Records as one long table, with a column for every parameter of a method, and summaries of its columns."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from lthbench.board import page
from lthbench.board.scores import with_deviation
from lthbench.runs.records.record import Record

CELL = ["workload", "learning_rate", "sparsity"]
GAP = "no result"  # in a table, where every run diverged


def table(records: Iterable[Record]) -> pd.DataFrame:
    """Return one row for each run that has a result.

    `label` is the method with its parameters and `method` without. Its parameters have columns of their own. Accuracies
    are in percent; `epochs` and `off_budget` are charges in epochs; `result` is the whole result.
    """
    rows = []
    for record in records:
        r = record.result
        if r.status != "ok" or not (r.test and r.train):
            continue
        own = {"workload": r.workload, "learning_rate": r.learning_rate, "sparsity": r.sparsity, "seed": r.seed}
        own |= {"label": r.method, "method": r.method.partition("[")[0]}
        own |= {"test": r.test.percent, "train": r.train.percent, "train_loss": r.loss.get("train")}
        own |= {
            "epochs": sum(r.charged.values()) / r.epoch,
            "off_budget": sum(r.off_budget.values()) / r.epoch,
            "result": r,
        }
        rows.append(r.parameters | own)
    return pd.DataFrame(rows)


def summary(rows: pd.DataFrame, by: Sequence[str], value: str) -> pd.DataFrame:
    """Return n, mean, standard deviation and 95 % interval (Student's t) of the mean of a column, a row for each group.

    Deviation and interval are NaN where n is below 2.
    """
    groups = rows.groupby(list(by), sort=True, dropna=False)[value]
    found = pd.DataFrame({"n": groups.count(), "mean": groups.mean(), "sd": groups.std(ddof=1)})
    half = stats.t.ppf(0.975, (found["n"] - 1).clip(lower=1)) * found["sd"] / found["n"] ** 0.5
    return found.assign(low=found["mean"] - half, high=found["mean"] + half).reset_index()


def interval(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return the mean of two or more values and the ends of its 95 % interval (Student's t)."""
    mean, half = float(values.mean()), float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))
    return mean, mean - half, mean + half


def said_of(row: pd.Series, digits: int = 1) -> str:
    """Format the mean and deviation of a row of a summary."""
    return with_deviation(float(row["mean"]), float(row["sd"]), digits)


def said(found: pd.DataFrame, digits: int = 1) -> list[str]:
    """Format the mean and deviation of every row of a summary."""
    return [said_of(row, digits) for _, row in found.iterrows()]


def at(level: pd.DataFrame, rows: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Return the rows of a summary that stand in the cells of other rows, in their order; NaN in a cell that it lacks."""
    return rows[list(by)].merge(level, on=list(by), how="left")


def wide(found: pd.DataFrame, rows: Sequence[str], column: str, digits: int = 1) -> pd.DataFrame:
    """Return a summary as text, with one column for every value of `column`."""
    text = found.assign(text=said(found, digits))
    return (
        text.pivot_table(index=list(rows), columns=column, values="text", aggfunc="first", sort=False)
        .fillna("")
        .reset_index()
    )


def markdown(rows: pd.DataFrame, headers: Sequence[str] | None = None) -> str:
    """Return a Markdown table of text and numbers."""
    cells = [[_text(value) for value in row] for row in rows.itertuples(index=False)]
    names = list(headers) if headers else [str(name).replace("_", " ") for name in rows.columns]
    return page.markdown(cells, names)


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
