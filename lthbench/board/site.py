"""The static site: one HTML page for each suite, an index, and the script that draws. Nothing is fetched from elsewhere."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from lthbench.board import charts, costs, front, grids, payload
from lthbench.board.analysis import Analysis
from lthbench.board.curves import curve_rows
from lthbench.board.evidence import dense_parameters, failures, machines, missing
from lthbench.board.grids import Grid
from lthbench.board.page import facts, footer, incomplete, marginal_lines, shown_methods
from lthbench.runs.records.trust import MEANING, Row, words
from lthbench.suite.trial import unpublished

TEMPLATES = Path(__file__).parent / "templates"
BUNDLE = "vega.js"
TRIAL = {"trial": "not a run of the published suite, and not to be compared with its rows"}


@dataclass(frozen=True)
class Section:
    """One duel, or one ticket's verdicts: a title, sentences, and its grids."""

    title: str
    symbols: dict[str, tuple[str, str]]
    grids: list[Grid]
    lines: list[tuple[str, str]]
    anchor: str


def suite_page(
    analysis: Analysis, rows: dict[str, Row], measured: pd.DataFrame = costs.NOT_MEASURED, home: str = ""
) -> str:
    """Return the page of a suite.

    `rows` hold the trust of each method, `measured` are latencies; `home` links to the index, if there is one.
    """
    return _template("suite.html").render(
        suite=analysis.suite,
        finding=analysis.finding,
        unpublished=unpublished(analysis.suite),
        incomplete=incomplete(analysis),
        missing=missing(analysis),
        machines=machines(analysis),
        dense_parameters=dense_parameters(analysis),
        facts=facts(analysis),
        home=home,
        runs=len(analysis.results.runs),
        seeds=analysis.seeds,
        computed=analysis.results.runs["epochs_computed"].sum(),
        charged=analysis.results.runs["epochs"].sum(),
        methods=len(analysis.methods),
        duels=[_duel(analysis, duel) for duel in analysis.duels],
        verdicts=[_verdict(analysis, ticket, reading) for ticket in analysis.tickets for reading in ("any", "same")],
        winning=[_winning(analysis, ticket) for ticket in analysis.tickets],
        rankings=list(analysis.rankings),
        failures=failures(analysis),
        correlated=not analysis.results.correlation.empty,
        curves=[f"learning rate {rate:g}" for rate in curve_rows(analysis)["learning_rate"].unique()],
        trust=MEANING | (TRIAL if unpublished(analysis.suite) else {}),
        footer=footer(analysis),
        style=_text("style.css"),
        bundle=BUNDLE,
        scripts=[_text(name) for name in ("tables.js", "charts.js", "runs.js", "grids.js")],
        axes={axis: said for axis, said in costs.AXES.items() if axis != "latency" or len(measured)},
        latencies=[_latency(row) for row in measured.to_dict("records")],
        data=payload.embedded(_data(analysis, rows, measured)),
        layers=payload.embedded(payload.layers(analysis.results)),
    )


def index_page(analysis: dict[str, Analysis]) -> str:
    """Return the index: the answer as one table, then a card for every suite, in groups."""
    rows = front.answers(analysis)
    groups = [(title, [_card(name, one) for name, one in items]) for title, items in front.grouped(analysis)]
    return _template("index.html").render(
        rows=rows,
        rivals=front.RIVALS,
        sentence=front.sentence(rows),
        methods=front.METHODS,
        marks=front.MARKS,
        absent=front.ABSENT,
        groups=groups,
        style=_text("style.css"),
    )


def _card(name: str, one: Analysis) -> dict[str, Any]:
    title, said = front.headline(one)
    return {
        "name": name,
        "suite": one.suite,
        "runs": len(one.results.runs),
        "seeds": one.seeds,
        "methods": len(one.methods),
        "title": title,
        "said": said,
        "key": _duel(one, one.duels[0]).symbols if one.duels else {},
        "incomplete": incomplete(one),
    }


def _latency(row: dict[Any, Any]) -> list[str]:
    """Return a row of the table of latencies, as text."""
    cell = [
        row["method"],
        row["workload"],
        f"{row['learning_rate']:g}",
        f"{100 * row['sparsity']:g} %",
        str(row["seed"]),
    ]
    how = [row["form"], row["runtime"], str(row["batch"]), str(row["threads"])]
    found = [f"{row['median']:.3g}", f"{row['low']:.3g} to {row['high']:.3g}", f"{row['speed_up']:.2f}"]
    return [*cell, *how, *found, f"{row['parameters']:,}", f"{row['size'] / 1000:,.0f} kB", row["machine"]]


