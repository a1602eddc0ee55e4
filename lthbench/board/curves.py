"""The learning curves that a page shows: tickets, their controls and the dense networks, over the seeds."""

from typing import Any

import pandas as pd

from lthbench.board.analysis import Analysis

MOST = 100  # points of one line
COLUMNS = ["learning_rate", "sparsity", "method", "step", "mean", "min", "max", "count", "part"]
LOSSES = {"training_loss": "training", "validation_loss": "held-out"}


def curve_rows(analysis: Analysis) -> pd.DataFrame:
    """Return losses over seeds, mean, lowest, highest and number, by learning rate, method, part of the data and step.

    The rows are those of the first workload, at the middle sparsity of those that have curves. Methods are the suite's
    tickets, their controls, and dense networks.
    """
    runs = analysis.results.runs
    columns = ["workload", "learning_rate", "sparsity", "method", "track"]
    curves = analysis.results.curves.join(runs[columns], on="run")
    curves = curves[curves["workload"] == runs["workload"].iloc[0]] if len(curves) else curves
    curves = curves[curves["method"].isin(_shown(analysis))]
    sparse = sorted(set(curves["sparsity"]) - {0.0})
    curves = curves[(curves["track"] == "dense") | curves["sparsity"].isin(sparse[len(sparse) // 2 :][:1])]
    lines = [_line(curves, column, part) for column, part in LOSSES.items() if curves[column].notna().any()]
    return _in_order(pd.concat(lines), analysis.methods) if lines else pd.DataFrame(columns=COLUMNS)


def _in_order(rows: pd.DataFrame, methods: list[str]) -> pd.DataFrame:
    """Return the rows with methods as a page lists them."""
    return rows.sort_values("method", key=lambda names: names.map(methods.index), kind="stable", ignore_index=True)


def _shown(analysis: Analysis) -> set[str]:
    runs = analysis.results.runs
    tickets = set(analysis.tickets)
    controls = runs.loc[runs["control_of"].isin(tickets), "method"]
    return tickets | set(controls) | set(runs.loc[runs["track"] == "dense", "method"])


def _line(curves: pd.DataFrame, column: str, part: str) -> pd.DataFrame:
    keys = ["learning_rate", "sparsity", "method", "step"]
    found = curves.dropna(subset=[column]).groupby(keys)[column].agg(["mean", "min", "max", "count"]).reset_index()
    kept: Any = found.groupby(keys[:-1])["step"].transform(lambda steps: _thinned(len(steps))).astype(bool)
    return found[kept].assign(part=part)


def _thinned(count: int) -> list[bool]:
    """Mark at most MOST positions, evenly, with the last one among them."""
    every = -(-count // MOST)
    return [(count - 1 - at) % every == 0 for at in range(count)]
