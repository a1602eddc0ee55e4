"""The format in which a command prints its tables: one option, which has a flag for each format."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from lthbench.errors import InputError

FORMATS = {
    "json": "As JSON, for scripts.",
    "csv": "As CSV.",
    "markdown": "As Markdown tables.",
    "latex": "As LaTeX tables; the first line names their packages.",
    "parquet": "As Parquet; it needs --out.",
}
OUT = click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write to a file instead of printing.",
)


class Printing(click.Command):
    """A command with `formats`. A file name behind a format, where it was written once, is answered with --out."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            form = ctx.params.get("form")
            if not (form and "unexpected extra argument" in error.message):
                raise
            raise click.UsageError(f"{error.message}; the file of --{form} is named with --out", ctx) from None


def formats(*names: str) -> Callable[[Any], Any]:
    """Return a decorator that adds a flag for each of these formats. The command receives the one that is given as `form`."""

    def add(command: Any) -> Any:
        for name in reversed(names):
            flag = click.option(f"--{name}", is_flag=True, expose_value=False, callback=_choose, help=FORMATS[name])
            command = flag(command)
        return command

    return add


def _choose(ctx: click.Context, param: click.Parameter, given: bool) -> None:
    """Make a flag that is given the format of the command. A second one is a mistake."""
    if given and (other := ctx.params.get("form")):
        raise click.UsageError(f"--{other} and --{param.name} are two formats; choose one", ctx)
    if given:
        ctx.params["form"] = param.name


def check_output(form: str, out: Path | None) -> None:
    """Raise InputError for a binary format without a file."""
    if form == "parquet" and not out:
        raise InputError("--parquet writes a binary file; give it a name: --parquet --out scores.parquet")


def give(content: str | bytes, out: Path | None) -> None:
    """Write a text or bytes to a file; without a file, print the text."""
    from lthbench.runs.store.files import write_whole

    content = content.encode() if isinstance(content, str) else content
    if out:
        write_whole(out, content)
    else:
        click.echo(content.decode(), nl=not content.endswith(b"\n"))
