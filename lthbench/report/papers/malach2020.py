"""Malach et al. 2020: accuracy without training a weight, and the width that a construction needs for its error."""

import pandas as pd

from lthbench.report import charts
from lthbench.report.measured import Measured, Section, outcomes
from lthbench.report.papers.widths import logarithmic, polynomial
from lthbench.report.table import markdown, said_of, summary, wide

FEATURES = "random-features"
SUBNETWORKS = {"edge-popup[neurons=True]": "subnetworks of neurons", "edge-popup": "subnetworks of weights"}
CONSTRUCTIONS = {"subset-sum": "subset sum (Pensia et al.)", "single-weight": "single weight (Malach et al.)"}


def sections(measured: Measured) -> list[Section]:
    """Return the sections: the claim, edge-popup by width, and the constructions with their fits."""
    return [claim(measured), *popup(measured), constructions(measured)]


def claim(measured: Measured) -> Section:
    """Compare the best subnetwork of untrained weights with dense, and name the better fit of the width."""
    best = (
        summary(_popup(measured), ["workload", "sparsity", "label"], "test")
        .sort_values("mean")
        .groupby("workload")
        .last()
    )
    levels = summary(measured.rows("dense"), ["workload"], "test")
    dense = dict(zip(levels["workload"], levels["mean"], strict=True))
    lines = [
        f"- {workload}: the best subnetwork of random weights has {said_of(row)} ({row['label']}, "
        f"{100 * row['sparsity']:g} % removed), the trained dense network {dense[str(workload)]:.1f}."
        for workload, row in best.iterrows()
        if workload in dense
    ]
    lines += [f"- {said}" for said in features(measured)]
    lines += [f"- {name}: {said}" for name, said in fits(measured).items()]
    text = (
        "The theorem says that subnetworks of weights in a wide random network can be as good as a trained network, and the "
        "constructions say how wide is wide enough. Subnetworks of neurons only match random features, of which only the last "
        "layer is trained. Below are the subnetworks that training scores finds, a lower bound on the best ones, and the widths "
        "that the constructions need."
    )
    return Section("Does the claim hold here", text + "\n\n" + "\n".join(lines))


def features(measured: Measured) -> list[str]:
    """Count the cells in which subnetworks of neurons, and of weights, are ahead of random features at the same
    sparsity."""
    there = set(measured.table["label"])
    duels = {label: measured.duel(label, FEATURES) for label in SUBNETWORKS if {label, FEATURES} <= there}
    return [
        f"{SUBNETWORKS[label]} against random features at the same sparsity: "
        f"{outcomes(cells, {label: SUBNETWORKS[label], FEATURES: 'random features'})}."
        for label, cells in duels.items()
    ]


def fits(measured: Measured) -> dict[str, str]:
    """Return, for each construction, the fits of the width by log 1/ε and by a power of 1/ε, and the better one."""
    found = {}
    for name, rows in _built(measured).groupby("construction", sort=False):
        points = rows.groupby("width")["error_99"].mean()
        if len(points) < 3:
            continue
        log = logarithmic(points.tolist(), points.index.tolist())
        power = polynomial(points.tolist(), points.index.tolist())
        better = "the logarithm" if log.aic < power.aic else "the power"
        found[str(name)] = (
            f"width ≈ {log.a:.3g} + {log.b:.3g} log2(1/ε) with R² = {log.r2:.3f}, or {power.a:.3g} (1/ε)^{power.b:.3g} with "
            f"R² = {power.r2:.3f}; by AIC {better} fits better ({len(points)} widths, ε is the error that 99 % of the weights stay below)."
        )
    return found


def popup(measured: Measured) -> list[Section]:
    """Show accuracy without weight training, and with training of the last layer, by width and sparsity, where it was run."""
    if _popup(measured).empty:
        return []
    found = summary(measured.rows("edge-popup", FEATURES), ["workload", "label", "sparsity"], "test")
    shown = found.assign(removed=100 * found["sparsity"])
    dense = summary(measured.rows("dense"), ["workload"], "test").assign(name="trained dense")
    image = charts.lines(
        shown, "removed", "mean", "label", column="workload", rules=dense[["workload", "mean", "name"]],
        titles=("removed, %", "test accuracy, %"),
    )  # fmt: skip
    table = wide(found, ["workload", "label"], "sparsity")
    note = "In random-features the last layer is trained; in the others no weight is."
    return [Section("Accuracy without training a weight", f"{note}\n\n{markdown(table)}", {"popup": image})]


def constructions(measured: Measured) -> Section:
    """Show error, accuracy and size of the constructed networks."""
    rows = _built(measured)
    by = ["workload", "construction", "epsilon"]
    names = ("width", "error", "error_99", "kept_ratio", "drawn_ratio", "test", "target")
    found = {name: summary(rows, by, name).set_index(by) for name in names}
    table = pd.DataFrame({name: one["mean"].map("{:.4g}".format) for name, one in found.items()}).reset_index()
    shown = summary(rows, by, "width").assign(error=found["error_99"]["mean"].to_numpy())
    shown = shown.assign(inverse=1 / shown["error"], low=shown["mean"], high=shown["mean"])
    image = charts.lines(
        shown, "inverse", "mean", "construction", column="workload", scale="log", order=list(CONSTRUCTIONS.values()),
        titles=("1/ε, met by 99 % of the weights", "random products per weight"),
    )  # fmt: skip
    headers = [
        "workload",
        "construction",
        "ε asked",
        "width n",
        "largest error",
        "of all but 1 %",
        "kept / target",
        "drawn / target",
    ]
    note = "Kept and drawn: the numbers of weights, divided by that of the target network. The last column is the target's accuracy."
    return Section(
        "The constructions", f"{note}\n\n{markdown(table, [*headers, 'accuracy', 'target'])}", {"width": image}
    )


def _popup(measured: Measured) -> pd.DataFrame:
    return measured.rows("edge-popup")


def _built(measured: Measured) -> pd.DataFrame:
    rows = measured.rows(*CONSTRUCTIONS)
    notes = {
        name: [r.notes[name] for r in rows["result"]]
        for name in ("width", "error", "error_99", "kept_ratio", "drawn_ratio")
    }
    target = [r.kept["target"].test.percent for r in rows["result"]]
    return rows.assign(**notes, target=target, construction=rows["method"].map(CONSTRUCTIONS))
