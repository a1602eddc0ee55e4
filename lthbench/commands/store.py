"""The commands `store …`: sizes, verification, throwing away, bringing together."""

from pathlib import Path

import click

from lthbench.commands.completion import RUN_FOLDER
from lthbench.commands.shared import JSON, Commands, print_rows


@click.group("store", cls=Commands, renamed={"prune": "clean"})
def store_() -> None:
    """Stores of finished work: what they hold, whether it is whole, throw away, bring together.

    All of it is safe while a suite runs on the store.
    """


@store_.command("show")
@click.argument("folder", type=RUN_FOLDER, default="runs")
@JSON
def store_show(folder: Path, as_json: bool) -> None:
    """Show what lies in the stores at or under FOLDER, by suite, environment and kind of entry.

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
    """Read every entry against its digest. Damaged ones are set aside, and computed again when a suite needs them.

    \b
    lthbench store verify runs/digits
    """
    from lthbench.runs.store.maintenance import verify

    whole, damaged = verify(folder)
    click.echo(f"{whole} entries are whole, {len(damaged)} were damaged and are set aside")


@store_.command("clean")
@click.argument("folder", type=RUN_FOLDER)
@click.option("--keep", type=click.Choice(["nothing", "masks", "finals"]), default="masks", show_default=True,
              help="What stays of the networks: nothing; final masks; masks and kept values.")  # fmt: skip
def store_clean(folder: Path, keep: str) -> None:
    """Throw away states and, by policy, more. Records stay; what is thrown away is computed again when it is needed.

    \b
    lthbench store clean runs/digits --keep masks
    """
    from lthbench.commands.printing import console
    from lthbench.runs.store.maintenance import clean

    click.echo(f"{console.size(clean(folder, keep))} are free again")  # type: ignore[arg-type]


@store_.command("merge")
@click.argument("source", type=RUN_FOLDER)
@click.argument("into", type=RUN_FOLDER)
@click.option("--move", "moving", is_flag=True, help="Remove each entry from SOURCE once it is copied.")
def store_merge(source: Path, into: Path, moving: bool) -> None:
    """Copy what SOURCE holds into the store of run folder INTO, so that no suite there computes it again.

    SOURCE is a run folder, or the folder of several. INTO may be one of these; it is left alone.

    \b
    lthbench store merge other-machine/digits runs/digits
    """
    from lthbench.runs.store.maintenance import merge, move

    copied, damaged = (move if moving else merge)(source, into)
    click.echo(f"{copied} entries copied into {into}, {damaged} damaged ones left out")
