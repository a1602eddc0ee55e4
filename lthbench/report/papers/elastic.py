"""Chen et al. 2021: the matrix of source and target, the drift of sparsity, and the barriers."""

from collections.abc import Mapping

import pandas as pd

from lthbench.report import charts
from lthbench.report.measured import Measured, Section, outcomes
from lthbench.report.table import markdown, said, said_of, summary
from lthbench.scoring import duel, words

TICKET, OWN = "the elastic ticket", "the target's own IMP ticket"
CONTROLS = {"elastic-reinit": "re-initialised", "snip": "SNIP", "random-pruning": "random"}


def sections(measured: Measured) -> list[Section]:
    """Return the sections: the contests, the matrix, and drift, cost and barriers."""
    return [claim(measured), matrix(measured), drift(measured)]


def claim(measured: Measured) -> Section:
    """Compare transferred tickets with the target's own ticket and with controls, by cell and over all targets."""
    runs = {source: _elsewhere(measured, source) for source in dict.fromkeys(_elastic(measured)["source"])}
    contests = {other: _cells(measured, runs, other) for other in (OWN, *CONTROLS.values())}
    contests = {other: cells for other, cells in contests.items() if len(cells)}
    counts = {other: cells["outcome"].value_counts() for other, cells in contests.items()}
    behind = counts[OWN].get(OWN, 0) if OWN in counts else 0
    beaten = [o for o in CONTROLS.values() if o in counts and counts[o].get(TICKET, 0) > counts[o].get(o, 0)]
    first = f"behind {OWN} in {behind} cells" if behind else f"shown to be behind {OWN} in no cell"
    second = (
        f"ahead of {' and '.join(beaten)} in more cells than behind"
        if beaten
        else "not ahead of SNIP, re-initialised or random tickets in more cells than behind"
    )
    text = (
        f"Tickets of another depth are {first}, and {second}. Differences are paired by seed; wins and ties are tests at a false "
        "discovery rate of 5 % in each comparison, and a cell that shows neither is undecided."
    )
    lines = [f"- against {o}: {outcomes(cells, {TICKET: TICKET, o: o})}." for o, cells in contests.items()]
    overall = [[f"from {source}", *(_overall(measured, rows, o) for o in contests)] for source, rows in runs.items()]
    table = markdown(pd.DataFrame(overall), ["", *(f"against {o}" for o in contests)])
    parts = [text, "\n".join(lines), "Over all targets of a source, with more evidence than one cell:", table]
    return Section("Does the claim hold here", "\n\n".join(parts))


def _cells(measured: Measured, runs: Mapping[str, pd.DataFrame], other: str) -> pd.DataFrame:
    """Return the duels of every source's tickets with one opponent, cell by cell."""
    analysis = measured.analysis
    there = [rows for rows in runs.values() if {TICKET, other} <= set(rows["method"])]
    found = [duel.duel(rows, analysis.meta, TICKET, other, thresholds=analysis.thresholds()) for rows in there]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def _overall(measured: Measured, rows: pd.DataFrame, other: str) -> str:
    if not {TICKET, other} <= set(rows["method"]):
        return ""
    analysis = measured.analysis
    row = duel.overall(rows, analysis.meta, TICKET, other, thresholds=analysis.thresholds())
    return words.marginal_words(row, TICKET, other, analysis.tolerance)


def _elsewhere(measured: Measured, source: str) -> pd.DataFrame:
    """Return the runs on every target but the source itself, with readable names for their methods."""
    rows, elastic = measured.analysis.table, measured.rows("elastic")
    sources = dict(zip(elastic["label"], elastic["source"], strict=True))
    targets = _target(rows)
    named = [_named(label, target, source, sources) for label, target in zip(rows["method"], targets, strict=True)]
    return rows.assign(method=named)[(targets != source) & (pd.Series(named, rows.index) != "")]


def _named(label: str, target: str, source: str, sources: Mapping[str, str | None]) -> str:
    """Return the readable name of a method. It is empty if the method has no part in the contests of this source."""
    if label not in sources:
        return (CONTROLS | {"dense": "dense"}).get(label.partition("[")[0], "")
    own = target if pd.isna(sources[label]) else sources[label]
    return TICKET if own == source else OWN if own == target else ""


def matrix(measured: Measured) -> Section:
    """Show the accuracy of every source on every target, and below it that of the controls."""
    rows = _elastic(measured)
    others = measured.rows(*CONTROLS, "dense")
    others = others.assign(source=others["method"].map(CONTROLS | {"dense": "dense"}), target=_target(others))
    every = []
    for sparsity in measured.suite.sparsities:
        dense = others[others["source"] == "dense"].assign(sparsity=sparsity)
        every += [rows[rows["sparsity"] == sparsity], others[others["sparsity"] == sparsity], dense]
    found = summary(pd.concat(every, ignore_index=True), ["sparsity", "source", "target"], "test")
    order = [*dict.fromkeys(rows["source"]), *CONTROLS.values(), "dense"]
    found["place"] = found["source"].map({name: i for i, name in enumerate(order)})
    found = found.sort_values(["sparsity", "place"])
    found["text"] = said(found)
    table = found.pivot_table(
        index=["sparsity", "source"], columns="target", values="text", aggfunc="first", sort=False
    ).reset_index()
    shown = found.assign(removed=(100 * found["sparsity"]).map("{:g} % removed".format))
    image = charts.matrix(
        shown,
        "target",
        "source",
        "mean",
        titles=("target", "source of the ticket", "test accuracy, %"),
        column="removed",
    )
    note = "Rows are the sources of the ticket, columns the networks trained; the diagonal has the network's own IMP ticket."
    return Section("Source and target", f"{note}\n\n{markdown(table.fillna(''))}", {"matrix": image})


def drift(measured: Measured) -> Section:
    """Show the drift of the transferred masks, the epochs charged to target and source, and the barrier between two
    data orders."""
    rows = _elastic(measured)
    rows = rows.assign(
        drift=[100 * r.notes["drift"] for r in rows["result"]],
        barrier=[r.barriers.get("orders", {}).get("train", float("nan")) for r in rows["result"]],
        source_cost=[r.off_budget.get("source ticket", 0) / r.epoch for r in rows["result"]],
    )
    by = ["sparsity", "source", "target"]
    table = rows.groupby(by, sort=False)[["epochs", "source_cost"]].mean().reset_index()
    for name, digits in (("drift", 2), ("barrier", 1)):
        found = {tuple(row[by]): said_of(row, digits) for _, row in summary(rows, by, name).iterrows()}
        table[name] = [found[key] for key in table[by].itertuples(index=False, name=None)]
    headers = [
        "sparsity",
        "source",
        "target",
        "epochs",
        "epochs of the source's ticket",
        "drift of sparsity, pp",
        "barrier, pp",
    ]
    note = (
        "Drift: the sparsity of the transferred mask minus the sparsity asked for. Barrier: the highest train error on the line between "
        "two trainings of the ticket in different data orders, minus the mean of theirs; batch-norm statistics are measured "
        "again at every point. Near 0, both are in one basin."
    )
    return Section("Drift, cost and barrier", f"{note}\n\n{markdown(table, headers)}")


def _elastic(measured: Measured) -> pd.DataFrame:
    rows = measured.rows("elastic")
    target = _target(rows)
    return rows.assign(target=target, source=rows["source"].where(rows["source"].notna(), target))


def _target(rows: pd.DataFrame) -> pd.Series:
    return rows["workload"].str.partition("/")[0]
