"""Accuracy against what it costs: multiplications, parameters, epochs, and latency where `lthbench latency` measured it."""

from pathlib import Path

import pandas as pd

from lthbench.board.scores import SCORE_KEYS
from lthbench.runs.records import latency

AXES = {
    "multiplications": "multiplications for one image",
    "parameters": "parameters that stay",
    "epochs": "epochs charged",
    "latency": "measured time of one image ÷ dense network's",
}
MEASURED = {"form": "compact", "runtime": "torch", "batch": 1, "threads": 1}  # the latency that the chart shows


RUN = [*SCORE_KEYS, "seed"]
COLUMNS = [*RUN, "machine", *latency.Latency.model_fields]
NOT_MEASURED = pd.DataFrame(columns=COLUMNS)


def latencies(folder: Path) -> pd.DataFrame:
    """Return the latencies that lie in a folder, a row for each, with cell, seed and machine."""
    rows = [
        file.run.model_dump(include={*RUN}) | {"machine": file.machine.get("kind", "")} | row.model_dump()
        for file in latency.read(folder)
        for row in file.rows
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def with_costs(scores: pd.DataFrame, measured: pd.DataFrame) -> pd.DataFrame:
    """Add the costs of AXES that scores lack, and whether a row is on the Pareto front of its workload and learning rate.

    `latency` is the compact network's time ÷ the dense one's, measured side by side. `front_…` is by means, for every axis.
    """
    wanted = measured[(measured[list(MEASURED)] == pd.Series(MEASURED)).all(axis=1)]
    mean = (
        (1 / wanted["speed_up"].astype(float)).groupby([wanted[name] for name in SCORE_KEYS]).mean().rename("latency")
    )
    rows = scores.drop(columns="latency", errors="ignore").join(mean, on=SCORE_KEYS)
    groups = rows.groupby(["workload", "learning_rate"], group_keys=False)
    for axis in AXES:
        rows[f"front_{axis}"] = pd.concat([front(part, axis) for _, part in groups]) if len(rows) else False
    return rows


def front(rows: pd.DataFrame, axis: str) -> pd.Series:
    """Tell which rows no other one beats: by mean accuracy, with at most the same cost. A row without a cost is not on it."""
    cheapest = rows.sort_values([axis, "mean"], ascending=[True, False])
    best = cheapest["mean"].cummax().shift(fill_value=-1.0)
    found: pd.Series = (cheapest["mean"] > best) & cheapest[axis].notna()
    return found.reindex(rows.index)
