"""What commands have in common: errors as one line, options, tables, JSON."""

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
    """A folder; an empty text, which would stand for the working folder, is refused."""

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

    `renamed`: commands that were renamed, old by new name. The old one answers with the new one.
    """

    def __init__(self, *args: Any, renamed: Mapping[str, str] | None = None, **options: Any):
        super().__init__(*args, **options)
        self.renamed = renamed or {}

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the command line. Text that the terminal's encoding lacks is replaced; a full output is one line."""
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
            click.echo("lthbench: stopped. Type the same command again to go on; what is finished is kept.", err=True)
            ctx.exit(130)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            if args[0] in self.renamed:
                raise click.UsageError(f"{args[0]} is called {self.renamed[args[0]]} now; type that instead")
            raise click.UsageError(unknown("command", args[0], self.commands))
        return super().resolve_command(ctx, args)


def renamed_option(old: str, new: str) -> Callable[[Any], Any]:
    """Answer an option that was renamed with one line that names the new one."""

    def refuse(ctx: click.Context, param: click.Parameter, value: Any) -> None:
        if value is not None:
            raise click.UsageError(f"{old} is called {new} now; type that instead", ctx)

    return click.option(old, hidden=True, expose_value=False, callback=refuse)


def print_rows(rows: Any, headers: list[str], as_json: bool) -> None:
    """Print a table of rows, or a JSON list of objects."""
    from lthbench.commands.printing import console

    rows = [tuple(row) for row in rows]
    if as_json:
        print_json([dict(zip(headers, row, strict=True)) for row in rows])
    elif rows:
        click.echo(console.table(rows, headers))


def print_json(value: Any) -> None:
    """Print a value as JSON. NaN and infinite numbers, which JSON lacks, are null."""
    click.echo(json.dumps(_finite(value), allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _finite(item) for name, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


def _drop_output() -> None:
    """Let what the standard output still holds go nowhere, so that the end of the process does not fail over it."""
    with suppress(OSError, ValueError):  # it is not a file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
