"""Liu et al. 2021: four starting points under three masks, and the weight correlation."""

import pandas as pd

from lthbench.report import charts
from lthbench.report.measured import Measured, Section, outcomes
from lthbench.report.table import CELL, GAP, at, markdown, summary, wide

MASKS = {"one-shot-mask": "one-shot", "imp-mask": "IMP", "admm-mask": "ADMM"}
STARTS = {"init": "ticket", "reinit": "re-initialised", "trained": "prune-finetune"}


def sections(measured: Measured) -> list[Section]:
    """Return the sections: the claim, accuracies, and weight correlation."""
    return [claim(measured), accuracy(measured), correlation(measured)]


def claim(measured: Measured) -> Section:
    """Count the cells decided at each learning rate, and compare them with the paper's claim."""
    lines, wins = [], {}
    for rate in sorted(measured.suite.learning_rates):
        own = _contest(measured, rate, "init", "reinit")
        tuned = _contest(measured, rate, "trained", "init")
        wins[rate] = (int((own["outcome"] == "ticket").sum()), len(own))
        lines.append(
            f"- learning rate {rate:g}: {outcomes(own, {'ticket': 'the ticket', 'other': 're-initialised'})} against re-initialised;"
        )
        lines[-1] += f" {outcomes(tuned, {'ticket': 'prune-finetune', 'other': 'the ticket'})} against prune-finetune."
    low, high = min(wins), max(wins)
    share = {rate: won / cells if cells else 0.0 for rate, (won, cells) in wins.items()}
    word = "more" if share[low] > share[high] else "fewer" if share[low] < share[high] else "as many"
    text = (
        f"Tickets beat re-initialised networks in {word} cells at the small learning rate ({low:g}: {wins[low][0]} of {wins[low][1]}) "
        f"{'as' if word == 'as many' else 'than'} at the usual one ({high:g}: {wins[high][0]} of {wins[high][1]}). "
        f"The paper's claim is: only at the small one. Here {_verdict(measured, wins, low, high)} "
        "Differences are paired by seed; wins and ties are tests at a false discovery rate of 5 % in each comparison, and "
        "a cell that shows neither is undecided."
    )
    return Section("Does the claim hold here", text + "\n\n" + "\n".join(lines))


def _verdict(measured: Measured, wins: dict[float, tuple[int, int]], low: float, high: float) -> str:
    first = wins[low][0] > 0 and wins[high][0] == 0
    tuned = _contest(measured, high, "trained", "init")["outcome"].value_counts()
    ahead, behind = tuned.get("ticket", 0), tuned.get("other", 0)
    second = ahead > 0 and behind == 0
    said = "the first half of the claim holds" if first else "the first half of the claim does not hold as stated"
    rest = (
        "prune-finetune is never behind and sometimes ahead"
        if second
        else f"prune-finetune is ahead in {ahead} cells and behind in {behind}"
    )
    return f"{said}; of the second, at learning rate {high:g} {rest}."


def _contest(measured: Measured, rate: float, a: str, b: str) -> pd.DataFrame:
    """Return the duels of two starting points under every mask at one learning rate.

    `outcome` is "ticket" if `a` is ahead and "other" if `b` is.
    """
    parts = []
    for mask in MASKS:
        first, second = _label(measured, mask, a), _label(measured, mask, b)
        if first and second:
            cells = measured.duel(first, second)
            named = cells["outcome"].replace({first: "ticket", second: "other"})
            parts.append(cells.assign(mask=MASKS[mask], outcome=named).query("learning_rate == @rate"))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({"outcome": []})


def _label(measured: Measured, mask: str, start: str) -> str:
    rows = measured.rows(mask)
    labels = rows.loc[rows["start"] == start, "label"].tolist() if len(rows) else [""]
    return next(map(str, labels), "")


def accuracy(measured: Measured) -> Section:
    """Show every starting point under every mask, beside the dense network."""
    rows = _named(measured)
    found = summary(rows, [*CELL, "mask", "start"], "test")
    dense = summary(measured.rows("dense"), ["workload", "learning_rate"], "test")
    text = wide(found, [*CELL, "mask"], "start").sort_values([*CELL, "mask"])
    levels = at(dense, text, ["workload", "learning_rate"])["mean"]
    text.insert(4, "dense", [GAP if pd.isna(level) else f"{level:.1f}" for level in levels])
    shown = found.assign(removed=100 * found["sparsity"], rate=_rate(found))
    across = [
        dense.assign(name="dense", rate=_rate(dense), mask=mask)[["name", "mean", "rate", "mask", "workload"]]
        for mask in MASKS.values()
    ]
    images = {}
    for i, workload in enumerate(measured.workloads):
        images[f"accuracy{i or ''}"] = charts.lines(
            shown[shown["workload"] == workload], "removed", "mean", "start", column="mask", row="rate",
            rules=pd.concat(across).query("workload == @workload"),
            titles=("removed, %", "test accuracy, %"), order=_order(rows),
        )  # fmt: skip
    return Section("Accuracy by starting point and mask", markdown(text), images)


