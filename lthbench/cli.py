"""The command line: one function a command."""

import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from lthbench import __version__
from lthbench.errors import LthbenchError, unknown

_FOLDER = click.Path(path_type=Path, file_okay=False)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")


class Commands(click.Group):
    """Turns what lthbench says no to into one line and exit code 2, and Ctrl-C into 130."""

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
            raise click.UsageError(unknown("command", args[0], self.commands))
        return super().resolve_command(ctx, args)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__)
def main() -> None:
    """A benchmark for neural-network pruning under equal epoch budgets.

    \b
    lthbench run suites/digits.toml      run a suite (two to three minutes on two cores)
    lthbench board runs/digits           build its board
    """
    logging.basicConfig(level=logging.WARNING, format="lthbench: %(message)s", stream=sys.stderr)


def job_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What `plan` and `run` have in common."""
    options = (
        click.argument("suite"),
        click.option("--method", "methods", multiple=True, metavar="NAME", help="Another method: NAME, FILE.py:NAME, "
                     "parameters behind it in brackets: imp[rate=0.2]. May be given several times."),
        click.option("--only", is_flag=True, help="Run the methods named by --method alone."),
        click.option("--data", type=_FOLDER, help="The folder of packed data sets (else $LTHBENCH_DATA, ~/.cache)."),
        click.option("--device", default="", metavar="DEVICE", help="cpu, cuda, … (default: cuda where there is one)."),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@main.command("list")
@click.argument("what", type=click.Choice(["methods", "suites", "models", "data"]), default="methods")
@_JSON
def list_(what: str, as_json: bool) -> None:
    """What there is: methods, suites, models or data sets.

    \b
    lthbench list methods
    """
    from lthbench import listing

    rows, headers = listing.LISTS[what]()
    _print(rows, headers, as_json)


@main.command()
@job_options
@_JSON
def plan(suite: str, as_json: bool, **options: Any) -> None:
    """Say what a suite will do, before any work: runs, operations, sharing, epochs, disk.

    \b
    lthbench plan suites/digits.toml
    """
    from lthbench.listing import plan_rows

    rows, headers, summary = plan_rows(_job(suite, **options))
    if as_json:
        click.echo(json.dumps(summary | {"methods": [dict(zip(headers, row, strict=True)) for row in rows]}))
        return
    _print(rows, headers, False)
    for name, value in summary.items():
        click.echo(f"{name.replace('_', ' '):>20}  {value}")


@main.command()
@job_options
@click.option("--out", type=_FOLDER, help="Where records and store go (default: runs/<suite>).")
@click.option("--executor", type=click.Choice(["serial", "local"]), default="local", show_default=True)
@click.option("--serial", is_flag=True, help="The same as --executor serial: one process, no threads, for a debugger.")
@click.option("--workers", type=click.IntRange(1), help="Worker processes (default: one a core, or one a GPU).")
@click.option("--keep", type=click.Choice(["masks", "finals", "all"]), default="masks", show_default=True,
              help="What stays of the networks: final masks; with kept values; every state.")  # fmt: skip
@_JSON
def run(
    suite: str,
    out: Path | None,
    executor: str,
    serial: bool,
    workers: int | None,
    keep: str,
    as_json: bool,
    **options: Any,
) -> None:
    """Run a suite. What is finished is never computed again; type the same command to go on after a stop.

    \b
    lthbench run suites/digits.toml
    lthbench run smoke --method my_method.py:mine --only
    """
    from lthbench import console
    from lthbench.runs.driver import default_workers

    job = _job(suite, **options)
    out = out or Path("runs") / job.suite.name
    driver = job.driver(
        out, executor="serial" if serial else executor, workers=workers or default_workers(job.device), keep=keep
    )
    watch = console.Watch(len(job.plan.runs), driver.counts)
    with console.watching(watch, quiet=as_json) as on_record:
        driver.run(on_record)
    failed = [r for r in driver.records if r.result.status == "failed"]
    summary = {
        "out": str(out),
        "runs": len(driver.records),
        "failed": len(failed),
        "diverged": sum(r.result.status == "diverged" for r in driver.records),
        "operations_computed": driver.counts.operations,
        "epochs_charged": round(sum(sum(r.result.charged.values()) / r.result.epoch for r in driver.records), 6),
        "epochs_computed": round(driver.counts.epochs, 6),
    }
    if as_json:
        click.echo(json.dumps(summary))
    else:
        for line in console.failures(driver.records):
            click.echo(line, err=True)
        click.echo(
            f"{summary['runs']} runs in {out}: {summary['epochs_charged']:g} epochs charged, "
            f"{summary['epochs_computed']:g} computed now.  Next: lthbench board {out}"
        )
    sys.exit(1 if failed else 0)


@main.command()
@click.argument("folder", type=_FOLDER)
@_JSON
def status(folder: Path, as_json: bool) -> None:
    """How far a run folder is: runs done, failed and missing, by method.

    \b
    lthbench status runs/digits
    """
    from lthbench.listing import status_rows

    _print(*status_rows(folder), as_json)


@main.command()
@click.argument("folder", type=_FOLDER)
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@_JSON
def score(folder: Path, as_csv: bool, as_json: bool) -> None:
    """n, mean, deviation and 95 % interval of every method in every cell.

    \b
    lthbench score runs/digits
    """
    from lthbench.board.scores import scores
    from lthbench.runs import records

    table = scores(records.frame(records.in_folder(folder)))
    if as_csv:
        click.echo(table.to_csv(index=False), nl=False)
    else:
        _print(table.itertuples(index=False), list(table.columns), as_json)


@main.command()
@click.argument("folder", type=_FOLDER, default="leaderboard")
def board(folder: Path) -> None:
    """Build the tables of a run folder (into FOLDER/board), or those of the published leaderboard.

    \b
    lthbench board runs/digits
    """
    from lthbench.board.build import build

    page, words = build(folder)
    click.echo(words)
    click.echo(f"\nThe board lies in {page}")


@main.command()
@click.argument("name")
@click.option("--folder", type=_FOLDER, default=".", help="Where the file goes.")
def new(name: str, folder: Path) -> None:
    """Write a method file to start from.

    \b
    lthbench new my-method
    """
    from lthbench.submission.scaffold import scaffold

    path = scaffold(name, folder)
    click.echo(f"wrote {path}.  Next: lthbench check {path}")


@main.command()
@click.argument("method")
@click.option("--data", type=_FOLDER, help="The folder of packed data sets.")
@_JSON
def check(method: str, data: Path | None, as_json: bool) -> None:
    """Run the battery on a method: budget, sparsity, cost, determinism, behaviour at sparsity 0.

    \b
    lthbench check my_method.py
    """
    from lthbench.submission.check import check as battery

    findings = battery(method, data)
    _print([(f.check, "passed" if f.passed else "FAILED", f.found) for f in findings], ["check", "", "found"], as_json)
    sys.exit(0 if all(f.passed for f in findings) else 1)


@main.group("data", cls=Commands)
def data_() -> None:
    """Data sets: what is ready, download, pack a folder of images, remove.

    A workload may also name a folder of images as it is: dataset = "imagefolder:PATH".
    """


_DATA = click.option("--data", "folder", type=_FOLDER, help="The folder of packed data sets (else $LTHBENCH_DATA, "
                     "~/.cache).")  # fmt: skip


@data_.command("list")
@_DATA
@_JSON
def data_list(folder: Path | None, as_json: bool) -> None:
    """What is packed, with shape, classes, sizes and disk, and what to type for the rest.

    \b
    lthbench data list
    """
    from lthbench import listing

    _print(*listing.data(folder), as_json)


@data_.command("get")
@click.argument("name")
@_DATA
def data_get(name: str, folder: Path | None) -> None:
    """Download a data set with torchvision, check it, and pack it. What is there already is kept.

    \b
    lthbench data get cifar10
    """
    from lthbench.data import DataHome, default_folder, prepare
    from lthbench.data.published import PUBLISHED, get

    folder = folder or default_folder()
    _packed(folder, get(folder, name) if name in PUBLISHED else prepare(DataHome(folder), name))


@data_.command("add")
@click.argument("name")
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--size", type=click.IntRange(1), metavar="N", help="Resize the shorter side to N pixels, crop the centre."
)
@click.option("--skip-corrupt", is_flag=True, help="Leave corrupt images out, and say how many.")
@_DATA
def data_add(name: str, path: Path, size: int | None, skip_corrupt: bool, folder: Path | None) -> None:
    """Pack a folder of images: train/<class>/*.jpg|png with test/ or val/, ImageNet, Tiny-ImageNet as published.

    \b
    lthbench data add cifar10-jpeg ~/images/cifar10-jpeg
    lthbench data add tiny-imagenet ~/images/tiny-imagenet-200
    """
    from lthbench.data import default_folder
    from lthbench.data.add import add

    folder = folder or default_folder()
    _packed(folder, add(folder, name, path, size, skip_corrupt, _counted))


@data_.command("remove")
@click.argument("name")
@click.option("--raw", is_flag=True, help="Remove what was downloaded for it, too.")
@_DATA
def data_remove(name: str, raw: bool, folder: Path | None) -> None:
    """Remove a packed data set. The images that it was packed from stay.

    \b
    lthbench data remove cifar10-jpeg
    """
    from lthbench.console import size
    from lthbench.data import default_folder
    from lthbench.data.overview import remove

    freed = remove(folder or default_folder(), name, raw)
    click.echo(f"removed {name}: {size(freed)} are free again")


def _packed(folder: Path, manifest: Any) -> None:
    """Say that a data set is ready, and what was left out of it."""
    channels, height, width = manifest.shape
    sizes = " and ".join(f"{count:,} {split}" for split, count in manifest.sizes.items())
    click.echo(f"{manifest.name} is ready in {folder / manifest.name}: {sizes} images of {height}x{width}x{channels}, "
               f"{manifest.classes} classes")  # fmt: skip
    if manifest.skipped:
        click.echo(f"{manifest.skipped} corrupt images are left out")


def _counted(done: int, of: int) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r{done:,} of {of:,} images", nl=done == of, err=True)


def _job(suite: str, methods: tuple[str, ...], only: bool, data: Path | None, device: str) -> Any:
    from lthbench.runs.job import Job
    from lthbench.suite import Suite

    return Job.make(Suite.read(suite), methods, data, only, device)


def _print(rows: Any, headers: list[str], as_json: bool) -> None:
    from lthbench import console

    rows = [tuple(row) for row in rows]
    if as_json:
        click.echo(json.dumps([dict(zip(headers, row, strict=True)) for row in rows]))
    elif rows:
        click.echo(console.table(rows, headers))


if __name__ == "__main__":
    main()
