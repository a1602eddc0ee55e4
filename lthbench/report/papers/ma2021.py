"""Ma et al. 2021: the five conditions, with separate learning rates for the pre-training and the ticket."""

import pandas as pd

from lthbench.report import charts
from lthbench.report.measured import Measured, Section
from lthbench.report.table import CELL, GAP, at, markdown, said, summary
from lthbench.scoring import words
from lthbench.scoring.verdicts import JACKPOT, NEITHER, SECONDARY, verdicts

MASKS = {"one-shot-mask": "OMP", "imp-mask": "IMP"}
ARMS = {"init": "LT", "reinit": "RR"}
ORDER = ["LT", "RR", "WR", "small dense"]


def sections(measured: Measured) -> list[Section]:
    """Return the sections: the verdicts, the conditions behind them, and accuracies."""
    found = verdicts_of(measured)
    return [claim(found), conditions(measured, found), accuracy(measured)]


def verdicts_of(measured: Measured) -> pd.DataFrame:
    """Return the rows of `verdicts` for each ticket in both readings, with `mask`, `pretrain_lr` and the outcome in
    words."""
    rows = measured.rows(*MASKS)
    tickets = rows.loc[rows["start"] == "init", ["label", "method", "pretrain_lr"]].drop_duplicates()
    thresholds = measured.analysis.thresholds(len(tickets))
    there = set(measured.table["label"])
    parts = []
    for _, ticket in tickets.iterrows():
        reinit = ticket["label"].replace("start=init", "start=reinit")
        named = {"reinit": reinit, "dense": "dense", "small": "small-dense"}
        controls = {role: name if name in there else None for role, name in named.items()}
        sufficient = all(w.sufficient for w in measured.suite.workload)
        found = verdicts(
            measured.analysis.table,
            measured.analysis.meta,
            ticket["label"],
            sufficient=sufficient,
            thresholds=thresholds,
            **controls,
        )
        said = [
            words.verdict_words(row, measured.analysis.meta[row["workload"]], thresholds) for _, row in found.iterrows()
        ]
        parts.append(found.assign(mask=MASKS[ticket["method"]], pretrain_lr=ticket["pretrain_lr"], said=said))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def claim(found: pd.DataFrame) -> Section:
    """Count the verdicts, by the learning rate of the pre-training."""
    if found.empty:
        return Section("Does the claim hold here", "No ticket was run.")
    lines = []
    for (reading, rate), rows in found.groupby(["reading", "pretrain_lr"], sort=False):
        shown, point = _counts(rows["verdict"]), _counts(rows["paper_rule"])
        where = f"pre-trained at {rate:g}, controls at {'any' if reading == 'any' else 'the same'} learning rate"
        lines.append(f"- {where}: {shown}; by the paper's rule on means: {point}.")
    counts = found["verdict"].value_counts()
    prizes = counts.get(JACKPOT, 0) + counts.get(SECONDARY, 0)
    text = (
        f"Of {len(found)} verdicts (cells, tickets and readings) {counts.get(JACKPOT, 0)} are a jackpot and {counts.get(SECONDARY, 0)} a "
        f"secondary prize; {counts.get(NEITHER, 0)} are shown to be neither; the rest lack evidence. "
        f"{'No prize is shown, as the paper finds for its small networks.' if not prizes else 'So prizes exist here.'} "
        "Prizes are Holm-adjusted over the cells of a reading, at 5 % divided among the tickets."
    )
    return Section("Does the claim hold here", text + "\n\n" + "\n".join(lines))


def _counts(verdict: pd.Series) -> str:
    return ", ".join(f"{name} {count}" for name, count in verdict.value_counts().items())


def conditions(measured: Measured, found: pd.DataFrame) -> Section:
    """Show one row for each ticket and cell: the differences of conditions 2 to 5, and the verdict."""
    if found.empty:
        return Section("The conditions", "")
    rows = found[found["reading"] == "any"].copy()
    same = found[found["reading"] == "same"].set_index([*CELL, "mask", "pretrain_lr"])["said"]
    rows["same"] = [same[key] for key in rows[[*CELL, "mask", "pretrain_lr"]].itertuples(index=False, name=None)]
    gaps = {
        f"gap_{k}": name
        for k, name in {
            2: "− small dense",
            3: "− re-initialised",
            4: "− dense, same learning rate",
            5: "− best dense",
        }.items()
    }
    for gap in gaps:
        rows[gap] = rows[gap].map(lambda g: "" if pd.isna(g) else f"{g:+.1f}".replace("-", "−"))
    columns = {
        "mask": "mask",
        "pretrain_lr": "pre-trained at",
        "learning_rate": "ticket at",
        "sparsity": "sparsity",
        **gaps,
    }
    columns |= {"said": "controls at any learning rate", "same": "controls at the same", "paper_rule": "*by the means*"}
    workload = {"workload": "workload"} if len(measured.workloads) > 1 else {}
    note = (
        "Differences of the ticket in percentage points, for conditions 2 to 5 in this order. "
        "Each is the smallest over the learning rates of the control."
    )
    columns = workload | columns
    return Section("The conditions", f"{note}\n\n{markdown(rows[list(columns)], list(columns.values()))}")


def accuracy(measured: Measured) -> Section:
    """Show accuracy against the ticket's learning rate: LT, RR and WR, beside the small dense and the dense network."""
    rows = measured.rows(*MASKS)
    rows = rows.assign(mask=rows["method"].map(MASKS), arm=[ARMS.get(str(s), "WR") for s in rows["start"]])
    found = summary(rows, [*CELL, "mask", "pretrain_lr", "arm"], "test")
    small = summary(measured.rows("small-dense"), CELL, "test").assign(arm="small dense")
    dense = summary(measured.rows("dense"), ["workload", "learning_rate"], "test")
    every = [
        small.assign(mask=mask, pretrain_lr=rate) for mask in MASKS.values() for rate in found["pretrain_lr"].unique()
    ]
    shown = pd.concat([found, *every], ignore_index=True)
    shown["panel"] = shown["mask"] + ", pre-trained at " + shown["pretrain_lr"].map("{:g}".format)
    shown["removed"] = (100 * shown["sparsity"]).map("{:.3g} % removed".format)
    text = shown.assign(text=said(shown))
    index = ["workload", "mask", "pretrain_lr", "sparsity", "learning_rate"]
    table = text.pivot_table(index=index, columns="arm", values="text", aggfunc="first").reset_index().fillna("")
    table["dense"] = [text or GAP for text in said(at(dense, table, ["workload", "learning_rate"]))]
    table = table[[*index, *(arm for arm in ORDER if arm in table), "dense"]].rename(
        columns={"pretrain_lr": "pre-trained at", "learning_rate": "ticket at"}
    )
    images = {}
    for i, workload in enumerate(measured.workloads):
        one = shown[shown["workload"] == workload].sort_values(["removed", "mask", "pretrain_lr"])
        panels = one[["panel", "removed"]].drop_duplicates()
        best = dense.loc[dense["workload"] == workload, "mean"].max()
        images[f"accuracy{i or ''}"] = charts.lines(
            one, "learning_rate", "mean", "arm", column="panel", row="removed", scale="log", order=ORDER,
            titles=("learning rate of the ticket", "test accuracy, %"),
            rules=panels.assign(name="best dense", mean=best),
        )  # fmt: skip
    return Section("Accuracy by the ticket's learning rate", markdown(table), images)
