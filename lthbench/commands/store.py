"""Stores of finished work: sizes, check, throw away, bring together."""

from pathlib import Path

import click

from lthbench.commands.shared import FOLDER, JSON, Commands, print_rows


@click.group("store", cls=Commands)
def store_() -> None:
    """Stores of finished work: what they hold, whether it is whole, throw away, bring together.

    All of it is safe while a suite runs on the store.
    """


@store_.command("show")
@click.argument("folder", type=FOLDER, default="runs")
@JSON
def store_show(folder: Path, as_json: bool) -> None:
    """What lies in the stores at or under FOLDER, by suite, build and kind of entry.

    \b
    lthbench store show runs
    """
    from lthbench.commands import console
    from lthbench.runs.store.maintenance import sizes

    rows = [
        (s.run, s.suite, s.build[:8], s.kind, s.entries, s.bytes if as_json else console.size(s.bytes))
        for s in sizes(folder)
    ]
    print_rows(rows, ["folder", "suite", "build", "kind", "entries", "size"], as_json)


@store_.command("verify")
@click.argument("folder", type=FOLDER)
def store_verify(folder: Path) -> None:
    """Read every entry against its digest. Damaged ones are set aside, and computed again when a suite needs them.

    \b
    lthbench store verify runs/digits
    """
    from lthbench.runs.store.maintenance import verify

    whole, damaged = verify(folder)
    click.echo(f"{whole} entries are whole, {len(damaged)} were damaged and are set aside")


@store_.command("prune")
@click.argument("folder", type=FOLDER)
@click.option("--keep", type=click.Choice(["tickets", "finals", "nothing"]), default="tickets", show_default=True,
              help="What stays: masks; kept values too; nothing.")  # fmt: skip
def store_prune(folder: Path, keep: str) -> None:
    """Throw away states and, by policy, more. Records stay; what is thrown away is computed again when it is needed.

    \b
    lthbench store prune runs/digits --keep tickets
    """
    from lthbench.commands import console
    from lthbench.runs.store.maintenance import prune

    click.echo(f"{console.size(prune(folder, keep))} are free again")  # type: ignore[arg-type]


@store_.command("merge")
@click.argument("source", type=FOLDER)
@click.argument("into", type=FOLDER)
@click.option("--move", "moving", is_flag=True, help="The source's store goes, once all of it is copied.")
def store_merge(source: Path, into: Path, moving: bool) -> None:
    """Bring what SOURCE holds into the store of run folder INTO, so that no suite there computes it again.

    \b
    lthbench store merge other-machine/digits runs/digits
    """
    from lthbench.runs.store.maintenance import merge, move

    copied, damaged = (move if moving else merge)(source, into)
    click.echo(f"{copied} entries copied into {into}, {damaged} damaged ones left out")