def _data(analysis: Analysis, rows: dict[str, Row], measured: pd.DataFrame) -> dict[str, Any]:
    levels = {method: _level(analysis, rows, method) for method in analysis.methods}
    scored = analysis.scores.assign(level=analysis.scores["method"].map(levels))
    drawn = costs.with_costs(charts.accuracy_rows(analysis.scores), measured).round(6)
    named = {f"ranks-{i}": charts.spec(charts.ranks(t)) for i, t in enumerate(analysis.rankings.values())}
    for i, (_, rows_of_rate) in enumerate(curve_rows(analysis).round(6).groupby("learning_rate")):
        named[f"curves-{i}"] = charts.spec(charts.curves(rows_of_rate).properties(height=260))
    if not analysis.results.correlation.empty:
        named["correlation"] = charts.spec(charts.correlations(correlation_rows(analysis)))
    return {
        "scores": payload.columns(scored),
        "runs": payload.runs(analysis.results),
        "drawn": payload.columns(drawn),
        "methods": analysis.methods,
        "shown": shown_methods(analysis),
        "colours": charts.COLOURS,
        "shapes": charts.SHAPES,
        "trust": levels,
        "correlation": payload.columns(analysis.results.correlation),
        "axes": costs.AXES,
        "specs": {
            "accuracy": charts.spec(charts.accuracy(analysis.methods).properties(height=260)),
            "costs": charts.spec(charts.costs(analysis.methods).properties(height=260)),
            **named,
        },
    }


def _level(analysis: Analysis, rows: dict[str, Row], method: str) -> str:
    """Return how far a row can be trusted. Those of a trial have no level of the published suite."""
    return next(iter(TRIAL)) if unpublished(analysis.suite) else words(rows, method)


def correlation_rows(analysis: Analysis) -> pd.DataFrame:
    """Return the mean weight correlation by method, learning rate, sparsity, reference and p."""
    keys = ["method", "learning_rate", "sparsity"]
    rows = analysis.results.correlation.join(analysis.results.runs[keys], on="run")
    found = rows.groupby([*keys, "reference", "p"], sort=True)["value"].agg(["mean", "count"])
    return found.rename(columns={"mean": "value", "count": "n"}).reset_index()


def _duel(analysis: Analysis, duel: Any) -> Section:
    said = {"a": f"{duel.a} ahead", "a-small": f"{duel.a} ahead, within the tolerance", "b": f"{duel.b} ahead"}
    said |= {"b-small": f"{duel.b} ahead, within the tolerance", "tie": "tie", "undecided": "undecided"}
    said |= {"collapsed": "both collapsed", "pending": "pending, between two looks"}
    found = grids.duel_grids(analysis, duel)
    lines = marginal_lines(analysis, duel)
    anchor = f"duel-{duel.a}-{duel.b}"
    return Section(f"{duel.a} against {duel.b}", _used(found, grids.DUEL_SYMBOLS, said), found, lines, anchor)


def _verdict(analysis: Analysis, ticket: str, reading: str) -> Section:
    said = {
        "jackpot": "jackpot",
        "secondary": "secondary prize",
        "neither": "neither",
        "trivial": "sparsity too low to count",
    }
    said |= {
        "open": "not enough evidence (the number is the seeds that would decide)",
        "pending": "pending, between two looks",
    }
    found = grids.verdict_grids(analysis, ticket, reading)
    title = f"{ticket}, controls at {'any' if reading == 'any' else 'the same'} learning rate"
    return Section(title, _used(found, grids.VERDICT_SYMBOLS, said), found, [], f"verdict-{ticket}-{reading}")


def _winning(analysis: Analysis, ticket: str) -> Section:
    said = {"holds": "holds", "fails": "fails", "open": "open", "pending": "pending, between two looks"}
    found = grids.winning_grids(analysis, ticket)
    return Section(ticket, _used(found, grids.WINNING_SYMBOLS, said), found, [], f"winning-{ticket}")


def _used(found: list[Grid], symbols: dict[str, str], said: dict[str, str]) -> dict[str, tuple[str, str]]:
    """Return the legend: the symbols in use, with their words and the number of squares that have them."""
    kinds = [square.kind for grid in found for square in grid.squares.values()]
    return {k: (symbols[k], f"{said[k]}: {kinds.count(k)}") for k in symbols if k in kinds}


def _template(name: str) -> jinja2.Template:
    loader = jinja2.FileSystemLoader(TEMPLATES)
    return jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    ).get_template(name)


def _text(name: str) -> Markup:
    return Markup((TEMPLATES / name).read_text())  # safe: a file of this package


def bundle() -> str:
    """Return Vega, Vega-Lite and vega-embed as one script that defines vegaEmbed. It lies beside the pages, as BUNDLE."""
    import vl_convert

    return vl_convert.javascript_bundle()  # type: ignore[call-arg]
