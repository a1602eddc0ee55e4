"""What results stand on: machines and dates, runs without a result, and the parameters that stay dense."""

import re
from collections.abc import Iterable
from itertools import groupby

import pandas as pd

from lthbench.board.analysis import CELL, Analysis

MOST = 6  # cells that a line names


def machines(analysis: Analysis) -> list[str]:
    """Return a line for each environment: its seeds and runs, the device, the versions, and the dates (UTC)."""
    runs = analysis.results.runs
    environments = runs.groupby(["device", "instructions", "torch"], sort=True)
    return [_machine(rows, [str(part) for part in name]) for name, rows in environments]


def _machine(rows: pd.DataFrame, environment: list[str]) -> str:
    device, instructions, torch = environment
    days = sorted(rows["started"].str[:10].unique())
    named = ", ".join(harmless(part) for part in (device, instructions, f"torch {torch}") if part)
    period = harmless(" to ".join(dict.fromkeys([days[0], days[-1]])))
    return f"{seeds(rows['seed'])}, {len(rows):,} runs: {named}; {period}"


def dense_parameters(analysis: Analysis) -> list[str]:
    """Return a line for each workload: the parameters of its model, and those that no method may remove."""
    known = analysis.frame.dropna(subset=["prunable", "parameters_total"])
    lines = []
    for workload in analysis.suite.workload:
        rows = known[known["workload"] == workload.name]
        if rows.empty:
            continue
        total, prunable = (int(rows[column].mode().iloc[0]) for column in ("parameters_total", "prunable"))
        patterns = workload.prunable if isinstance(workload.prunable, str) else ", ".join(workload.prunable)
        lines.append(
            f"{workload.name}: {prunable:,} of {total:,} parameters ({100 * prunable / total:.3g} %) are prunable "
            f"({patterns}); {total - prunable:,} stay dense in every method"
        )
    return lines


def missing(analysis: Analysis) -> list[str]:
    """Return a line for each method of the suite that lacks runs: their number, cells and seeds."""
    groups = analysis.missing.groupby("method", sort=False)
    return [f"{method}: {len(rows)} runs missing ({cells(analysis, rows)})" for method, rows in groups]


def failures(analysis: Analysis) -> list[str]:
    """Return a line for every kind of failure: method, number, reason, cells and seeds."""
    runs = analysis.results.runs
    lost = runs[runs["status"] != "ok"].fillna({"reason": "no reason given"})
    groups = lost.groupby(["method", "status", "reason"], sort=True)
    return [
        f"{method}: {len(rows)} runs {status}: {why} ({cells(analysis, rows)})"
        for (method, status, why), rows in groups
    ]


def cells(analysis: Analysis, rows: pd.DataFrame) -> str:
    """Name the cells of some runs, at most MOST of them, with the seeds of each."""
    several = len(analysis.suite.workload) > 1
    found = [
        f"{f'{workload}, ' if several else ''}learning rate {rate:g}, sparsity {100 * float(str(sparsity)):g} %, {seeds(part['seed'])}"
        for (workload, rate, sparsity), part in rows.groupby(CELL, sort=True)
    ]
    rest = [f"and {len(found) - MOST} more cells"] if len(found) > MOST else []
    return "; ".join([*found[:MOST], *rest])


def seeds(numbers: Iterable[int]) -> str:
    """Name seeds in ranges: "seeds 0–4, 7"; "seed 3"."""
    ordered = sorted({int(n) for n in numbers})
    ranges = [[n for _, n in run] for _, run in groupby(enumerate(ordered), lambda pair: pair[1] - pair[0])]
    said = ", ".join(f"{run[0]}–{run[-1]}" if len(run) > 1 else str(run[0]) for run in ranges)
    return f"seed{'s' * (len(ordered) > 1)} {said}"


def harmless(text: str) -> str:
    """Leave out of an environment's names what is markup; no processor has such a name."""
    return re.sub(r"[^\w .,:;+/@()-]", "", text)[:200]
