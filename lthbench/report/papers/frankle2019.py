"""Frankle and Carbin 2019: every published statement beside what was measured, and the paper's curves."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lthbench.report import charts
from lthbench.report.measured import Measured, Section
from lthbench.report.published import Statement, paper
from lthbench.report.table import interval, markdown, summary, wide
from lthbench.runs.records.record import Result

TICKET, REINIT, ONE_SHOT, DENSE = "ticket", "re-initialised", "one-shot ticket", "dense"
METHODS = {"imp-layerwise": TICKET, "one-shot-layerwise": ONE_SHOT, "dense": DENSE}
MEASURES = {
    "step": "early-stopping step",
    "stopped": "test accuracy at early stopping, %",
    "test": "test accuracy at the end, %",
    "train": "training accuracy at the end, %",
}
REMOVED = 0.2  # of the remaining weights, in a round
LATE = 0.95  # of a training: where the validation loss is least only here, it was still falling
KEY = ["workload", "learning_rate"]


def sections(measured: Measured) -> list[Section]:
    """Return the sections: the paper's statements, and its four curves."""
    runs = by_seed(measured)
    return [claim(measured, runs), curves(runs)]


def by_seed(measured: Measured) -> pd.DataFrame:
    """Return one row for each arm, cell and seed, with a column for each of MEASURES; draws of one seed are averaged.

    `rounds` is the number of rounds of pruning, and `step` is the geometric mean over draws.
    """
    rows = measured.rows(*METHODS)
    again = [str(start).startswith("reinit") for start in rows.get("start", pd.Series("", rows.index))]
    arms = np.where(again, REINIT, rows["method"].map(METHODS))
    early = [early_stopping(result) for result in rows["result"]]
    rows = rows.assign(arm=arms, log_step=[np.log(step) for step, _ in early], stopped=[right for _, right in early])
    cells = rows.groupby([*KEY, "sparsity", "arm", "seed"])[["log_step", "stopped", "test", "train"]].mean()
    found = cells.reset_index().assign(step=lambda f: np.exp(f["log_step"]))
    return found.assign(rounds=(np.log1p(-found["sparsity"]) / math.log(1 - REMOVED)).round().astype(int))


def claim(measured: Measured, runs: pd.DataFrame) -> Section:
    """Set every statement of the paper beside its estimate here."""
    rows, counts = [], dict[str, int]()
    for (workload, _), own in runs.groupby(KEY, sort=False):
        for statement in paper("frankle2019").statements:
            found = estimate(statement, own)
            word = "not run here" if found is None else verdict(statement, found)
            counts[word] = counts.get(word, 0) + 1
            rows.append([workload, statement.what, statement.published, found or "", word, statement.tag])
    headers = ["workload", "statement", "published", "here", "", "known how"]
    said = ", ".join(f"{word}: {count}" for word, count in counts.items())
    text = (
        f"Of {len(rows)} statements, {said}. Steps are compared as ratios and accuracies as differences, paired by seed; "
        "the interval is Student's t at 95 % for each statement alone. A statement is *shown* where its interval lies on "
        "the claimed side of no difference, and *contradicted* where it lies on the other side. A figure is *as published* "
        "where the mean is the same to two decimals. The early-stopping step is "
        f"that of the least validation loss, found afterwards.{_at_the_end(measured)}"
    )
    return Section("Does the claim hold here", f"{text}\n\n{markdown(pd.DataFrame(rows), headers)}")


