"""The log of a run: its operations, how each of them was done, and how the run ended.

Each run has a text file in the `logs/` of a run folder, in a folder for its method. The lock on a run then keeps two drivers
from writing one file, also where a shared folder has no atomic append. A run that goes on, or is repeated, appends.
"""

import logging
import os
import platform
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lthbench.runs.driver.broker import Work
from lthbench.runs.records.run_id import RunId
from lthbench.training.trajectory import Trajectory

log = logging.getLogger(__name__)


@dataclass
class Asked:
    """A running operation, and the work that it took."""

    what: str
    work: Work = field(default_factory=Work)


@dataclass
class RunLog:
    """A log with one line for each event: UTC time, event, details. Without a path nothing is written."""

    path: Path | None = None
    at: str = "before any operation"  # position of the run
    _count: int = 0
    _stands: dict[str, int] = field(default_factory=dict)  # step by trajectory

    def started(self, run: RunId) -> None:
        """Note that the run starts, or goes on after its driver was lost."""
        try:
            if self.path:
                self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._give_up(error)
        self._write("started", f"{run}; {platform.node()}, process {os.getpid()}")

    def training(self, trajectory: Trajectory, stop: int) -> str:
        """Describe a training: its steps and its trajectory."""
        start = self._stands.get(trajectory.key, trajectory.first)
        self._stands[trajectory.key] = max(start, stop)
        return f"train {min(start, stop)} → {stop} on {trajectory.key[:8]}"

    @contextmanager
    def operation(self, what: str) -> Iterator[Asked]:
        """Log an operation from its request until it is done. The caller sets the `work` of the yielded object."""
        asked, begun = Asked(what), time.perf_counter()
        self._count += 1
        self.at = f"in operation {self._count} ({what})"
        self._write("asks", f"{self._count} {what}")
        yield asked
        self.at = f"after operation {self._count} ({what})"
        took = f"{time.perf_counter() - begun:.2f} s"
        work = asked.work
        cost = f"{work.epochs:.6g} epochs in {work.seconds:.2f} s, {took} with waiting"
        self._write(work.how, f"{self._count} {what}: {cost if work.how == 'computed' else took}")

    def ended(self, outcome: Mapping[str, Any], seconds: float) -> None:
        """Note that the run has ended."""
        charged = sum(outcome["charged"].values()) / outcome["epoch"]
        found = outcome.get("test")
        reached = f"{found['right']} of {found['of']} test images right" if found else str(outcome["reason"])
        self._write(outcome["status"], f"{reached}, {charged:.6g} epochs charged, {seconds:.2f} s")

    def failed(self, status: str, where: str, said: str, error: BaseException) -> None:
        """Note that an exception ended the run, at `where` in the method's file. Its traceback follows the line."""
        lines = "".join(traceback.format_exception(error)).splitlines()
        text = "".join(f"\n    {line}" for line in lines)
        self._write(status, f"{where or 'outside the method'}, {self.at}: {said}{text}")

    def _write(self, event: str, text: str) -> None:
        if self.path is None:
            return
        line = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}  {event:<10}  {text}\n"
        try:
            with self.path.open("ab", buffering=0) as file:
                file.write(line.encode())
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        log.warning("cannot write %s (%s); the run goes on without a log", self.path, error.strerror or error)
        self.path = None


def failure(path: Path) -> str | None:
    """Return where and why the run of a log last failed: `mine.py:9, after operation 1 (…): ValueError: …`."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return None
    events = [line.split("  ", 2) for line in lines if not line.startswith(" ")]
    failures = [fields[2].strip() for fields in events if len(fields) == 3 and fields[1] == "failed"]
    return failures[-1] if failures else None
