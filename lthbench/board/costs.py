"""Accuracy against what it costs: multiplications, parameters, epochs, and latency where `lthbench latency` measured it."""

from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from lthbench import source
from lthbench.board.scores import CELL
from lthbench.errors import InputError

AXES = {
    "multiplications": "multiplications for one image",
    "parameters": "parameters that stay",
    "epochs": "epochs charged",
    "latency": "measured time of one image ÷ dense network's",
}
MEASURED = {"form": "compact", "runtime": "torch", "batch": 1, "threads": 1}  # the latency that the chart shows


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    form: str
    runtime: str
    batch: int
    threads: int
    median: float
    low: float
    high: float
    speed_up: float
    parameters: int
    size: int


class _File(BaseModel):
    """A file of `lthbench latency`: the run, the machine, and a row for each form, runtime, batch and number of threads."""

    model_config = ConfigDict(frozen=True)

    run: dict[str, Any]
    machine: dict[str, str]
    rows: list[_Row]


COLUMNS = [*CELL, "seed", "machine", *_Row.model_fields]
NOT_MEASURED = pd.DataFrame(columns=COLUMNS)


def latencies(folder: Path) -> pd.DataFrame:
    """Return the rows of all files in `latency/` of a folder, each with its cell, seed and machine. InputError for a broken one."""
    rows = [row for path in sorted((folder / "latency").glob("*.json")) for row in _rows(path)]
    return pd.DataFrame(rows, columns=COLUMNS)


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        file = _File.model_validate_json(source.read_text(path))
        run = {name: file.run[name] for name in (*CELL, "seed")}
    except (ValidationError, KeyError, OSError, ValueError) as error:
        raise InputError(
            f"{path} is not from lthbench latency: {' '.join(str(error).split())[:200]}; remove it"
        ) from None
    return [run | {"machine": file.machine.get("kind", "")} | row.model_dump() for row in file.rows]


def with_costs(scores: pd.DataFrame, measured: pd.DataFrame) -> pd.DataFrame:
    """Add the costs of AXES that scores lack, and whether a row is on the Pareto front of its workload and learning rate.

    `latency` is the compact network's time ÷ the dense one's, measured side by side. `front_…` is by means, for every axis.
    """
    wanted = measured[(measured[list(MEASURED)] == pd.Series(MEASURED)).all(axis=1)]
    mean = (1 / wanted["speed_up"].astype(float)).groupby([wanted[name] for name in CELL]).mean().rename("latency")
    rows = scores.drop(columns="latency", errors="ignore").join(mean, on=CELL)
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
