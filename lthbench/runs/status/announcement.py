"""Announcements that drivers write to a run folder before they start: the planned runs, and the command line."""

from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from lthbench.runs.plan.plan import Plan
from lthbench.runs.store.files import write_whole


class Planned(BaseModel):
    """The planned runs of a method, and the epochs that they will be charged, as far as the plan knows."""

    model_config = ConfigDict(frozen=True)

    runs: int
    epochs: float


class Announcement(BaseModel):
    """The announcements of the drivers of one text of a suite.

    Command, start (UTC) and the methods that the user `named` are those of the last driver.
    """

    model_config = ConfigDict(frozen=True)

    suite_hash: str
    command: tuple[str, ...]
    started: datetime
    methods: dict[str, Planned]
    named: tuple[str, ...] = ()


def sums(plan: Plan) -> dict[str, Planned]:
    """Return the planned runs and epochs of each method of a plan."""
    charges: dict[str, list[float]] = defaultdict(list)
    for run in plan.runs:
        charges[run.method.label].append(run.charge)
    return {label: Planned(runs=len(each), epochs=sum(each)) for label, each in charges.items()}


def announce(
    out: Path, suite_hash: str, methods: dict[str, Planned], command: tuple[str, ...], named: tuple[str, ...] = ()
) -> None:
    """Announce that a driver starts. Methods that others have announced for this text of the suite stay."""
    before = announced(out)
    there = before.methods if before and before.suite_hash == suite_hash else {}
    now = datetime.now(UTC).replace(microsecond=0)
    methods = there | methods
    said = Announcement(suite_hash=suite_hash, command=command, started=now, methods=methods, named=named)
    write_whole(out / "plan.json", said.model_dump_json(indent=1).encode())


def named(out: Path) -> tuple[str, ...]:
    """Return the methods that the user named last in a run folder."""
    there = announced(out)
    return there.named if there else ()


def announced(out: Path) -> Announcement | None:
    """Return the announcement in a run folder; None where there is none, or it cannot be read."""
    try:
        return Announcement.model_validate_json((out / "plan.json").read_bytes())
    except (OSError, ValidationError):
        return None
