"""The static site: one self-contained HTML page a suite, and an index. Nothing is fetched, nothing is sent."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from lthbench.board import charts, grids, payload
from lthbench.board.analysis import Judged
from lthbench.board.grids import Grid
from lthbench.board.page import facts, failures, footer, margin_lines
from lthbench.runs.records.trust import MEANING, Row, level_of

TEMPLATES = Path(__file__).parent / "templates"
SHOWN = 6  # methods in a chart before somebody asks for more


@dataclass(frozen=True)
class Section:
    """One duel, or one ticket's verdicts: a title, sentences, and its grids."""

    title: str
    symbols: dict[str, tuple[str, str]]
    grids: list[Grid]
    lines: list[tuple[str, str]]
    anchor: str


def suite_page(judged: Judged, rows: dict[str, Row], home: str = "") -> str:
    """The page of a suite. `rows` say how far each was verified; `home` links to the index, where there is one."""
    return _template("suite.html").render(
        suite=judged.suite,
        facts=facts(judged),
        home=home,
        runs=len(judged.results.runs),
        seeds=judged.seeds,
        computed=judged.results.runs["epochs_computed"].sum(),
        charged=judged.results.runs["epochs"].sum(),
        methods=len(judged.methods),
        duels=[_duel(judged, duel) for duel in judged.duels],
        verdicts=[_verdict(judged, ticket, reading) for ticket in judged.tickets for reading in ("any", "same")],
        winning=[_winning(judged, ticket) for ticket in judged.tickets],
        rankings=list(judged.rankings),
        failures=failures(judged.results.runs),
        correlated=not judged.results.correlation.empty,
        levels=MEANING,
        footer=footer(judged),
        style=_text("style.css"),
        scripts=[_bundle(), *(_text(name) for name in ("tables.js", "charts.js", "runs.js", "grids.js"))],
        data=payload.embedded(_data(judged, rows)),
        layers=payload.embedded(payload.layers(judged.results)),
    )


def index_page(judged: dict[str, Judged]) -> str:
    """The index: every suite with its main duel."""
    suites = [
        {
            "name": name,
            "suite": one.suite,
            "runs": len(one.results.runs),
            "seeds": one.seeds,
            "methods": len(one.methods),
            "duel": _duel(one, one.duels[0]) if one.duels else None,
        }
        for name, one in judged.items()
    ]
    return _template("index.html").render(suites=suites, style=_text("style.css"))


def _data(judged: Judged, rows: dict[str, Row]) -> dict[str, Any]:
    scored = judged.scores.assign(level=judged.scores["method"].map(lambda name: level_of(rows, name)))
    drawn = charts.accuracy_rows(judged.scores).round(6)
    named = {f"ranks-{i}": charts.spec(charts.ranks(t)) for i, t in enumerate(judged.rankings.values())}
    if not judged.results.correlation.empty:
        named["correlation"] = charts.spec(charts.correlations(correlation_rows(judged)))
    return {
        "scores": payload.columns(scored),
        "runs": payload.runs(judged.results),
        "drawn": payload.columns(drawn),
        "methods": judged.methods,
        "shown": shown_methods(judged),
        "colours": charts.COLOURS,
        "shapes": charts.SHAPES,
        "levels": {method: level_of(rows, method) for method in judged.methods},
        "correlation": payload.columns(judged.results.correlation),
        "specs": {"accuracy": charts.spec(charts.accuracy(judged.methods).properties(height=260)), **named},
    }


def shown_methods(judged: Judged) -> list[str]:
    """The methods that a chart shows at first: references, and those of duels and verdicts."""
    named = [name for duel in judged.duels for name in (duel.a, duel.b)] + judged.tickets
    names = dict.fromkeys([*(m for m in judged.methods if m in ("dense", "small-dense")), *named, *judged.methods])
    first = list(names)[:SHOWN]
    return [name for name in judged.methods if name in first]


def correlation_rows(judged: Judged) -> pd.DataFrame:
    """Mean weight correlation by method, learning rate, sparsity, reference and p."""
    keys = ["method", "learning_rate", "sparsity"]
    rows = judged.results.correlation.join(judged.results.runs[keys], on="run")
    found = rows.groupby([*keys, "reference", "p"], sort=True)["value"].agg(["mean", "count"])
    return found.rename(columns={"mean": "value", "count": "n"}).reset_index()


def _duel(judged: Judged, duel: Any) -> Section:
    said = {"a": f"{duel.a} ahead", "a-small": f"{duel.a} ahead, within the tolerance", "b": f"{duel.b} ahead"}
    said |= {"b-small": f"{duel.b} ahead, within the tolerance", "tie": "a tie, shown", "undecided": "undecided"}
    said |= {"collapsed": "both collapsed", "pending": "pending, between two looks"}
    found = grids.duel_grids(judged, duel)
    lines = margin_lines(judged, duel)
    anchor = f"duel-{duel.a}-{duel.b}"
    return Section(f"{duel.a} against {duel.b}", _used(found, grids.DUEL_SYMBOLS, said), found, lines, anchor)


def _verdict(judged: Judged, ticket: str, reading: str) -> Section:
    said = {"jackpot": "jackpot", "secondary": "secondary prize", "neither": "neither", "trivial": "too dense to count"}
    said |= {"open": "not enough evidence, and how many seeds would decide", "pending": "pending, between two looks"}
    found = grids.verdict_grids(judged, ticket, reading)
    title = f"{ticket}, controls at {'any rate' if reading == 'any' else 'the same rate'}"
    return Section(title, _used(found, grids.VERDICT_SYMBOLS, said), found, [], f"verdict-{ticket}-{reading}")


def _winning(judged: Judged, ticket: str) -> Section:
    said = {"holds": "holds", "fails": "fails", "open": "open", "pending": "pending, between two looks"}
    found = grids.winning_grids(judged, ticket)
    return Section(ticket, _used(found, grids.WINNING_SYMBOLS, said), found, [], f"winning-{ticket}")


def _used(found: list[Grid], symbols: dict[str, str], said: dict[str, str]) -> dict[str, tuple[str, str]]:
    """The legend: symbols that are there, with their words and how many squares have them."""
    kinds = [square.kind for grid in found for square in grid.squares.values()]
    return {k: (symbols[k], f"{said[k]}: {kinds.count(k)}") for k in symbols if k in kinds}


def _template(name: str) -> jinja2.Template:
    loader = jinja2.FileSystemLoader(TEMPLATES)
    return jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    ).get_template(name)


def _text(name: str) -> Markup:
    return Markup((TEMPLATES / name).read_text())  # our own file


@cache
def _bundle() -> Markup:
    """Vega, Vega-Lite and vega-embed as one script that defines vegaEmbed."""
    import vl_convert

    return Markup(vl_convert.javascript_bundle())  # type: ignore[call-arg]
