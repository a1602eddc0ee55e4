"""Submissions: hand in a method, verify it, publish it, take a ticket elsewhere."""

import json
import sys
from pathlib import Path

import click

from lthbench.commands.shared import DATA, FOLDER, JSON, print_rows

PATH = click.Path(path_type=Path)


@click.command()
@click.argument("results", type=FOLDER)
@click.option("--method", required=True, metavar="METHOD", help="As for run: NAME, FILE.py:NAME.")
@click.option("--authors", required=True, multiple=True, metavar="NAME", help="Once for each author.")
@click.option("--paper", default="", metavar="REFERENCE", help="A link, arXiv:…, doi:… or a reference.")
@click.option("--licence", default="MIT", show_default=True, metavar="SPDX", help="Of the method's source.")
@click.option("--out", required=True, type=PATH, metavar="BUNDLE", help="A folder, or a file that ends in .zip.")
def submit(results: Path, method: str, authors: tuple[str, ...], paper: str, licence: str, out: Path) -> None:
    """Write the bundle of a method from a run folder that was made with --keep finals. Complete, or refused.

    \b
    lthbench submit runs/digits --method my_method.py --authors "A. Author" --paper arXiv:2102.11068 --out my-method.zip
    """
    from lthbench.console import size
    from lthbench.submission.submit import submit as write

    named = write(results, method, authors, paper, licence, out)
    whole = size(sum(file.size for file in named.files))
    click.echo(f"{out}: {named.method} on {named.suite.name} {named.suite.version}, {len(named.tickets)} tickets, {whole}."
               f"  Next: lthbench verify {out}")  # fmt: skip


@click.command()
@click.argument("bundle", type=PATH)
@click.option("--claimed", is_flag=True, help="The first level alone: read, load no weights.")
@click.option(
    "--retrain", type=click.IntRange(1), metavar="K", help="Run K runs, drawn by chance, again from the source."
)
@click.option(
    "--seed", type=click.IntRange(0), help="Of that draw (default: from the system). Not for the author to choose."
)
@click.option("--seconds", type=click.IntRange(1), default=3600, show_default=True, help="Wall clock of --retrain.")
@click.option(
    "--memory", type=click.IntRange(1), default=16, show_default=True, metavar="GB", help="Memory of --retrain."
)
@click.option("--suite", metavar="FILE", help="The suite, where it does not come with lthbench.")
@DATA
@JSON
def verify(
    bundle: Path, claimed: bool, retrain: int | None, seed: int | None, seconds: int, memory: int, suite: str | None,
    data: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Verify a bundle: what it claims, every network measured again, with --retrain K runs done again, confined.

    \b
    lthbench verify my-method.zip
    lthbench verify my-method.zip --retrain 3 --json
    """
    from lthbench.submission.confined import Limits
    from lthbench.submission.retrained import Retrain
    from lthbench.submission.verify import Options
    from lthbench.submission.verify import verify as look

    limits = Limits(seconds, memory * 1_000_000_000)
    again = (Retrain(retrain, limits=limits) if seed is None else Retrain(retrain, seed, limits)) if retrain else None
    report = look(bundle, Options("claimed" if claimed else "re-evaluated", again, data, suite))
    if as_json:
        click.echo(json.dumps(report.plain()))
    else:
        print_rows(report.rows, ["level", "check", "", "found"], False)
        for name, note in report.notes.items():
            click.echo(f"{name}: {'; '.join(note) if isinstance(note, list) else note}")
        click.echo(
            f"\n{bundle}: {report.level or 'refused'}" + ("" if report.passed else ", and not beyond: see FAILED")
        )
    sys.exit(0 if report.passed else 1)
