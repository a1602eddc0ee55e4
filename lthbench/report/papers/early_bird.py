"""Early-bird tickets (You et al. 2020) beside Wolfe et al. 2021: the epoch at which the mask settles, and the ticket's
worth."""

import pandas as pd

from lthbench.board.page import marginal_lines
from lthbench.report import charts
from lthbench.report.measured import Measured, Section
from lthbench.report.table import CELL, markdown, said, summary

SUITES = {"wolfe2021-digits": "digits-channels"}
"""The suite whose records have early-bird tickets, by a suite of Wolfe et al."""
EARLY, FULL = "early-bird", "slimming"


def sections(measured: Measured) -> list[Section]:
    """Return one section, or none without records.

    It has the trace of mask distances, the epochs at which they settle, and the accuracy against tickets of a whole
    training.
    """
    name = SUITES.get(measured.suite.name)
    other = measured.other(name) if name else None
    return [_section(other)] if other and len(other.rows(EARLY)) else []


def _section(measured: Measured) -> Section:
    rows = measured.rows(EARLY)
    rows = rows.assign(found=[r.notes["found_at"] for r in rows["result"]])
    stopped, test = summary(rows, CELL, "found"), summary(rows, CELL, "test")
    cost = rows.groupby(CELL)["epochs"].mean()
    table = stopped[CELL].assign(
        found=said(stopped),
        epochs=cost.to_numpy(),
        test=said(test),
    )
    parameters = rows["result"].iloc[0].parameters
    text = (
        f"`{measured.suite.name}` has early-bird tickets (You et al., ICLR 2020). After every epoch, the channels that slimming would "
        f"remove give a mask. The ticket is drawn at the first mask that differs from each of the last {parameters['window']} "
        f"by at most {100 * parameters['tolerance']:g} % of the channels. {_stop(rows, measured)}{_against(measured)}"
    )
    headers = [*(name.replace("_", " ") for name in CELL), "drawn at epoch", "epochs charged", "accuracy"]
    return Section("Early-bird tickets", f"{text}\n\n{markdown(table, headers)}", {"early-bird": _trace(rows)})


def _stop(rows: pd.DataFrame, measured: Measured) -> str:
    low, high, total = rows["found"].min(), rows["found"].max(), measured.suite.recipe.epochs
    return f"It is drawn between epochs {low:g} and {high:g} of {total}, and the pre-training can end there."


def _against(measured: Measured) -> str:
    if FULL not in set(measured.table["label"]):
        return ""
    _, sentence = marginal_lines(measured.analysis, measured.analysis.duel(EARLY, FULL))[0]
    return f" Against {FULL}, which pre-trains to the end: {sentence}."


def _trace(rows: pd.DataFrame) -> str:
    """Draw the largest distance to one of the last masks, by epoch, with the tolerance."""
    points = pd.DataFrame(
        {"sparsity": f"{100 * row['sparsity']:g} % removed", "seed": f"seed {row['seed']}", "epoch": epoch, "distance": 100 * distance}
        for _, row in rows.iterrows()
        for epoch, distance in enumerate(row["result"].notes["distances"], 2)
    )  # fmt: skip
    shown = points.assign(low=points["distance"], high=points["distance"])
    level = 100 * rows["result"].iloc[0].parameters["tolerance"]
    rules = shown[["sparsity"]].drop_duplicates().assign(name="tolerance", distance=level)
    return charts.lines(
        shown, "epoch", "distance", "seed", column="sparsity", rules=rules,
        titles=("epoch of the pre-training", "mask distance, % of channels"),
    )  # fmt: skip
