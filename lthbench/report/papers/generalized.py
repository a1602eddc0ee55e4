"""Alabdulmohsin et al. 2021: tickets in seven bases, and the sparsity of weights that their coefficients give."""

import pandas as pd

from lthbench.report import charts
from lthbench.report.measured import Measured, Section, outcomes
from lthbench.report.table import markdown, summary, wide

ARMS = {"ticket-in-basis": "ticket", "reinit-in-basis": "re-initialised", "finetune-in-basis": "prune-finetune"}
BY = ["workload", "learning_rate", "sparsity"]


def sections(measured: Measured) -> list[Section]:
    """Return the sections: the ticket against its control in each basis, accuracies, and sparsity of the weights."""
    return [claim(measured), accuracy(measured), weights(measured)]


def claim(measured: Measured) -> Section:
    """Count the cells of each basis in which the ticket is ahead of the re-initialised network."""
    lines, bases = [], list(dict.fromkeys(_rows(measured)["basis"]))
    ahead = []
    for basis in bases:
        ticket, reinit = (f"{name}[basis={basis}]" for name in ("ticket-in-basis", "reinit-in-basis"))
        cells = measured.duel(ticket, reinit)
        names = {ticket: "the ticket", reinit: "re-initialised"}
        lines.append(f"- {basis}: {outcomes(cells, names)}, by {cells['difference'].mean():+.1f} pp on average.")
        counts = cells["outcome"].value_counts()
        ahead += [basis] if counts.get(ticket, 0) > counts.get(reinit, 0) else []
    named = f" ({', '.join(ahead)})" if ahead else ""
    text = (
        f"The ticket is ahead of the re-initialised network in more cells than behind in {len(ahead)} of {len(bases)} "
        f"bases{named}. Differences are paired by seed; wins and ties are tests at a false "
        "discovery rate of 5 % in each basis, and a cell that shows neither is undecided."
    )
    return Section("Does the claim hold here", text + "\n\n" + "\n".join(lines))


def accuracy(measured: Measured) -> Section:
    """Show every arm in every basis."""
    found = summary(_rows(measured), [*BY, "basis", "arm"], "test")
    dense = summary(measured.rows("dense"), ["workload", "learning_rate"], "test")
    levels = ", ".join(f"{r['mean']:.1f} on {r['workload']} at {r['learning_rate']:g}" for _, r in dense.iterrows())
    shown = found.assign(
        panel=found["workload"] + ", " + found["learning_rate"].map("learning rate {:g}".format),
        removed=100 * found["sparsity"],
    )
    image = charts.lines(
        shown, "removed", "mean", "arm", column="basis", row="panel", order=list(ARMS.values()),
        titles=("coefficients removed, %", "test accuracy, %"),
    )  # fmt: skip
    table = wide(found, [*BY, "basis"], "arm")
    return Section("Accuracy by basis", f"Dense: {levels}.\n\n{markdown(table)}", {"accuracy": image})


def weights(measured: Measured) -> Section:
    """Show the share of weights that are zero at each sparsity of the coefficients."""
    rows = _rows(measured)
    rows = rows[rows["arm"] == "ticket"]
    zero = [100 * (r.removed if r.zero_weights is None else r.zero_weights) / r.prunable for r in rows["result"]]
    table = wide(summary(rows.assign(zero=zero), [*BY, "basis"], "zero"), BY, "basis")
    note = "The share of the ticket's weights that are zero, in percent. The sparsity is that of its coefficients in the basis."
    return Section("Sparsity of the weights", f"{note}\n\n{markdown(table)}")


def _rows(measured: Measured) -> pd.DataFrame:
    rows = measured.rows(*ARMS)
    return rows.assign(arm=rows["method"].map(ARMS))
