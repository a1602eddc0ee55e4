"""The view of `lthbench status`: a table by method, live on a terminal, and the failed runs with the reason."""

import shlex
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from lthbench.runs.driver.run_log import failure
from lthbench.runs.records.run_id import RunId
from lthbench.runs.status.announcement import announced
from lthbench.runs.status.observer import Observer, Snapshot

COLUMNS = ("runs", "to_do", "running", "ok", "diverged", "failed")
HEADERS = ["method", *(name.replace("_", " ") for name in COLUMNS)]
SHOWN = 3  # runs that are named for each kind of failure


def rows(snapshot: Snapshot) -> list[tuple[Any, ...]]:
    """Return a row for each method, under HEADERS."""
    return [(row.method, *(getattr(row, name) for name in COLUMNS)) for row in snapshot.rows]


def pace(snapshot: Snapshot) -> str:
    """Return one line with the epochs and the time they take, or that nothing runs."""
    said = f"{snapshot.computed:.6g} epochs computed, {snapshot.charged:.6g} charged"
    if snapshot.at_work and snapshot.elapsed is not None:
        said += f"; about {snapshot.epochs_per_second:.3g} computed a second; for {_clock(snapshot.elapsed)}"
        return said + (f", about {_clock(snapshot.left)} left" if snapshot.left is not None else "")
    if snapshot.done:
        return said + "; all is done"
    return said + ("" if snapshot.at_work else "; nothing runs here")


def learned(snapshot: Snapshot) -> str:
    """Return one line with the training loss of the run that ended last; "" where no run has a learning curve."""
    if not snapshot.latest or not snapshot.latest[1].losses:
        return ""
    run, ended = snapshot.latest
    first, last = ("not finite" if loss is None else f"{loss:.3g}" for loss in ended.losses or ())
    return f"last run: {run}: training loss {first} in its first epoch, {last} in its last"


def line(snapshot: Snapshot) -> str:
    """Return a snapshot in one line, for output that is not a terminal."""
    counts = ", ".join(f"{snapshot.count(name)} {name.replace('_', ' ')}" for name in COLUMNS[1:])
    return f"{snapshot.count('runs')} runs: {counts}; {pace(snapshot)}"


def watch(observer: Observer, every: float | None) -> Snapshot:
    """Show a folder until all announced runs are done: a live table on a terminal, a line now and then elsewhere.

    Returns the last snapshot. KeyboardInterrupt passes on.
    """
    console = Console()
    if not console.is_terminal:
        for snapshot in _looks(observer, every or 30.0):
            print(line(snapshot), flush=True)
        return snapshot
    with Live(console=console, auto_refresh=False) as live:
        for snapshot in _looks(observer, every or 1.0):
            live.update(_shown(snapshot), refresh=True)
    return snapshot


def _looks(observer: Observer, every: float) -> Iterator[Snapshot]:
    """Yield a snapshot every `every` seconds, until all is done."""
    while True:
        snapshot = observer.look()
        yield snapshot
        if snapshot.done:
            return
        time.sleep(every)


def _shown(snapshot: Snapshot) -> Group:
    table = Table(*HEADERS, box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows(snapshot):
        table.add_row(*(str(cell) if cell else "" for cell in row))
    table.add_row("", *(str(snapshot.count(name)) for name in COLUMNS), style="bold")
    return Group(table, Text(pace(snapshot)), Text(learned(snapshot)))


def failed(observer: Observer) -> dict[RunId, str]:
    """Return where and why each failed run failed, from its log. Without a log, return the reason on its record."""
    there = observer.failed.items()
    return {run: failure(run.log(observer.folder)) or str(ended.reason) for run, ended in there}


def failures(observer: Observer) -> list[str]:
    """Return lines for people: each kind of failure once, with its runs, and the next command."""
    kinds: dict[tuple[str, str], list[RunId]] = {}
    for run, why in failed(observer).items():
        kinds.setdefault((run.method, why), []).append(run)
    lines: list[str] = []
    for (method, why), runs in kinds.items():
        lines += ["", f"{method}, {len(runs)} failed: {why}", *(f"    {run}" for run in runs[:SHOWN])]
        lines += [f"    and {len(runs) - SHOWN} more"] * (len(runs) > SHOWN)
    return [*lines, "", f"lthbench log {observer.folder} --failed", _again(observer)] if lines else []


def as_json(observer: Observer, snapshot: Snapshot) -> dict[str, Any]:
    """Return a snapshot for scripts."""
    return {
        "methods": [dict(zip(("method", *COLUMNS), row, strict=True)) for row in rows(snapshot)],
        "epochs_charged": round(snapshot.charged, 6),
        "epochs_computed": round(snapshot.computed, 6),
        **{what: getattr(snapshot, what) for what in ("at_work", "done", "elapsed", "epochs_per_second", "left")},
        "failed": [asdict(run) | {"why": why} for run, why in failed(observer).items()],
    }


def _again(observer: Observer) -> str:
    """Return the command that repeats the failed runs: the last command with --only-failed."""
    said = announced(observer.folder)
    plain = ("lthbench", "run", observer.suite.name, "--out", str(observer.folder))
    words = said.command if said and said.command else plain
    return shlex.join([*(word for word in words if word != "--only-failed"), "--only-failed"])


def _clock(seconds: float) -> str:
    """Return a duration for people: 12 s, 3:05, 2:03:05."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    if whole < 60:
        return f"{whole} s"
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
