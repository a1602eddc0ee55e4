"""Charts of reports, as SVG: lines with intervals, and matrices. Needs the extra `board`."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from lthbench.board.export.figures import PADDING, check_extra

FONT = "Roboto, sans-serif"
LETTER = 7  # pixels of a label
FEW = 8  # values of an axis that each have a tick


def lines(
    rows: pd.DataFrame,
    x: str,
    y: str,
    colour: str,
    *,
    titles: tuple[str, str],
    column: str | None = None,
    row: str | None = None,
    rules: pd.DataFrame | None = None,
    scale: str = "linear",
    reverse: bool = False,
    order: Sequence[str] | None = None,
) -> str:
    """Draw `mean` with `low` and `high` against `x`, one line for each colour, one panel for each `column` and `row`.

    Returns SVG text. `rules` are horizontal lines, with columns `mean` and `name`, and the columns of their panels.
    `reverse` has the large values of `x` on the left.
    """
    alt = _altair()
    from lthbench.board.charts import COLOURS

    names = list(order) if order else list(dict.fromkeys(rows[colour].astype(str)))
    extra = [] if rules is None else list(dict.fromkeys(rules["name"].astype(str)))
    palette = [COLOURS[i % len(COLOURS)] for i in range(len(names))] + ["#8a8a8a"] * len(extra)
    shade = alt.Color("series:N", title=None, scale=alt.Scale(domain=[*names, *extra], range=palette))
    data = rows.assign(series=rows[colour].astype(str))
    panels = [name for name in (column, row) if name]
    if rules is not None:
        data = pd.concat([data, rules.assign(series=rules["name"])], ignore_index=True)
    where = alt.X(
        f"{x}:Q",
        title=titles[0],
        scale=alt.Scale(type=scale, reverse=reverse, zero=False, nice=False, padding=8),
        axis=_ticks(rows[x]) if scale == "log" else alt.Undefined,
    )
    value = alt.Y(f"{y}:Q", title=titles[1], scale=alt.Scale(zero=False))
    base = alt.Chart(data[[*panels, x, y, "low", "high", "series"]])
    measured = base.transform_filter(f"isValid(datum.{x})")
    parts = [
        measured.transform_filter("isValid(datum.low)")
        .mark_errorbar(opacity=0.6)
        .encode(where, alt.Y("low:Q", title=titles[1], scale=alt.Scale(zero=False)), alt.Y2("high:Q"), shade),
        measured.mark_line(point=True, strokeWidth=2).encode(where, value, shade),
    ]
    if rules is not None:
        across = base.transform_filter(f"!isValid(datum.{x})")
        parts.append(across.mark_rule(strokeDash=[6, 4], strokeWidth=1.5).encode(value, shade))
    chart = alt.layer(*parts).properties(width=230, height=170)
    if panels:
        heads = {"title": None}
        facets: dict[str, Any] = {}
        if column:
            facets["column"] = alt.Column(f"{column}:N", sort=_as_they_come(rows[column]), **heads)
        if row:
            facets["row"] = alt.Row(f"{row}:N", sort=_as_they_come(rows[row]), **heads)
        chart = chart.facet(**facets)
    return _svg(chart, legend=4 if column and rows[column].nunique() > 1 else 2)


def _ticks(values: pd.Series) -> Any:
    """Return an axis with ticks at the values, where these are few."""
    alt, few = _altair(), sorted(values.dropna().unique().tolist())
    return alt.Axis(values=few if len(few) <= FEW else alt.Undefined, format=",.3~r", labelSeparation=4)


def _as_they_come(names: pd.Series) -> list[str]:
    return list(dict.fromkeys(names.astype(str)))


def matrix(
    rows: pd.DataFrame, x: str, y: str, value: str, *, titles: tuple[str, str, str], column: str | None = None
) -> str:
    """Draw a square for each pair with its value written in it.

    `titles` are those of x, y and the value. Returns SVG text.
    """
    alt = _altair()
    base = alt.Chart(rows).encode(
        alt.X(f"{x}:N", title=titles[0], sort=None, axis=alt.Axis(labelAngle=0, orient="top")),
        alt.Y(f"{y}:N", title=titles[1], sort=None, axis=alt.Axis(titlePadding=24)),
    )
    middle = float(rows[value].median())
    squares = base.mark_rect().encode(
        alt.Color(f"{value}:Q", title=titles[2], scale=alt.Scale(scheme="blues", zero=False))
    )
    dark = alt.condition(f"datum['{value}'] > {middle}", alt.value("white"), alt.value("black"))
    text = base.mark_text(fontSize=12).encode(alt.Text(f"{value}:Q", format=".1f"), color=dark)
    across = max(70, LETTER * rows[x].astype(str).str.len().max())
    chart = alt.layer(squares, text).properties(width=across * rows[x].nunique(), height=36 * rows[y].nunique())
    return _svg(chart.facet(column=alt.Column(f"{column}:N", title=None, sort=None)) if column else chart)


def _altair() -> Any:
    check_extra()
    import altair

    return altair


def _svg(chart: Any, legend: int = 4) -> str:
    """Return a chart as SVG text, with `legend` columns in its legend."""
    import vl_convert

    chart = chart.configure(font=FONT, padding=PADDING).configure_view(stroke="#dddddd")
    chart = chart.configure_legend(orient="bottom", columns=legend, columnPadding=24, labelLimit=0)
    return str(vl_convert.vegalite_to_svg(chart.to_json()))
