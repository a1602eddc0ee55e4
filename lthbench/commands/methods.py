"""The commands `list`, `new` and `check`."""

import sys
from pathlib import Path

import click

from lthbench.commands.completion import METHOD
from lthbench.commands.shared import DATA, FOLDER, JSON, print_rows
from lthbench.errors import InputError


@click.command("list")
@click.argument("what", type=click.Choice(["methods", "suites", "models", "data"]), default="methods")
@JSON
@click.option("--bibtex", is_flag=True, help="Print the papers of the methods as BibTeX.")
def list_(what: str, as_json: bool, bibtex: bool) -> None:
    """List methods, suites, models or data sets.

    \b
    lthbench list methods
    lthbench list methods --bibtex
    """
    from lthbench.commands.printing import listing

    if bibtex and (what != "methods" or as_json):
        raise click.UsageError("--bibtex goes with methods alone: lthbench list methods --bibtex")
    if bibtex:
        click.echo(listing.bibtex(), nl=False)
        return
    rows, headers = listing.LISTS[what]()
    print_rows(rows, headers, as_json)


@click.command()
@click.argument("name")
@click.option("--kind", type=click.Choice(["criterion", "rule", "probe", "structured"]), default="criterion",
              show_default=True,
              help="Template of the file: a score of weights, a rule during training, a measurement on examples, a score of "
              "channels.")  # fmt: skip
@click.option("--folder", type=FOLDER, default=".", help="The folder of the file.")
def new(name: str, kind: str, folder: Path) -> None:
    """Write a method file to start from.

    \b
    lthbench new my-method
    lthbench new my-method --kind rule
    """
    from lthbench.submission.battery.scaffold import scaffold

    path = scaffold(name, folder, kind)
    click.echo(f"wrote {path}.  Next: lthbench check {path}")


@click.command()
@click.argument("method", type=METHOD)
@DATA
@JSON
def check(method: str, data: Path | None, as_json: bool) -> None:
    """Run all checks on a method: budget, sparsity, cost, determinism, no peeking, behaviour at sparsity 0.

    \b
    lthbench check my_method.py
    """
    if sys.flags.optimize > 1:
        raise InputError("python -OO drops docstrings, which check reads; run it without -OO")
    from lthbench.submission.battery.check import check as battery

    findings = battery(method, data)
    print_rows(
        [(f.check, "passed" if f.passed else "FAILED", f.found) for f in findings], ["check", "", "found"], as_json
    )
    sys.exit(0 if all(f.passed for f in findings) else 1)
