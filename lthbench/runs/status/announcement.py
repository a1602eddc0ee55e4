"""What drivers say in a run folder before they start, for who looks on: what is to be done, and what was typed."""

from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from lthbench.runs.plan.plan import Plan
from lthbench.runs.store.files import write_whole


class Planned(BaseModel):
    """What a method has to do: runs, and the epochs that they will be charged, as far as the plan knows."""

    model_config = ConfigDict(frozen=True)

    runs: int
    epochs: float


class Announcement(BaseModel):
    """What the drivers of one text of a suite have announced; command and start (UTC) are the last one's."""

    model_config = ConfigDict(frozen=True)

    suite_hash: str
    command: tuple[str, ...]
    started: datetime
    methods: dict[str, Planned]


def sums(plan: Plan) -> dict[str, Planned]:
    """What each method of a plan has to do."""
    charges: dict[str, list[float]] = defaultdict(list)
    for run in plan.runs:
        charges[run.method.label].append(run.charge)
    return {label: Planned(runs=len(each), epochs=sum(each)) for label, each in charges.items()}


def announce(out: Path, suite_hash: str, methods: dict[str, Planned], command: tuple[str, ...]) -> None:
    """Say that a driver starts. Methods that others have announced for this text of the suite stay."""
    before = announced(out)
    there = before.methods if before and before.suite_hash == suite_hash else {}
    now = datetime.now(UTC).replace(microsecond=0)
    said = Announcement(suite_hash=suite_hash, command=command, started=now, methods=there | methods)
    write_whole(out / "plan.json", said.model_dump_json(indent=1).encode())


def announced(out: Path) -> Announcement | None:
    """What is announced in a run folder; nothing where no driver has, or it cannot be read."""
    try:
        return Announcement.model_validate_json((out / "plan.json").read_bytes())
    except (OSError, ValidationError):
        return None
