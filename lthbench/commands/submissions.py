"""The commands for submissions: `submit`, `verify` and `publish`."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from lthbench.commands.shared import DATA, FOLDER, JSON, check_apart, print_rows, renamed_option

PATH = click.Path(path_type=Path)


@click.command()
@click.argument("results", type=FOLDER)
@click.option("--method", required=True, metavar="METHOD", help="As for run: NAME, FILE.py:NAME.")
@click.option("--authors", required=True, multiple=True, metavar="NAME", help="Once for each author.")
@click.option("--paper", default="", metavar="REFERENCE", help="A link, arXiv:…, doi:… or a reference.")
@renamed_option("--licence", "--license")
@click.option("--license", default="MIT", show_default=True, metavar="SPDX", help="Of the method's source.")
@click.option("--out", required=True, type=PATH, metavar="BUNDLE", help="A folder, or a file that ends in .zip.")
def submit(results: Path, method: str, authors: tuple[str, ...], paper: str, license: str, out: Path) -> None:
    """Write the bundle of a method from a run folder that was made with --keep finals. Incomplete results are refused.

    \b
    lthbench submit runs/digits --method my_method.py --authors "A. Author" --paper arXiv:2102.11068 --out my-method.zip
    """
    from lthbench.commands.printing.console import size
    from lthbench.submission.bundle.submit import submit as write

    named = write(results, method, authors, paper, license, out)
    whole = size(sum(file.size for file in named.files))
    click.echo(f"{out}: {named.method} on {named.suite.name} {named.suite.version}, {len(named.tickets)} tickets, {whole}."
               f"  Next: lthbench verify {out}")  # fmt: skip


def verifying(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that `verify` and `publish` share."""
    options = (
        click.argument("bundle", type=PATH),
        click.option("--claimed", is_flag=True, help="Check the first level alone, without loading weights."),
        click.option("--retrain", type=click.IntRange(1), metavar="K", help="Repeat K runs, drawn at random, from the "
                     "source in a sandbox, and two that the author has not seen."),
        click.option("--seed", type=click.IntRange(0), help="Seed of that draw (default: from the system). The author must "
                     "not choose it."),
        click.option("--seconds", type=click.IntRange(1), default=3600, show_default=True, help="Time limit of --retrain."),
        click.option("--memory", type=click.IntRange(1), default=16, show_default=True, metavar="GB",
                     help="Memory limit of --retrain."),
        click.option("--suite", metavar="FILE", help="The suite, if it does not come with lthbench."),
        DATA,
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@verifying
@JSON
def verify(bundle: Path, as_json: bool, **options: Any) -> None:
    """Verify a bundle: check its claims, evaluate every network again and, with --retrain, repeat K runs in a sandbox.

    \b
    lthbench verify my-method.zip
    lthbench verify my-method.zip --retrain 3 --json
    """
    report = _report(bundle, **options)
    if as_json:
        click.echo(json.dumps(report.plain()))
    else:
        _print(bundle, report)
    sys.exit(0 if report.passed else 1)


@click.command()
@verifying
@click.option("--leaderboard", type=FOLDER, default="leaderboard", show_default=True)
@click.option("--dry-run", is_flag=True, help="Print what the row would change, as Markdown, and write nothing.")
@click.option("--replace", is_flag=True, help="Replace the method's row.")
@click.option("--beside", is_flag=True, help="Keep the method's row, and record these results next to it.")
@click.option("--undo", is_flag=True, help="Remove the row of this bundle's method, and restore the row before it.")
def publish(
    bundle: Path, leaderboard: Path, dry_run: bool, replace: bool, beside: bool, undo: bool, **options: Any
) -> None:
    """Verify a bundle, move its records to the leaderboard, note the level, build the board.

    \b
    lthbench publish my-method.zip --retrain 3
    lthbench publish my-method.zip --dry-run
    """
    from tabulate import tabulate

    from lthbench.submission import publish as publishing

    given = options | {"undo": undo, "dry_run": dry_run, "replace": replace, "beside": beside}
    alone = [("undo", other) for other in ("dry_run", "replace", "beside", "claimed", "retrain")]
    check_apart(given, *alone, ("beside", "replace"))
    if undo:
        click.echo(publishing.undo(bundle, leaderboard))
        return
    report = _report(bundle, **options)
    if not report.passed:
        _print(bundle, report)
        sys.exit(1)
    if dry_run:
        rows, headers = publishing.changes(bundle, leaderboard, report)
        click.echo(tabulate(rows, headers, tablefmt="pipe", disable_numparse=True))
        return
    click.echo(publishing.publish(bundle, leaderboard, report, replace=replace, beside=beside))


def _report(
    bundle: Path, claimed: bool, retrain: int | None, seed: int | None, seconds: int, memory: int, suite: str | None,
    data: Path | None,
) -> Any:  # fmt: skip
    from lthbench.submission.verification.retrained import Retrain, drawn_seed
    from lthbench.submission.verification.sandbox import Limits
    from lthbench.submission.verification.verify import Options, verify

    check_apart({"claimed": claimed, "retrain": retrain}, ("claimed", "retrain"))
    limits = Limits(seconds, memory * 1_000_000_000)
    again = Retrain(retrain, drawn_seed() if seed is None else seed, limits) if retrain else None
    return verify(bundle, Options("claimed" if claimed else "re-evaluated", again, data, suite))


def _print(bundle: Path, report: Any) -> None:
    """Print the findings of a report, the drawn runs, and the level."""
    from lthbench.submission.bundle.plain import shown

    print_rows(report.rows, ["level", "check", "", "found"], False)
    for name, note in report.notes.items():
        click.echo(f"{name}: {'; '.join(note) if isinstance(note, list) else note}")
    click.echo(
        f"\n{shown(str(bundle))}: {report.level or 'refused'}"
        + ("" if report.passed else ", and no further: see FAILED")
    )
