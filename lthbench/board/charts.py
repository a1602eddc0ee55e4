"""The charts, in Altair. A page fills and draws their specifications; `export.figures` makes files of them."""

from typing import Any

import altair as alt
import pandas as pd

from lthbench.board.analysis import Analysis
from lthbench.board.grids import DUEL_SYMBOLS, Grid
from lthbench.scoring.ranking import group_letter

# Distinct on light and dark backgrounds. The shapes tell the methods apart without colour.
COLOURS = ["#4269d0", "#e08a00", "#e4572e", "#2a9d8f", "#9a5fe0", "#d6477f", "#5b8c2a", "#8a6d4b", "#7d8597", "#3aa6d0"]
SHAPES = ["circle", "square", "triangle-up", "diamond", "triangle-down", "cross"]
ERRORS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 40, 50, 70, 90]
LEGEND = 760  # pixels of the width of a legend
LETTER = 7  # pixels of a letter in it
KINDS = {"a": "#a9bdf2", "a-small": "#e3eafc", "b": "#fbc878", "b-small": "#fdecd0", "tie": "#cfeedd"}
KINDS |= {"undecided": "#e6e6e6", "collapsed": "#cfcfcf", "pending": "#f2f2f2"}


def accuracy_rows(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the accuracy chart: error in percent with its interval, never 0 because the axis is
    logarithmic."""
    least = 0.05
    return scores.assign(
        error=(100 - scores["mean"]).clip(lower=least),
        error_low=(100 - scores["high"]).clip(lower=least),
        error_high=(100 - scores["low"]).clip(lower=least, upper=100),
        removed=100 * scores["sparsity"],
        dense=scores["sparsity"] == 0,
    )


def _by_error() -> tuple[alt.Scale, alt.Y]:
    """Return the scale of log error, and the axis of accuracies on it."""
    scale = alt.Scale(type="log", reverse=True, nice=False)
    axis = alt.Axis(values=ERRORS, labelExpr="100 - datum.value", labelOverlap="greedy")
    return scale, alt.Y("error:Q", scale=scale, axis=axis, title="test accuracy, %")


def _by_method(methods: list[str], legend: alt.Legend | None) -> tuple[alt.Color, alt.Shape]:
    """Return the colours and the marks of these methods."""
    colours, marks = (
        alt.Scale(domain=methods, range=[values[i % len(values)] for i in range(len(methods))])
        for values in (COLOURS, SHAPES)
    )
    return alt.Color("method:N", scale=colours, legend=legend), alt.Shape("method:N", scale=marks, legend=legend)


def _legend(names: list[str], **marks: Any) -> alt.Legend:
    """Return a legend above a chart, with as many columns of these names as fit. `marks` are the style of its symbols."""
    columns = max(1, LEGEND // (LETTER * max(map(len, names)) + 48))
    return alt.Legend(title=None, orient="top", columns=columns, columnPadding=24, labelLimit=0, symbolLimit=0, **marks)


def _tips(*own: alt.Tooltip) -> list[alt.Tooltip]:
    """Return the notes of a point: method and sparsity, `own`, and the accuracy with its interval."""
    named = [alt.Tooltip("method:N"), alt.Tooltip("removed:Q", title="sparsity, %"), *own]
    return named + [alt.Tooltip(f"{name}:Q", format=".2f", title=f"{name}, %") for name in ("mean", "low", "high")]


def _intervals(base: Any, x: alt.X, *channels: Any) -> Any:
    """Draw the 95 % intervals of `accuracy_rows`."""
    scale, _ = _by_error()
    bars = base.mark_rule(strokeWidth=1.5, opacity=0.6, aria=False)
    return bars.encode(x, alt.Y("error_low:Q", scale=scale), alt.Y2("error_high:Q"), *channels)


def _points(base: Any, *channels: Any, tooltip: list[alt.Tooltip]) -> Any:
    """Draw the points of `accuracy_rows`, which a screen reader reads out."""
    said = "datum.method + ', sparsity ' + datum.removed + ' %: ' + format(datum.mean, '.2f') + ' %'"
    points = base.transform_calculate(said=said).mark_point(filled=True, size=70, opacity=1)
    return points.encode(*channels, alt.Description("said:N"), tooltip=tooltip)


def accuracy(methods: list[str], rows: pd.DataFrame | None = None) -> Any:
    """Draw accuracy (on a scale of log error) against sparsity, with 95 % intervals; dense references are horizontal
    lines.

    `rows` of `accuracy_rows` are those of one workload and learning rate. Without them the data are named `scores`, for
    a page to fill, and the page has a legend of its own.
    """
    colour, shape = _by_method(methods, None if rows is None else _legend(methods, symbolSize=90))
    _, y = _by_error()
    x = alt.X("removed:O", title="sparsity, % removed", axis=alt.Axis(labelAngle=0), scale=alt.Scale(paddingInner=0.45))
    base = alt.Chart(alt.NamedData("scores") if rows is None else rows)
    sparse = base.transform_filter("!datum.dense")
    tip = [*_tips(), alt.Tooltip("n:Q", title="seeds"), alt.Tooltip("diverged:Q")]
    tip += [alt.Tooltip("epochs:Q", format=".4~g")]
    beside = alt.XOffset("method:N")  # keeps intervals from hiding each other
    lines = sparse.mark_line(strokeWidth=2, aria=False).encode(x, y, colour, beside)
    bars, points = _intervals(sparse, x, colour, beside), _points(sparse, x, y, colour, shape, beside, tooltip=tip)
    dense = base.transform_filter("datum.dense").mark_rule(strokeDash=[6, 4], strokeWidth=2)
    return alt.layer(dense.encode(y, colour, tooltip=tip), bars, lines, points)


def costs(methods: list[str]) -> Any:
    """Draw accuracy (on a scale of log error) against `cost`, with 95 % intervals. A line joins the rows of the `front`.

    The data are named `scores`, for a page to fill.
    """
    colour, shape = _by_method(methods, None)
    _, y = _by_error()
    x = alt.X("cost:Q", scale=alt.Scale(type="log", nice=False, padding=12), axis=alt.Axis(format="~s", tickCount=5))
    tip = _tips(alt.Tooltip("cost:Q", format=",.4~g"))
    base = alt.Chart(alt.NamedData("scores"))
    bars, points = _intervals(base, x, colour), _points(base, x, y, colour, shape, tooltip=tip)
    border = base.transform_filter("datum.front").mark_line(
        strokeWidth=1.5, strokeDash=[3, 3], color="#8a8a8a", interpolate="step-after", aria=False
    )
    return alt.layer(border.encode(x, y, alt.Order("cost:Q")), bars, points)


def ranks(ranking: pd.DataFrame) -> Any:
    """Draw places with simultaneous 95 % bounds, best first. The letter is the group."""
    rows = ranking[~ranking["partial"]].rename_axis("place").reset_index()
    rows = rows.assign(letter=rows["group"].astype(int).map(group_letter), mean_place=rows["mean_place"].round(6))[
        ["method", "place", "rank_low", "rank_high", "letter", "mean_place"]
    ]
    tip = [alt.Tooltip("method:N"), alt.Tooltip("place:Q"), alt.Tooltip("rank_low:Q", title="from")]
    tip += [alt.Tooltip("rank_high:Q", title="to"), alt.Tooltip("letter:N", title="group")]
    tip += [alt.Tooltip("mean_place:Q", format=".2f", title="mean place")]
    axis = alt.Axis(tickMinStep=1, format="d", orient="top")
    base = alt.Chart(rows).encode(
        alt.Y("method:N", sort=rows["method"].tolist(), title=None, axis=alt.Axis(labelLimit=180))
    )
    bounds = base.mark_rule(strokeWidth=5, opacity=0.35, color=COLOURS[0]).encode(
        alt.X("rank_low:Q", title="rank", axis=axis, scale=alt.Scale(zero=False, padding=14)),
        alt.X2("rank_high:Q"),
        tooltip=tip,
    )
    places = base.mark_point(filled=True, size=190, opacity=1, color=COLOURS[0]).encode(alt.X("place:Q"), tooltip=tip)
    letters = base.mark_text(color="white", fontWeight="bold", fontSize=10).encode(
        alt.X("place:Q"), alt.Text("letter:N"), tooltip=tip
    )
    return alt.layer(bounds, places, letters).properties(height=26 * len(rows))


def correlations(rows: pd.DataFrame) -> Any:
    """Draw the weight correlation R_p between trained weights and a reference, against p.

    The dashed diagonal is chance.
    """
    tip = [alt.Tooltip(f"{name}:N") for name in ("method", "reference", "learning_rate", "sparsity")]
    tip += [alt.Tooltip("p:Q"), alt.Tooltip("value:Q", format=".3f", title="R_p"), alt.Tooltip("n:Q", title="runs")]
    x = alt.X("p:Q", title="p, share of the largest weights")
    lines = (
        alt.Chart(rows)
        .mark_line(point=True)
        .encode(
            x,
            alt.Y("value:Q", title="R_p"),
            alt.Color("method:N", legend=alt.Legend(title=None, orient="top", columns=3, symbolLimit=0)),
            alt.StrokeDash("reference:N", legend=alt.Legend(title=None, orient="top")),
            detail=["learning_rate:N", "sparsity:N"],
            tooltip=tip,
        )
    )
    most = float(rows["p"].max())
    chance = pd.DataFrame({"p": [0.0, most], "value": [0.0, most]})
    return alt.layer(alt.Chart(chance).mark_line(strokeDash=[4, 4], color="#888888").encode(x, alt.Y("value:Q")), lines)


def curves(rows: pd.DataFrame) -> Any:
    """Draw learning curves, one panel for each learning rate: the mean loss of the seeds, and a band from the lowest to
    the highest.

    `rows` are those of `board.curves.curve_rows`. The loss is on a logarithmic scale, and dashed on held-out examples.
    """
    least = 1e-4  # below any loss that matters, because the axis is logarithmic
    rows = rows.assign(**{name: rows[name].clip(lower=least) for name in ("mean", "min", "max")})
    methods = list(dict.fromkeys(rows["method"]))
    legend = _legend(methods, symbolOpacity=1)
    y = alt.Y("mean:Q", title="loss, nats", scale=alt.Scale(type="log", nice=False))
    colour, _ = _by_method(methods, legend)
    dash = alt.StrokeDash("part:N", legend=legend, sort=["training", "held-out"])
    tip = [alt.Tooltip("method:N"), alt.Tooltip("part:N"), alt.Tooltip("step:Q"), alt.Tooltip("count:Q", title="seeds")]
    tip += [alt.Tooltip(f"{name}:Q", format=".4f") for name in ("mean", "min", "max")]
    base = alt.Chart(rows).encode(alt.X("step:Q", title="optimizer step"), y, colour, detail=["part:N", "sparsity:N"])
    band = base.mark_area(opacity=0.2, aria=False).encode(alt.Y("min:Q", scale=alt.Scale(type="log")), alt.Y2("max:Q"))
    lines = base.mark_line(strokeWidth=2).encode(dash, tooltip=tip)
    return alt.layer(band, lines)


def spec(chart: Any) -> dict[str, Any]:
    """Return the Vega-Lite specification, which takes the width of its container."""
    fitted = alt.AutoSizeParams(type="fit-x", contains="padding")
    found: dict[str, Any] = chart.properties(width="container", autosize=fitted).to_dict(validate=False)
    found.pop("config", None)
    return found


def first_accuracy(analysis: Analysis, methods: list[str]) -> Any:
    """Draw the accuracy of these methods on the first workload, one panel for each learning rate."""
    rows = accuracy_rows(analysis.scores)
    return _panels(rows[rows["workload"] == rows["workload"].iloc[0]], methods)


def accuracy_panels(analysis: Analysis, methods: list[str]) -> Any:
    """Draw the accuracy of these methods: a row of panels for each workload, a panel for each learning rate."""
    rows = accuracy_rows(analysis.scores)
    return alt.vconcat(*(_panels(part, methods).properties(title=name) for name, part in rows.groupby("workload")))


def _panels(rows: pd.DataFrame, methods: list[str]) -> Any:
    panels = [
        accuracy(methods, part.round(6)).properties(width=330, height=240, title=f"learning rate {rate:g}")
        for rate, part in rows[rows["method"].isin(methods)].groupby("learning_rate")
    ]
    return alt.hconcat(*panels).resolve_scale(y="shared")


def curve_panels(rows: pd.DataFrame) -> Any:
    """Draw learning curves, one panel for each learning rate."""
    sparsity = f"{100 * rows['sparsity'].max():.4g} % removed"
    panels = [
        curves(part).properties(width=380, height=280, title=f"learning rate {rate:g}, {sparsity}")
        for rate, part in rows.round(6).groupby("learning_rate")
    ]
    return alt.hconcat(*panels).resolve_scale(y="shared")


def duel_grid(grid: Grid, a: str, b: str) -> Any:
    """Draw the duel of a and b on a workload as a heat map with a symbol in every square."""
    rows = pd.DataFrame(
        [
            {"rate": f"{rate:g}", "sparsity": f"{100 * s:g} %", "kind": q.kind, "text": f"{q.symbol} {q.number}"}
            for (rate, s), q in grid.squares.items()
        ]
    )
    there = [kind for kind in DUEL_SYMBOLS if kind in set(rows["kind"])]
    said = {"a": f"▲ {a} ahead", "b": f"▼ {b} ahead", "a-small": f"△ {a}, within the tolerance"}
    said |= {"b-small": f"▽ {b}, within the tolerance", "tie": "= tie", "undecided": "? undecided"}
    said |= {"collapsed": "∅ both collapsed", "pending": "… pending"}
    rows = rows.assign(outcome=rows["kind"].map(said))
    colour = alt.Scale(domain=[said[kind] for kind in there], range=[KINDS[kind] for kind in there])
    sparsities = [f"{100 * s:g} %" for s in grid.sparsities]
    bare: dict[str, Any] = {"grid": False, "domain": False, "ticks": False}
    across, down = alt.Axis(labelAngle=0, orient="top", **bare), alt.Axis(**bare)
    base = alt.Chart(rows).encode(
        alt.X("sparsity:N", sort=sparsities, title="sparsity", axis=across),
        alt.Y("rate:N", sort=[f"{r:g}" for r in grid.rates], title="learning rate", axis=down),
    )
    boxes = base.mark_rect(stroke="white", strokeWidth=3, cornerRadius=5).encode(
        alt.Color("outcome:N", scale=colour, legend=alt.Legend(title=None, orient="bottom", columns=3, labelLimit=260))
    )
    text = base.mark_text(fontSize=14).encode(alt.Text("text:N"))
    return alt.layer(boxes, text).properties(width=alt.Step(96), height=alt.Step(46))
