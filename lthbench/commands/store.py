"""The commands `store …`: show, verify, clean and merge."""

from pathlib import Path

import click

from lthbench.commands.completion import RUN_FOLDER
from lthbench.commands.shared import JSON, Commands, print_rows
from lthbench.runs.store.policy import CLEAN_KEEPS, Keep


@click.group("store", cls=Commands, renamed={"prune": "clean"})
def store_() -> None:
    """Show, verify, clean and merge stores of finished work.

    All commands are safe while a suite runs on the store.
    """


@store_.command("show")
@click.argument("folder", type=RUN_FOLDER, default="runs")
@JSON
def store_show(folder: Path, as_json: bool) -> None:
    """Show the content of the stores at or under FOLDER, by suite, environment and kind of entry.

    \b
    lthbench store show runs
    """
    from lthbench.commands.printing import console
    from lthbench.runs.store.maintenance import sizes

    rows = [
        (s.run, s.suite, s.environment[:8], s.kind, s.entries, s.bytes if as_json else console.size(s.bytes))
        for s in sizes(folder)
    ]
    print_rows(rows, ["folder", "suite", "environment", "kind", "entries", "size"], as_json)


@store_.command("verify")
@click.argument("folder", type=RUN_FOLDER)
def store_verify(folder: Path) -> None:
    """Check every entry against its digest. Damaged entries are set aside, and computed again when a suite needs them.

    \b
    lthbench store verify runs/digits
    """
    from lthbench.runs.store.maintenance import verify

    whole, damaged = verify(folder)
    click.echo(f"{whole} entries are whole, {len(damaged)} were damaged and are set aside")


@store_.command("clean")
@click.argument("folder", type=RUN_FOLDER)
@click.option("--keep", type=click.Choice(CLEAN_KEEPS), default="masks", show_default=True,
              help="Parts of the networks to keep: none; final masks; masks and kept values.")  # fmt: skip
def store_clean(folder: Path, keep: Keep) -> None:
    """Delete states and, by policy, more. Records stay. Deleted entries are computed again when they are needed.

    \b
    lthbench store clean runs/digits --keep masks
    """
    from lthbench.commands.printing import console
    from lthbench.runs.store.maintenance import clean

    click.echo(f"{console.size(clean(folder, keep))} freed")


@store_.command("merge")
@click.argument("source", type=RUN_FOLDER)
@click.argument("into", type=RUN_FOLDER)
@click.option("--move", "moving", is_flag=True, help="Remove each entry from SOURCE once it is copied.")
def store_merge(source: Path, into: Path, moving: bool) -> None:
    """Copy the entries of SOURCE into the store of run folder INTO, so that no suite there computes them again.

    SOURCE is a run folder, or the folder of several. INTO may be one of these; it is not copied into itself.

    \b
    lthbench store merge other-machine/digits runs/digits
    """
    from lthbench.runs.store.maintenance import merge, move

    copied, damaged = (move if moving else merge)(source, into)
    click.echo(f"{copied} entries copied into {into}, {damaged} damaged ones left out")
