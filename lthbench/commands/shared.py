"""What commands have in common: errors as one line, options, tables."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from lthbench.errors import LthbenchError, unknown

FOLDER = click.Path(path_type=Path, file_okay=False)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
DATA = click.option("--data", type=FOLDER, help="The folder of packed data sets (else $LTHBENCH_DATA, ~/.cache).")


class Commands(click.Group):
    """Turns an error of lthbench into one line and exit code 2, and Ctrl-C into 130.

    `renamed`: commands that were renamed, old by new name; the old one answers with the new one.
    """

    def __init__(self, *args: Any, renamed: Mapping[str, str] | None = None, **options: Any):
        super().__init__(*args, **options)
        self.renamed = renamed or {}

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except LthbenchError as error:
            click.echo(f"lthbench: {error}", err=True)
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
    """A table of rows, or a JSON list of objects."""
    from lthbench.commands.printing import console

    rows = [tuple(row) for row in rows]
    if as_json:
        click.echo(json.dumps([dict(zip(headers, row, strict=True)) for row in rows]))
    elif rows:
        click.echo(console.table(rows, headers))