def _at_the_end(measured: Measured) -> str:
    """Say in how many runs the validation loss was still falling at the end, so that their step is only a lower bound."""
    recipe, watched = measured.suite.recipe, [r for r in measured.table["result"] if r.early_stop]
    late = sum(r.early_stop.step > LATE * recipe.clock(r.epoch).total for r in watched)
    where = f"in the last {1 - LATE:.0%} of the training, and is only a lower bound"
    return f" In {late} of {len(watched)} runs it lies {where}." if late else ""


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval, and the value that means no difference."""

    mean: float
    low: float
    high: float
    neutral: float
    unit: str

    def __str__(self) -> str:
        values = [f"{value:.2f}" for value in (self.mean, self.low, self.high)]
        return f"{values[0]} {self.unit} ({values[1]} to {values[2]})".replace("-", "−").replace("  ", " ")


def estimate(statement: Statement, runs: pd.DataFrame) -> Estimate | None:
    """Return what came out for a statement; None where an arm of it has fewer than two seeds."""
    a = _arm(runs, statement.arm, statement.rounds, statement.measure)
    b = _arm(runs, statement.other, statement.other_rounds, statement.measure) if statement.other else None
    pairs = pd.concat([a] if b is None else [a, b], axis=1, join="inner").to_numpy(dtype=float)
    if len(pairs) < 2:
        return None
    if b is None:
        return Estimate(*interval(pairs[:, 0]), statement.value or 0.0, "%")
    if statement.measure == "step":
        mean, low, high = map(math.exp, interval(np.log(pairs[:, 0] / pairs[:, 1])))
        return Estimate(mean, low, high, 1.0, "times")
    return Estimate(*interval(pairs[:, 0] - pairs[:, 1]), 0.0, "pp")


def _arm(runs: pd.DataFrame, arm: str, rounds: int | None, measure: str) -> pd.Series:
    """Return a measure of an arm by seed. Dense runs have no rounds."""
    at = 0 if arm == DENSE else rounds
    own = runs[(runs["arm"] == arm) & (runs["rounds"] == at)]
    return own.set_index("seed")[measure].dropna()


def verdict(statement: Statement, found: Estimate) -> str:
    """Say whether a statement is shown: the interval against no difference, in the direction that the paper claims.

    A figure that the paper gives without comparison is as published where the mean is that figure, in the digits shown.
    """
    if statement.claims == "same" and not statement.other and round(found.mean - found.neutral, 2) == 0:
        return "as published"
    if statement.claims == "same":
        return "no difference shown" if found.low <= found.neutral <= found.high else "a difference is shown"
    sign = 1 if statement.claims == "more" else -1
    low, high = sorted((sign * (found.low - found.neutral), sign * (found.high - found.neutral)))
    return "shown" if low > 0 else "contradicted" if high < 0 else "undecided"


def curves(runs: pd.DataFrame) -> Section:
    """Show each measure against the weights that remain: the paper's four curves."""
    shown = runs.assign(left=100 * (1 - runs["sparsity"]))
    pruned, dense = shown[shown["arm"] != DENSE], shown[shown["arm"] == DENSE]
    text, images = [], dict[str, str]()
    for measure, title in MEASURES.items():
        if runs[measure].isna().all():
            continue
        found = summary(pruned, [*KEY, "left", "arm"], measure)
        level = summary(dense, KEY, measure)
        images[measure] = _chart(found, level, title)
        table = wide(found.sort_values("left", ascending=False), [*KEY, "left"], "arm", 0 if measure == "step" else 2)
        table["left"] = table["left"].map("{:.1f} %".format)
        reached = ", ".join(f"{row['workload']}: {row['mean']:.6g}" for _, row in level.iterrows())
        text.append(f"{title[0].upper()}{title[1:]} (dense: {reached}):\n\n{markdown(table)}")
    return Section("Curves against the weights that remain", "\n\n".join(text), images)


def _chart(found: pd.DataFrame, level: pd.DataFrame, title: str) -> str:
    rules = level.assign(name=DENSE)[["workload", "name", "mean"]]
    return charts.lines(
        found, "left", "mean", "arm", column="workload", scale="log", reverse=True, rules=rules,
        titles=("weights remaining, %", title), order=[arm for arm in (TICKET, REINIT, ONE_SHOT) if arm in {*found["arm"]}],
    )  # fmt: skip


def early_stopping(result: Result) -> tuple[float, float]:
    """Return the step of least validation loss of the last training, and the test accuracy there in percent.

    Both are NaN where the training was not watched.
    """
    stop = result.early_stop
    return (stop.step, stop.test.percent) if stop else (math.nan, math.nan)
