"""The commands `score`, `duel`, `board` and `report`, on the results of a run folder."""

from pathlib import Path
from typing import Any

import click

from lthbench.commands.completion import RUN_FOLDER
from lthbench.commands.shared import JSON, print_rows
from lthbench.errors import InputError

SKIP = click.option("--skip-broken", is_flag=True, help="Leave broken records out, and list them.")
FILE = click.Path(path_type=Path, dir_okay=False)
TABLES = ("scores", "runs", "layers", "kept", "notes", "correlation", "barriers", "images", "curves")


@click.command()
@click.argument("folder", type=RUN_FOLDER)
@click.option("--table", "name", type=click.Choice(TABLES), default="scores", show_default=True, help="Which table.")
@click.option(
    "--csv",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    metavar="FILE",
    help="Write CSV; - prints it.",
)
@click.option("--parquet", type=FILE, metavar="FILE", help="Write Parquet.")
@SKIP
@JSON
def score(folder: Path, name: str, csv: Path | None, parquet: Path | None, skip_broken: bool, as_json: bool) -> None:
    """Print n, mean, deviation and 95 % interval of every method in every cell; or the records as a table.

    \b
    lthbench score runs/digits
    lthbench score runs/digits --table runs --parquet runs.parquet
    """
    from lthbench.board.scores import scores
    from lthbench.runs.records.tables import read_tables
    from lthbench.runs.store.files import write_whole

    if str(parquet) == "-":
        raise InputError("--parquet writes a binary file; give a file name: --parquet scores.parquet")
    skipped = _skipped(skip_broken)
    results = read_tables(folder, skipped=skipped)
    table = scores(results.scored) if name == "scores" else getattr(results, name)
    _say(skipped)
    if str(csv) == "-":
        click.echo(table.to_csv(index=False), nl=False)
    elif csv:
        write_whole(csv, table.to_csv(index=False).encode())
    if parquet:
        write_whole(parquet, _parquet(table))
    if not csv and not parquet:
        print_rows(table.itertuples(index=False), list(table.columns), as_json)


@click.command()
@click.argument("methods", nargs=-1, metavar="[METHOD [METHOD]]")
@click.argument("folder", type=RUN_FOLDER)
@SKIP
@JSON
def duel(methods: tuple[str, ...], folder: Path, skip_broken: bool, as_json: bool) -> None:
    """Compare two methods: cell by cell, by margin and overall, with intervals.

    One method is compared with the suite's reference. Without a method, it is the first duel of the board: of the method
    that was run last.

    \b
    lthbench duel lottery-ticket prune-finetune runs/digits
    lthbench duel my-method runs/digits
    lthbench duel runs/digits
    """
    from lthbench.board.build import analysis_of
    from lthbench.board.page import duel_section, footer, marked

    if len(methods) > 2:
        raise click.UsageError(f"a duel is of two methods; {len(methods)} are named: {', '.join(methods)}")

    skipped = _skipped(skip_broken)
    analysis = analysis_of(folder, skipped)
    found = analysis.duel_of(*methods)
    _say(skipped)
    if as_json:
        tables = {"cells": found.cells, "margins": found.marginals}
        click.echo("{" + ", ".join(f'"{name}": {t.to_json(orient="records")}' for name, t in tables.items()) + "}")
    else:
        parts = [marked(analysis), duel_section(analysis, found), footer(analysis)]
        click.echo("\n\n".join(part for part in parts if part))


@click.command()
@click.argument("folder", type=RUN_FOLDER, default="leaderboard")
@SKIP
def board(folder: Path, skip_broken: bool) -> None:
    """Build the board of a run folder (into FOLDER/board), or the published leaderboard: tables, charts, site.

    \b
    lthbench board runs/digits
    """
    from lthbench.board.build import build

    skipped = _skipped(skip_broken)
    page, words = build(folder, skipped)
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