def correlation(measured: Measured) -> Section:
    """Show R_p of the dense network with its initialisation, and of the pruned networks with their origins."""
    dense = _correlations(measured.rows("dense"), [*CELL, "seed"])
    dense = dense[dense["reference"] == "init"]
    found = summary(dense, ["workload", "learning_rate", "p"], "r")
    lines = wide(found.assign(p="p = " + found["p"].astype(str)), ["workload", "learning_rate"], "p")
    pruned = _correlations(_named(measured), [*CELL, "mask", "start", "seed"])
    pruned = pruned[(pruned["p"] == 0.2) & pruned["reference"].isin(["init", "trained"])]
    at = summary(pruned, [*CELL, "mask", "start", "reference"], "r")
    table = wide(at, [*CELL, "mask", "reference"], "start").sort_values([*CELL, "mask", "reference"])
    chance = pd.DataFrame({"p": [0.1, 0.5], "mean": [10.0, 50.0], "low": [10.0, 50.0], "high": [10.0, 50.0]})
    images = {}
    for i, workload in enumerate(measured.workloads):
        curve = found[found["workload"] == workload].assign(rate=lambda f: _rate(f))
        images[f"correlation{i or ''}"] = charts.lines(
            pd.concat([curve, chance.assign(rate="chance")]), "p", "mean", "rate", titles=("p", "R_p(θ_0, θ_T), %")
        )
        bars = at[at["workload"] == workload].assign(rate=lambda f: _rate(f), removed=lambda f: 100 * f["sparsity"])
        bars["panel"] = bars["mask"] + ", with " + bars["reference"].map({"init": "its own θ_0", "trained": "θ_T"})
        images[f"correlation-pruned{i or ''}"] = charts.lines(
            bars, "removed", "mean", "start", column="panel", row="rate",
            titles=("removed, %", "R_0.2, %"), order=_order(bars),
            rules=_chance(bars),
        )  # fmt: skip
    note = (
        "R_p in percent: the share that both networks have in common among the largest p of each layer's weights; for "
        "pruned networks, among the remaining weights. The chance level is therefore p."
    )
    first = f"Of the dense network with its initialisation:\n\n{markdown(lines)}"
    second = (
        "R_0.2 of the pruned networks, with their own initialisation and with the trained dense network (chance 20):"
    )
    return Section("Weight correlation", f"{note}\n\n{first}\n\n{second}\n\n{markdown(table)}", images)


def _chance(rows: pd.DataFrame) -> pd.DataFrame:
    panels = rows[["panel", "rate"]].drop_duplicates()
    return panels.assign(name="chance", mean=20.0)


def _correlations(rows: pd.DataFrame, keep: list[str]) -> pd.DataFrame:
    """Return one row for each run, reference and p; `r` is in percent."""
    found = [
        {**{name: row[name] for name in keep}, "reference": reference, "p": float(p), "r": 100 * r}
        for _, row in rows.iterrows()
        for reference, by_p in row["result"].correlation.items()
        for p, r in by_p.items()
    ]
    return pd.DataFrame(found, columns=[*keep, "reference", "p", "r"])


def _named(measured: Measured) -> pd.DataFrame:
    """Return the pruned networks, with readable names for masks and starting points."""
    rows = measured.rows(*MASKS)
    start = [STARTS.get(str(s), f"rewound to epoch {s}") for s in rows["start"]]
    return rows.assign(mask=rows["method"].map(MASKS), start=start)


def _order(rows: pd.DataFrame) -> list[str]:
    there = list(dict.fromkeys(rows["start"]))
    return [s for s in STARTS.values() if s in there] + [s for s in there if s not in STARTS.values()]


def _rate(rows: pd.DataFrame) -> pd.Series:
    return "learning rate " + rows["learning_rate"].map("{:g}".format)
