"""The common parts of the commands: errors as one line, options, tables, JSON."""

import json
import math
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from lthbench.errors import LthbenchError, unknown


class Folder(click.Path):
    """A folder. An empty text, which would mean the working folder, is refused."""

    def __init__(self) -> None:
        super().__init__(path_type=Path, file_okay=False)

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        if value == "":
            self.fail("is empty; name a folder", param, ctx)
        return super().convert(value, param, ctx)


FOLDER = Folder()
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
DATA = click.option("--data", type=FOLDER, help="The folder of packed data sets (else $LTHBENCH_DATA, ~/.cache).")


class Commands(click.Group):
    """A group of commands that turns an error of lthbench into one line and exit code 2, and Ctrl-C into 130.

    `renamed`: the new names of renamed commands by old name. An old name answers with the new one.
    """

    def __init__(self, *args: Any, renamed: Mapping[str, str] | None = None, **options: Any):
        super().__init__(*args, **options)
        self.renamed = renamed or {}

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the command line. Characters that the terminal cannot show are replaced. A full disk gives one line."""
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="replace")
        try:
            try:
                return super().main(*args, **options)
            finally:
                sys.stdout.flush()
        except OSError as error:
            _drop_output()
            click.echo(f"lthbench: {' '.join(str(error).split())}", err=True)
            sys.exit(2)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except LthbenchError as error:
            click.echo(f"lthbench: {' '.join(str(error).split())}", err=True)
            ctx.exit(2)
        except KeyboardInterrupt:
            click.echo("lthbench: stopped. Run the same command again to go on; finished work is kept.", err=True)
            ctx.exit(130)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            if args[0] in self.renamed:
                raise click.UsageError(f"{args[0]} is called {self.renamed[args[0]]} now; use that instead")
            raise click.UsageError(unknown("command", args[0], self.commands))
        return super().resolve_command(ctx, args)


def renamed_option(old: str, new: str) -> Callable[[Any], Any]:
    """Return an option that answers the old name of a renamed option with one line that names the new one."""

    def refuse(ctx: click.Context, param: click.Parameter, value: Any) -> None:
        if value is not None:
            raise click.UsageError(f"{old} is called {new} now; use that instead", ctx)

    return click.option(old, hidden=True, expose_value=False, callback=refuse)


def check_apart(given: Mapping[str, Any], *pairs: tuple[str, str]) -> None:
    """Raise a UsageError where two options are given of which one would be ignored. `given`: the options by name."""
    for pair in pairs:
        if all(given[name] for name in pair):
            one, other = (f"--{name.replace('_', '-')}" for name in pair)
            raise click.UsageError(f"{one} and {other} do not go together; leave one of them out")


def print_rows(rows: Any, headers: list[str], as_json: bool) -> None:
    """Print a table of rows, or a JSON list of objects."""
    from lthbench.commands.printing import console

    rows = [tuple(row) for row in rows]
    if as_json:
        print_json([dict(zip(headers, row, strict=True)) for row in rows])
    elif rows:
        click.echo(console.table(rows, headers))


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    click.echo(as_json(value))


def as_json(value: Any) -> str:
    """Return a value as JSON. NaN and infinite numbers, which JSON lacks, are null."""
    return json.dumps(_finite(value), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _finite(item) for name, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


def _drop_output() -> None:
    """Discard the rest of the standard output, so that the process does not fail on it at its end."""
    with suppress(OSError, ValueError):  # standard output is not a file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
