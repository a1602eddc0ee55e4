"""The command `run`."""

import sys
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from lthbench.commands.completion import METHOD, SUITE
from lthbench.commands.shared import DATA, FOLDER, JSON, print_json
from lthbench.runs.store.policy import RUN_KEEPS

if TYPE_CHECKING:
    from lthbench.results import Results
    from lthbench.runs.driver.driver import Driver


class Change(click.ParamType):
    """A key of a suite with its new value, as TOML has it: recipe.epochs=5. A bare word is a text."""

    name = "KEY=VALUE"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, Any]:
        key, equals, text = (part.strip() for part in str(value).partition("="))
        if not (key and equals and text):
            self.fail(f"{value!r} is not KEY=VALUE; an example is recipe.epochs=5", param, ctx)
        try:
            return key, tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            return key, text


def job_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that `plan` and `run` share. The command gets the suite, with its changes."""

    @wraps(command)
    def with_suite(
        suite: str, changes: tuple[tuple[str, Any], ...], seeds: int | None, limit: int | None, **options: Any
    ) -> Any:
        from lthbench.suite import Suite
        from lthbench.suite.trial import trial

        short = [(key, value) for key, value in (("seeds", seeds), ("limit", limit)) if value is not None]
        return command(suite=trial(Suite.read(suite), _each_once([*changes, *short])), **options)

    options = (
        click.argument("suite", type=SUITE),
        click.option("--method", "methods", type=METHOD, multiple=True, metavar="NAME", help="Another method: NAME, "
                     "FILE.py:NAME, with parameters in brackets: weight-rewinding[k=5]. May be given several times."),
        click.option("--only", is_flag=True, help="Run the methods named by --method alone."),
        click.option("--set", "changes", type=Change(), multiple=True, help="A trial: change a key of the suite, such as "
                     "recipe.epochs=5 or sparsities=[0.9]. May be given several times. A trial has a folder of its own."),
        click.option("--seeds", type=click.IntRange(1), help="A trial on this number of seeds: --set seeds=N."),
        click.option("--limit", type=click.IntRange(1), metavar="N",
                     help="A trial on N training images: --set limit=N."),
        DATA,
        click.option("--device", default="", metavar="DEVICE", help="cpu, cuda, … (default: cuda where there is one)."),
    )  # fmt: skip
    wrapped: Callable[..., Any] = with_suite
    for option in reversed(options):
        wrapped = option(wrapped)
    return wrapped


def _each_once(changes: list[tuple[str, Any]]) -> dict[str, Any]:
    counts = Counter(key for key, _ in changes)
    if twice := [key for key, count in counts.items() if count > 1]:
        raise click.UsageError(f"{twice[0]} is changed twice; give it once")
    return dict(changes)


@click.command()
@job_options
@click.option(
    "--out",
    type=FOLDER,
    help="The folder of records and store (default: runs/<suite>; for a trial, "
    "or an edited copy of a published suite, runs/<suite>-<hash>).",
)
@click.option("--executor", type=click.Choice(["serial", "local", "ray"]), default="local", show_default=True)
@click.option("--serial", is_flag=True, help="The same as --executor serial: one process, no threads, for a debugger.")
@click.option("--workers", type=click.IntRange(1), help="Worker processes (default: one a core, or one a GPU).")
@click.option("--address", default="auto", show_default=True, help="The Ray cluster, for --executor ray.")
@click.option("--gpus-per-worker", "gpus", type=click.IntRange(1), default=1, show_default=True,
              help="GPUs that compute the shards of one batch side by side, for recipes with shards.")  # fmt: skip
@click.option("--gpu-share", type=click.FloatRange(0, 1, min_open=True), default=1.0, show_default=True,
              help="Share of a GPU that one worker takes, for --executor ray.")  # fmt: skip
@click.option(
    "--lanes",
    type=click.IntRange(1),
    help="Trainings at once in a worker (default: one on a CPU, as many as its memory holds on a GPU).",
)
@click.option("--keep", type=click.Choice(RUN_KEEPS), default="masks", show_default=True,
              help="Parts of the networks to keep: final masks; masks and kept values; every state.")  # fmt: skip
@click.option("--only-failed", is_flag=True, help="Repeat the runs of the folder that failed, and nothing else.")
@click.option("--tensorboard", is_flag=True, help="Write event files for TensorBoard to the folder's tensorboard/.")
@JSON
def run(serial: bool, executor: str, tensorboard: bool, as_json: bool, **options: Any) -> None:
    """Run a suite, and print the first table of its board. Finished work is never computed again; run the same command
    to go on after a stop.

    \b
    lthbench run suites/digits.toml
    lthbench run smoke --method my_method.py:mine --only
    lthbench run mnist --set recipe.epochs=5 --seeds 3 --limit 1000
    lthbench run smoke --only-failed
    """
    from lthbench.commands.printing import console
    from lthbench.running import run_suite

    show = Show(tensorboard, as_json)
    results = run_suite(executor="serial" if serial else executor, watched=show.watched, **options)
    driver = show.driver
    failed = sum(record.result.status == "failed" for record in driver.records)
    if as_json:
        print_json(console.summary(driver))
    elif driver.partial and not driver.plan.runs:
        click.echo(f"no run of these methods in {driver.out} has failed: nothing to repeat")
    else:
        for line in console.failures(driver.records):
            click.echo(line, err=True)
        click.echo(_first_table(driver, results))
        click.echo(console.done(driver))
    sys.exit(1 if failed else 0)


def _first_table(driver: "Driver", results: "Results") -> str:
    """Return the first section of the board: what the user ran last against the suite's reference."""
    from lthbench.board.analysis import Analysis
    from lthbench.board.build import first_section
    from lthbench.runs.status.announcement import named

    analysis = Analysis(driver.suite, results, named(driver.out))
    return "" if analysis.frame.empty else f"{first_section(analysis)}\n"


class Show:
    """The display of a running suite, on the terminal and in TensorBoard."""

    driver: "Driver"

    def __init__(self, tensorboard: bool, quiet: bool):
        self.tensorboard, self.quiet = tensorboard, quiet

    @contextmanager
    def watched(self, driver: "Driver") -> Iterator[Any]:
        """Open both displays, and yield a function that shows a record on them."""
        from lthbench.board.export.tensorboard import writing
        from lthbench.commands.printing import console

        self.driver = driver
        watch = console.Watch(len(driver.plan.runs), driver.counts)
        with (
            writing(driver.out, driver.suite, self.tensorboard) as event,
            console.watching(watch, self.quiet) as on_record,
        ):
            yield lambda record: (on_record(record), event(record))
            for record in driver.records:
                event(record)
