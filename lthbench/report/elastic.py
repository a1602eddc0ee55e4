"""Chen et al. 2021: the matrix of source and target, its drift of sparsity, and the barriers."""

import pandas as pd

from lthbench.report import charts
from lthbench.report.measured import Measured, Section, tally
from lthbench.report.table import markdown, said, said_of, summary

CONTROLS = {"elastic-reinit": "re-initialised", "snip": "SNIP", "random-pruning": "random"}


def sections(measured: Measured) -> list[Section]:
    """The contests, the matrix, drift, cost and barriers."""
    return [claim(measured), matrix(measured), drift(measured)]


def claim(measured: Measured) -> Section:
    """Stretched and squeezed tickets against the target's own, and against what no ticket is."""
    rows = _elastic(measured)
    moved = rows[rows["source"] != rows["target"]]
    lines, tallies = [], {}
    names = {"own": "the target's own IMP ticket"} | CONTROLS
    for kind, name in names.items():
        cells = _contests(measured, moved, kind)
        if len(cells):
            tallies[kind] = cells["outcome"].value_counts()
            lines.append(f"- against {name}: {tally(cells, {'elastic': 'the elastic ticket', 'other': name})}.")
    behind = tallies.get("own", pd.Series(dtype=int)).get("other", 0)
    beaten = [
        CONTROLS[k] for k in CONTROLS if k in tallies and tallies[k].get("elastic", 0) > tallies[k].get("other", 0)
    ]
    first = (
        f"behind the target's own ticket in {behind} cells"
        if behind
        else "nowhere shown to be behind the target's own ticket"
    )
    second = (
        f"ahead of {' and '.join(beaten)} in more cells than behind"
        if beaten
        else "not ahead of SNIP, re-initialised or random tickets in more cells than behind"
    )
    text = (
        f"Tickets of another depth are {first}, and {second}. Differences are paired by seed; wins and ties are tests at a false "
        "discovery rate of 5 % in each comparison, and what is not shown is undecided."
    )
    return Section("Does the claim hold here", text + "\n\n" + "\n".join(lines))


def _contests(measured: Measured, moved: pd.DataFrame, kind: str) -> pd.DataFrame:
    """The duels of every elastic ticket on another depth than its source's, with one kind of opponent."""
    parts = []
    for label, workload, target in moved[["label", "workload", "target"]].drop_duplicates().itertuples(index=False):
        other = _own(measured, target) if kind == "own" else _label(measured, kind)
        if other:
            cells = measured.duel(label, other)
            cells = cells[cells["workload"] == workload]
            parts.append(cells.assign(outcome=cells["outcome"].replace({label: "elastic", other: "other"})))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({"outcome": []})


def _label(measured: Measured, method: str) -> str:
    labels = measured.rows(method)["label"].unique()
    return str(labels[0]) if len(labels) else ""


def _own(measured: Measured, target: str) -> str:
    rows = _elastic(measured)
    labels = rows.loc[(rows["source"] == target) & (rows["target"] == target), "label"].unique()
    return str(labels[0]) if len(labels) else ""


def matrix(measured: Measured) -> Section:
    """Accuracy of every source on every target, and below it what it is held against."""
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
    found["text"] = [said(m, s) for m, s in zip(found["mean"], found["sd"], strict=True)]
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
    note = (
        "Rows are where the ticket comes from, columns the network that is trained; on the diagonal its own IMP ticket."
    )
    return Section("Source and target", f"{note}\n\n{markdown(table.fillna(''))}", {"matrix": image})


def drift(measured: Measured) -> Section:
    """What the stretched masks came to, the epochs charged to target and source, and the barrier between two data orders."""
    rows = _elastic(measured)
    rows = rows.assign(
        drift=[100 * r.notes["drift"] for r in rows["result"]],
        barrier=[r.barriers.get("orders", {}).get("train", float("nan")) for r in rows["result"]],
        source_cost=[r.apart.get("source ticket", 0) / r.epoch for r in rows["result"]],
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
        "Drift: the sparsity of the stretched mask less what was asked. Barrier: the highest train error on the line between "
        "two trainings of the ticket in different data orders, less the mean of their own; batch-norm statistics are measured "
        "anew at every point. Near 0 both lie in one basin."
    )
    return Section("Drift, cost and barrier", f"{note}\n\n{markdown(table, headers)}")


def _elastic(measured: Measured) -> pd.DataFrame:
    rows = measured.rows("elastic")
    target = _target(rows)
    return rows.assign(target=target, source=rows["source"].where(rows["source"].notna(), target))


def _target(rows: pd.DataFrame) -> pd.Series:
    return rows["workload"].str.partition("/")[0]
