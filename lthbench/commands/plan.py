"""The command `plan`."""

import re
from itertools import chain
from typing import TYPE_CHECKING, Any

import click

from lthbench.commands.shared import JSON, print_json, print_rows
from lthbench.commands.suites import job_options

if TYPE_CHECKING:
    from lthbench.bench.forecast import Forecast
    from lthbench.suite import Suite


NUMBER = r"(\d+\.?\d*|\.\d+)"


class Joins(click.ParamType):
    """N devices that join after some hours: 4@2.5."""

    name = "N@HOURS"

    def convert(self, value: Any, param: Any, ctx: Any) -> list[float]:
        found = re.fullmatch(rf"(\d{{1,4}})@{NUMBER}", value)
        if not found:
            self.fail(f"{value!r} is not N@HOURS; an example is 4@2.5", param, ctx)
        return [3600 * float(found[2])] * int(found[1])


class Stragglers(click.ParamType):
    """A share of the devices, and the factor by which they are slower: 0.1x3."""

    name = "SHARExFACTOR"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[float, float]:
        found = re.fullmatch(f"{NUMBER}x{NUMBER}", value)
        if not found:
            self.fail(f"{value!r} is not SHARExFACTOR; an example is 0.1x3", param, ctx)
        share, factor = float(found[1]), float(found[2])
        if share > 1 or factor < 1:
            said = "the share of devices must be in 0…1, the factor at least 1"
            self.fail(f"{value!r} is not SHARExFACTOR: {said}", param, ctx)
        return share, factor


def fleet_options(command: Any) -> Any:
    """Add the options of the simulated fleet of devices."""
    options = (
        click.option("--gpus", type=click.IntRange(1), default=1, show_default=True,
                     help="Devices that share the work."),
        click.option("--joins", type=Joins(), multiple=True, metavar="N@HOURS",
                     help="N more devices join after HOURS. May be given several times."),
        click.option("--stragglers", type=Stragglers(), metavar="SHARExFACTOR",
                     help="A share of the devices takes FACTOR times as long."),
        click.option("--failures", type=click.FloatRange(0, 1e6), default=0.0, metavar="RATE",
                     help="Operations that fail in an hour of work; they are tried again."),
        click.option("--seed", type=int, default=0, show_default=True, help="Seed of the simulation."),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@job_options
@fleet_options
@click.option("--deadline", type=click.FloatRange(0, min_open=True), metavar="HOURS",
              help="Print the number of devices that finish within this time.")  # fmt: skip
@click.option(
    "--simulate", is_flag=True, help="Print a table for 1, 2, 4, … devices, and the number that the suite can use."
)
@click.option(
    "--price-per-hour", "price", type=click.FloatRange(0), metavar="P", help="Price of one device; print the cost."
)
@JSON
def plan(
    suite: "Suite",
    gpus: int,
    joins: tuple[list[float], ...],
    stragglers: tuple[float, float] | None,
    failures: float,
    seed: int,
    deadline: float | None,
    simulate: bool,
    price: float | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Print the plan of a suite before any work: runs, operations, sharing, epochs, disk, hours, money.

    Hours come from the measurements of lthbench speed on this machine, and from a simulation of the schedule. lthbench
    speed measures plain training; rules and bases take longer.

    \b
    lthbench plan suites/digits.toml
    lthbench plan mnist --set recipe.epochs=5 --seeds 3 --limit 1000
    lthbench plan cifar10 --gpus 8 --price-per-hour 2.5
    lthbench plan cifar10 --deadline 24
    lthbench plan cifar10 --simulate --stragglers 0.1x3 --failures 0.01
    """
    from lthbench.bench.forecast import Forecast
    from lthbench.bench.simulation import Fleet
    from lthbench.commands.printing import listing
    from lthbench.runs.driver.driver import LIVE
    from lthbench.runs.driver.job import Job

    job = Job.make(suite, planning=True, **options)
    estimates = listing.estimates(job)
    slow, factor = stragglers or (0.0, 1.0)
    fleet = Fleet(gpus, 1, tuple(chain(*joins)), slow, factor, failures, seed)
    forecast = Forecast.made(job.outline, estimates, fleet)
    rows, headers, summary = listing.plan_rows(job)
    tables = {
        "methods": (rows, headers),
        "disk": listing.disk_rows(job, LIVE * (forecast.fleet if forecast else fleet).most),
        "parameters": listing.parameter_rows(job),
        "workloads": listing.hours_rows(estimates),
    }
    summary |= _times(forecast, gpus, price, deadline)
    if simulate and forecast:
        tables["schedule"] = forecast.table, ["devices", "hours", "utilisation"]
        summary["devices_it_can_use"] = forecast.usable
    _show(summary, tables, as_json)
    if simulate and not as_json:
        click.echo(f"\n{_advice(forecast)}")


def _times(forecast: "Forecast | None", gpus: int, price: float | None, deadline: float | None) -> dict[str, Any]:
    """Return hours and money on `gpus` devices, and the devices for a deadline; None where hours are not known."""
    hours = forecast and forecast.hours(gpus)
    times: dict[str, Any] = {"hours": hours and round(hours, 3)}
    times["utilisation"] = forecast and round(forecast.schedule(gpus).utilisation, 3)
    if price is not None:
        times["price"] = forecast and round(forecast.device_hours(gpus) * price, 2)
    if deadline is not None:
        times["devices_for_the_deadline"] = forecast and (forecast.needed(deadline) or _never(forecast))
    return times


def _never(forecast: "Forecast") -> str:
    return f"no number of them: the longest run alone takes {forecast.graph.critical_path / 3600:.3g} hours"


def _advice(forecast: "Forecast | None") -> str:
    """Return sentences with the number of devices that the suite can use."""
    if forecast is None:
        return "The time of an epoch is not known: run the commands beside the workloads, then run this command again."
    least = "at least " if forecast.scale > 1 else ""
    count = forecast.usable
    said = f"This suite can use {least}{count} device{'s' * (count > 1)} of {forecast.fleet.slots} trainings at once."
    if forecast.scale > 1:
        said += (
            f" (Simulated on {forecast.graph.seeds} of its seeds; hours, at most, are {forecast.scale:g} times those.)"
        )
    return said


def _show(summary: dict[str, Any], tables: dict[str, tuple[Any, list[str]]], as_json: bool) -> None:
    if as_json:
        listed = {what: [dict(zip(names, row, strict=True)) for row in them] for what, (them, names) in tables.items()}
        print_json(summary | listed)
        return
    for rows, headers in tables.values():
        print_rows(rows, headers, False)
        click.echo()
    for name, value in summary.items():
        click.echo(f"{name.replace('_', ' '):>24}  {'unknown' if value is None else value}")
