"""Console output: live progress on a terminal, plain lines elsewhere; tables; sizes."""

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from tabulate import tabulate

from lthbench.runs.driver.broker import Counts
from lthbench.runs.driver.driver import Driver
from lthbench.runs.records.record import Record

INTERVAL = 30.0  # seconds between two plain lines


def table(rows: Iterable[Sequence[Any]], headers: Sequence[str]) -> str:
    """Return a plain table."""
    return tabulate(list(rows), headers, tablefmt="simple", floatfmt=".5g")


def size(count: int) -> str:
    """Return a number of bytes in words for people."""
    number, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while number >= 1000 and len(units) > 1:
        number, units = number / 1000, units[1:]
    return f"{number:.3g} {units[0]}"


class Watch:
    """The progress of a suite: runs done, operations computed, runs that failed."""

    def __init__(self, runs: int, counts: Counts):
        self.runs, self.counts = runs, counts
        self.done = self.failed = 0
        self.started = self._said = time.monotonic()

    def add(self, record: Record) -> None:
        self.done += 1
        self.failed += record.result.status == "failed"

    @property
    def line(self) -> str:
        failed = f", {self.failed} failed" if self.failed else ""
        return f"{self.counts.operations} operations, {self.counts.epochs:.0f} epochs computed{failed}"


@contextmanager
def watching(watch: Watch, quiet: bool = False) -> Iterator[Any]:
    """Yield a function to call with every record. It moves a live bar on a terminal, and prints some lines elsewhere."""
    if quiet or not sys.stderr.isatty():
        yield lambda record: _plain(watch, record, quiet)
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("runs"))
    times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(), TextColumn("[dim]{task.fields[line]}"))
    with Progress(*columns, *times, console=Console(stderr=True), refresh_per_second=4) as progress:
        task = progress.add_task("running", total=watch.runs, line="")

        def on_record(record: Record) -> None:
            watch.add(record)
            progress.update(task, advance=1, line=watch.line)

        yield on_record


def _plain(watch: Watch, record: Record, quiet: bool) -> None:
    watch.add(record)
    now = time.monotonic()
    if not quiet and (now - watch._said > INTERVAL or watch.done == watch.runs):
        watch._said = now
        print(
            f"{watch.done} of {watch.runs} runs, {watch.line}, {now - watch.started:.0f} s", file=sys.stderr, flush=True
        )


def failures(records: Iterable[Record]) -> list[str]:
    """Return a line for every kind of failure: the method, the number of runs, the reason."""
    found: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        if record.result.status != "ok":
            found.setdefault((record.result.method, str(record.result.reason)), []).append(record)
    return [f"{method}: {len(rows)} runs {rows[0].result.status}: {why}" for (method, why), rows in found.items()]


def summary(driver: Driver) -> dict[str, Any]:
    """Return the counts of a driver: runs, operations, epochs."""
    statuses = [record.result.status for record in driver.records]
    charged = sum(sum(record.result.charged.values()) / record.result.epoch for record in driver.records)
    return {
        "out": str(driver.out),
        "runs": len(statuses),
        "failed": statuses.count("failed"),
        "diverged": statuses.count("diverged"),
        "operations_computed": driver.counts.operations,
        "epochs_charged": round(charged, 6),
        "epochs_computed": round(driver.counts.epochs, 6),
    }


def done(driver: Driver) -> str:
    """Return one line with the counts of a driver and the next command."""
    counts = summary(driver)
    epochs = f"{counts['epochs_charged']:g} epochs charged, {counts['epochs_computed']:g} computed now"
    return f"{counts['runs']} runs in {driver.out}: {epochs}.  Next: lthbench board {driver.out}"
