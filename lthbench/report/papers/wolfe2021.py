"""Wolfe et al. 2021: the pre-training that a good subnetwork needs, and its growth with the number of examples."""

import math
from itertools import product

import pandas as pd

from lthbench.report import charts
from lthbench.report.measured import Measured, Section
from lthbench.report.papers import early_bird
from lthbench.report.papers.threshold import Growth, growth
from lthbench.report.table import markdown, summary, wide

HOW = {"greedy-forward": "greedy", "neuron-magnitude": "magnitude", "neuron-random": "random"}
WHEN = {"test": "after fine-tuning", "before": "before fine-tuning"}
SHARE = 0.98  # of the dense network's accuracy: the threshold for a good subnetwork, after Ye et al. 2020


def sections(measured: Measured) -> list[Section]:
    """Return the sections: the threshold and its fit, accuracies, train losses, and early-bird tickets."""
    own = [claim(measured), curves(measured, "test"), curves(measured, "before"), losses(measured)]
    return [*own, *early_bird.sections(measured)]


def claim(measured: Measured) -> Section:
    """Show t*(m) by selection method, before and after fine-tuning, with the fit a + b log m."""
    rows, points, greedy = [], [], {}
    for sparsity, method, when in product(sorted(measured.suite.sparsities), HOW, WHEN):
        found = _growth(measured, method, sparsity, when)
        cell = {"sparsity": f"{100 * sparsity:g} % removed", "how": HOW[method], "when": WHEN[when]}
        rows.append([*cell.values(), *_found(found)])
        points += [
            cell | {"m": m, "mean": t, "low": t, "high": t} for m, t in found.thresholds.items() if not math.isnan(t)
        ]
        if method == "greedy-forward":
            greedy[sparsity, when] = found
    headers = ["sparsity", "neurons by", "", "t*(m)", "a", "b", "95 % interval of b"]
    text = (
        f"t*(m) is the first of the steps tried at which the mean test accuracy reaches {100 * SHARE:g} % of that of the dense "
        "network on the same m examples; t* = a + b ln m by least squares, with a percentile bootstrap over seeds. "
        + " ".join(
            f"Greedy selection at {100 * s:g} %, {WHEN[when]}: {_said(found)}" for (s, when), found in greedy.items()
        )
        + " Thresholds are known only to within the grid of steps, and the fit has few points. It can show or refute growth, but "
        "cannot tell the logarithm from another slow law."
    )
    images = {}
    if points:
        images["threshold"] = charts.lines(
            pd.DataFrame(points), "m", "mean", "how", column="when", row="sparsity", scale="log", order=list(HOW.values()),
            titles=("examples m", "t*, steps"),
        )  # fmt: skip
    return Section("Does the claim hold here", f"{text}\n\n{markdown(pd.DataFrame(rows), headers)}", images)


def _said(found: Growth) -> str:
    if not found.thresholds:
        return "no run has a result."
    if found.gaps:
        return (
            f"the threshold is not known at {' and '.join(map(str, found.gaps))} examples, where runs have no result."
        )
    known = [t for t in found.thresholds.values() if not math.isnan(t)]
    if len(known) < len(found.thresholds):
        return f"{len(found.thresholds) - len(known)} of {len(found.thresholds)} numbers of examples have no threshold on the grid."
    if len(set(known)) == 1:
        return f"the threshold is {known[0]:g} steps at every m, so no growth is seen."
    if found.low > 0:
        return "the threshold grows with m (the interval of b excludes 0), in the direction of the claim."
    return "the threshold falls with m." if found.high < 0 else "whether the threshold grows with m is undecided."


def _found(found: Growth) -> list[str]:
    none = dict.fromkeys(found.gaps, "not known")
    pairs = ", ".join(f"{m}: {none.get(m, 'none') if math.isnan(t) else f'{t:g}'}" for m, t in found.thresholds.items())
    return [pairs, *("" if math.isnan(v) else f"{v:.3g}" for v in (found.a, found.b)), _interval(found)]


def _interval(found: Growth) -> str:
    return "" if math.isnan(found.low) else f"{found.low:.3g} to {found.high:.3g}"


def _growth(measured: Measured, method: str, sparsity: float, when: str) -> Growth:
    rows = _rows(measured)
    rows = rows[(rows["method"] == method) & (rows["sparsity"] == sparsity)]
    dense = measured.rows("dense-few").rename(columns={"test": "accuracy"})
    curve = rows.rename(columns={when: "accuracy", "pretrain": "steps"})
    keep = ["examples", "seed", "accuracy"]
    return growth(curve[["steps", *keep]], dense[keep], SHARE)


def curves(measured: Measured, when: str) -> Section:
    """Show test accuracy against the steps of pre-training."""
    rows = _rows(measured)
    by = ["workload", "sparsity", "examples", "how", "pretrain"]
    found = summary(rows, by, when)
    dense = summary(measured.rows("dense-few"), ["examples"], "test")
    table = wide(found, ["sparsity", "examples", "how"], "pretrain")
    shown = found.assign(panel=_panel(found), removed=_removed(found), steps=found["pretrain"].clip(lower=1))
    shown[["low", "high"]] = shown[["low", "high"]].clip(0, 100)
    panels = shown[["panel", "removed", "examples"]].drop_duplicates().merge(dense[["examples", "mean"]], on="examples")
    image = charts.lines(
        shown, "steps", "mean", "how", column="panel", row="removed", scale="log", order=list(HOW.values()),
        titles=("steps of pre-training (0 is drawn at 1)", "test accuracy, %"), rules=panels.assign(name="dense"),
    )  # fmt: skip
    note = "Columns are steps of pre-training; the dense networks reach "
    note += ", ".join(f"{row['mean']:.1f} on {row['examples']:g} examples" for _, row in dense.iterrows()) + "."
    title = f"Test accuracy {WHEN[when]}"
    return Section(title, f"{note}\n\n{markdown(table)}", {"after" if when == "test" else "before": image})


def losses(measured: Measured) -> Section:
    """Show the cross-entropy on all training images before fine-tuning."""
    found = summary(_rows(measured), ["sparsity", "examples", "how", "pretrain"], "loss_before")
    note = "Cross-entropy on all training images, in nats, before fine-tuning. Columns are steps of pre-training."
    return Section(
        "Train loss before fine-tuning",
        f"{note}\n\n{markdown(wide(found, ['sparsity', 'examples', 'how'], 'pretrain', 2))}",
    )


def _rows(measured: Measured) -> pd.DataFrame:
    rows = measured.rows(*HOW)
    before = [r.kept["before"] for r in rows["result"]]
    loss = [kept.loss.get("train", math.nan) for kept in before]
    return rows.assign(how=rows["method"].map(HOW), before=[k.test.percent for k in before], loss_before=loss)


def _panel(rows: pd.DataFrame) -> pd.Series:
    return rows["examples"].map("{:g} examples".format)


def _removed(rows: pd.DataFrame) -> pd.Series:
    return (100 * rows["sparsity"]).map("{:g} % removed".format)
