"""Suites: plan, run."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from lthbench.commands.shared import DATA, FOLDER, JSON


def job_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What `plan` and `run` have in common."""
    options = (
        click.argument("suite"),
        click.option("--method", "methods", multiple=True, metavar="NAME", help="Another method: NAME, FILE.py:NAME, "
                     "parameters behind it in brackets: imp[rate=0.2]. May be given several times."),
        click.option("--only", is_flag=True, help="Run the methods named by --method alone."),
        DATA,
        click.option("--device", default="", metavar="DEVICE", help="cpu, cuda, … (default: cuda where there is one)."),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@job_options
@click.option("--out", type=FOLDER, help="Where records and store go (default: runs/<suite>).")
@click.option("--executor", type=click.Choice(["serial", "local", "ray"]), default="local", show_default=True)
@click.option("--serial", is_flag=True, help="The same as --executor serial: one process, no threads, for a debugger.")
@click.option("--workers", type=click.IntRange(1), help="Worker processes (default: one a core, or one a GPU).")
@click.option("--address", default="auto", show_default=True, help="The Ray cluster, for --executor ray.")
@click.option("--gpus-per-worker", "gpus", type=click.IntRange(1), default=1, show_default=True,
              help="GPUs that take the shards of one batch side by side, for recipes with shards.")  # fmt: skip
@click.option("--gpu-share", type=click.FloatRange(0, 1, min_open=True), default=1.0, show_default=True,
              help="Of a GPU, for one worker, for --executor ray.")  # fmt: skip
@click.option(
    "--lanes",
    type=click.IntRange(1),
    help="Trainings at once in a worker (default: one on a CPU, as many as its memory holds on a GPU).",
)
@click.option("--keep", type=click.Choice(["masks", "finals", "all"]), default="masks", show_default=True,
              help="What stays of the networks: final masks; with kept values; every state.")  # fmt: skip
@click.option("--only-failed", is_flag=True, help="Repeat the runs of the folder that failed, and nothing else.")
@click.option("--tensorboard", is_flag=True, help="Write event files for TensorBoard to the folder's tensorboard/.")
@JSON
def run(
    suite: str,
    out: Path | None,
    executor: str,
    serial: bool,
    workers: int | None,
    address: str,
    gpus: int,
    gpu_share: float,
    lanes: int | None,
    keep: str,
    only_failed: bool,
    tensorboard: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Run a suite. What is finished is never computed again; type the same command to go on after a stop.

    \b
    lthbench run suites/digits.toml
    lthbench run smoke --method my_method.py:mine --only
    lthbench run smoke --only-failed
    """
    from lthbench.board.tensorboard import writing
    from lthbench.commands import console
    from lthbench.runs.driver.driver import default_workers

    job = _job(suite, **options)
    out = out or Path("runs") / job.suite.name
    part = job.failed(out) if only_failed else None
    if part and not part.runs and not as_json:
        click.echo(f"no run of these methods in {out} has failed: nothing to repeat")
        return
    driver = job.driver(
        out,
        part,
        ("lthbench", *sys.argv[1:]),
        executor="serial" if serial else executor,
        workers=workers or default_workers(job.device, gpus),
        address=address,
        gpus=gpus,
        gpu_share=gpu_share,
        lanes=lanes,
        keep=keep,
    )
    watch = console.Watch(len(driver.plan.runs), driver.counts)
    with writing(out, job.suite, tensorboard) as event, console.watching(watch, quiet=as_json) as on_record:
        driver.run(lambda record: (on_record(record), event(record)))
        for record in driver.records:
            event(record)
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


def _job(suite: str, methods: tuple[str, ...], only: bool, data: Path | None, device: str) -> Any:
    from lthbench.runs.driver.job import Job
    from lthbench.suite import Suite

    return Job.make(Suite.read(suite), methods, data, only, device)
