"""The commands `status` and `log`: the progress of a run folder, and the logs of its runs."""

from pathlib import Path
from typing import Any

import click

from lthbench.commands.completion import RUN_FOLDER
from lthbench.commands.shared import JSON, check_apart, print_json, print_rows, renamed_option


@click.command()
@click.argument("folder", type=RUN_FOLDER)
@click.option("--watch", "watching", is_flag=True, help="Look again and again until all is done, or Ctrl-C.")
@click.option("--every", type=click.FloatRange(0.1), metavar="SECONDS",
              help="Time between two looks (default: 1 on a terminal, else 30).")  # fmt: skip
@JSON
def status(folder: Path, watching: bool, every: float | None, as_json: bool) -> None:
    """Show the progress of a run folder by method: runs to do, running, ok, diverged and failed, with the failures.

    The time left is an estimate from the epochs charged so far.

    \b
    lthbench status runs/digits
    lthbench status runs/digits --watch
    """
    from lthbench.commands.printing import status_view
    from lthbench.runs.status.observer import Observer

    check_apart({"watch": watching, "json": as_json}, ("watch", "json"))
    observer = Observer(folder)
    if watching:
        status_view.watch(observer, every)
    else:
        snapshot = observer.look()
        if as_json:
            print_json(status_view.as_json(observer, snapshot))
            return
        print_rows(status_view.rows(snapshot), status_view.HEADERS, False)
        click.echo(f"\n{status_view.pace(snapshot)}")
        if learned := status_view.learned(snapshot):
            click.echo(learned)
    for line in status_view.failures(observer):
        click.echo(line)


@click.command()
@click.argument("folder", type=RUN_FOLDER)
@click.option("--method", metavar="NAME", help="Runs of this method, with its parameters: weight-rewinding[k=5].")
@click.option("--workload", metavar="NAME", help="Runs on this workload: MODEL/DATASET.")
@click.option("--learning-rate", type=float, help="Runs at this learning rate.")
@renamed_option("--rate", "--learning-rate")
@click.option("--sparsity", type=float, help="Runs at this sparsity.")
@click.option("--seed", type=int, help="Runs with this seed.")
@click.option("--failed", is_flag=True, help="Runs whose record says failed.")
def log(folder: Path, failed: bool, **where: Any) -> None:
    """Print the logs of runs: the operations of each run, how each of them was done, and how the run ended.

    Each line starts with the time (UTC) and the event. An operation was computed (epochs, seconds in the worker, and seconds
    with waiting), found in the store, or waited for while another run had it computed. With --failed, runs that failed in
    the same way are shown once, with the names of the others.

    \b
    lthbench log runs/digits --failed
    lthbench log runs/digits --method lottery-ticket --seed 0
    """
    from lthbench.runs.status.logs import alike, logs

    paths = logs(folder, failed, **where)
    for first, *others in alike(paths) if failed else ([path] for path in paths):
        click.echo(f"{first}\n{first.read_text(errors='replace')}")
        if others:
            click.echo(
                "\n".join([f"{len(others)} more failed in the same way:", *(f"    {path}" for path in others), ""])
            )
