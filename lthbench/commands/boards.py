"""The commands `score`, `duel`, `board` and `report`, on the results of a run folder."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lthbench.commands.completion import RUN_FOLDER
from lthbench.commands.printing.formats import OUT, Printing, check_output, formats, give
from lthbench.commands.shared import FOLDER, as_json
from lthbench.errors import InputError, unknown

if TYPE_CHECKING:
    from pandas import DataFrame

    from lthbench.board.analysis import Analysis, Duel

SKIP = click.option("--skip-broken", is_flag=True, help="Leave broken records out, and list them.")
TABLES = ("scores", "runs", "layers", "kept", "notes", "correlation", "barriers", "images", "curves", "costs")


@click.command(cls=Printing)
@click.argument("folder", type=RUN_FOLDER)
@click.option("--table", "name", type=click.Choice(TABLES), default="scores", show_default=True, help="Which table.")
@click.option(
    "--method", "methods", multiple=True, metavar="NAME", help="Only this method; may be given several times."
)
@formats("json", "csv", "markdown", "latex", "parquet")
@OUT
@SKIP
def score(
    folder: Path, name: str, methods: tuple[str, ...], skip_broken: bool, out: Path | None, form: str = ""
) -> None:
    """Print n, mean, deviation and 95 % interval of every method in every cell; or the records as a table.

    As Markdown or LaTeX, the scores are a table for a paper: a row for each method, a column for each sparsity, the best in
    bold where a test shows it.

    \b
    lthbench score runs/digits
    lthbench score runs/digits --latex --out scores.tex
    lthbench score runs/digits --latex --method my-method --method lottery-ticket
    lthbench score runs/digits --table runs --parquet --out runs.parquet
    """
    check_output(form, out)
    skipped = _skipped(skip_broken)
    written = _for_a_paper if form in ("markdown", "latex") else _as_data
    content = written(folder, name, methods, form, skipped)
    _say(skipped)
    give(content, out)


def _for_a_paper(
    folder: Path, name: str, methods: tuple[str, ...], form: str, skipped: list[str] | None
) -> str | bytes:
    """Return one of TABLES as Markdown or LaTeX."""
    from lthbench.board.build import analysis_of
    from lthbench.board.export import paper
    from lthbench.board.export.table import Table

    if name != "scores":
        return Table.plain(name, _records(folder, name, methods, skipped)).written(form)
    analysis = analysis_of(folder, skipped)
    analysis.check_known(*methods)
    return paper.scores_table(analysis, methods).written(form)


def _records(folder: Path, name: str, methods: tuple[str, ...], skipped: list[str] | None) -> "DataFrame":
    """Return one of TABLES, of all methods or of these."""
    from lthbench.board.build import refusal
    from lthbench.board.scores import scores
    from lthbench.runs.records.tables import read_tables

    results = read_tables(folder, refusal=refusal(folder), skipped=skipped)
    _check_known(methods, results.runs["method"].unique().tolist())
    results = results.where(results.runs["method"].isin(methods)) if methods else results
    table: DataFrame = scores(results.scored) if name == "scores" else getattr(results, name)
    return table


def _check_known(methods: tuple[str, ...], there: list[str]) -> None:
    """Raise InputError for a method without runs."""
    for method in methods:
        if method not in there:
            raise InputError(unknown("method with runs here", method, there))


def _as_data(folder: Path, name: str, methods: tuple[str, ...], form: str, skipped: list[str] | None) -> str | bytes:
    """Return one of TABLES as plain text, CSV, JSON or Parquet."""
    from lthbench.commands.printing import console

    table = _records(folder, name, methods, skipped)
    if form == "csv":
        return table.to_csv(index=False)
    if form == "parquet":
        return _parquet(table)
    rows, headers = list(table.itertuples(index=False, name=None)), [str(column) for column in table]
    return as_json([dict(zip(headers, row, strict=True)) for row in rows]) if form else console.table(rows, headers)


@click.command()
@click.argument("methods", nargs=-1, metavar="[METHOD [METHOD]]")
@click.argument("folder", type=RUN_FOLDER)
@formats("json", "csv", "markdown", "latex")
@OUT
@SKIP
def duel(methods: tuple[str, ...], folder: Path, skip_broken: bool, out: Path | None, form: str = "") -> None:
    """Compare two methods: cell by cell, by margin and overall, with intervals.

    One method is compared with the suite's reference. Without a method, it is the first duel of the board: of the method
    that was run last. As CSV, Markdown or LaTeX, it is the table of the cells.

    \b
    lthbench duel lottery-ticket prune-finetune runs/digits
    lthbench duel my-method runs/digits --latex
    lthbench duel runs/digits
    """
    from lthbench.board.build import analysis_of

    if len(methods) > 2:
        raise click.UsageError(f"a duel is of two methods; {len(methods)} are named: {', '.join(methods)}")

    skipped = _skipped(skip_broken)
    analysis = analysis_of(folder, skipped)
    content = _duel_as(analysis, analysis.duel_of(*methods), form)
    _say(skipped)
    give(content, out)


def _duel_as(analysis: "Analysis", found: "Duel", form: str) -> str:
    from lthbench.board.export import paper
    from lthbench.board.page import duel_section, footer, marked

    if form == "json":
        tables = {"cells": found.cells, "marginals": found.marginals}
        return "{" + ", ".join(f'"{name}": {t.to_json(orient="records")}' for name, t in tables.items()) + "}"
    if form == "csv":
        return found.cells.to_csv(index=False)
    if form:
        return paper.duel_table(analysis, found).written(form)
    return "\n\n".join(filter(None, [marked(analysis), duel_section(analysis, found), footer(analysis)]))


@click.command()
@click.argument("folder", type=RUN_FOLDER, default="leaderboard")
@formats("csv", "markdown", "latex")
@click.option("--charts", type=FOLDER, help="Write the charts to this folder too, as SVG, PDF and PNG files.")
@SKIP
def board(folder: Path, charts: Path | None, skip_broken: bool, form: str = "csv") -> None:
    """Build the board of a run folder (into FOLDER/board), or the published leaderboard: tables, charts, site.

    The tables are CSV files. With --latex or --markdown, those for a paper stand beside them.

    \b
    lthbench board runs/digits
    lthbench board runs/digits --latex --charts figures
    """
    from lthbench.board.build import build
    from lthbench.board.export.extras import Extras

    skipped = _skipped(skip_broken)
    page, words = build(folder, skipped, Extras(form, charts))
    _say(skipped)
    click.echo(words)
    click.echo(f"\nThe board is in {page}")


@click.command()
@click.argument("suite")
def report(suite: str) -> None:
    """Compare measured results with those that a paper published: SUITE is a run folder, or a suite on the leaderboard.

    \b
    lthbench report runs/liu2021-digits
    lthbench report liu2021-digits
    """
    from lthbench.report.build import build

    page, missing = build(suite)
    if missing:
        click.echo(f"{missing}; the report makes no claim", err=True)
    click.echo(f"The report is in {page}")


def _parquet(table: Any) -> bytes:
    try:
        content: bytes = table.to_parquet(index=False)
        return content
    except ImportError:
        raise InputError("Parquet needs pyarrow: pip install 'lthbench[board]'") from None


def _skipped(asked: bool) -> list[str] | None:
    return [] if asked else None


def _say(skipped: Any) -> None:
    for message in skipped or ():
        click.echo(f"left out: {message}", err=True)
