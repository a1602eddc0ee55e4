"""Which runs of a method a suite asks for, and which of them are not there."""

from collections.abc import Iterable

from lthbench.runs.records.record import Record
from lthbench.suite import Cell, Suite


def cells(suite: Suite, track: str, seeds: int) -> list[Cell]:
    """The cells that a method of a track runs on, at a number of seeds."""
    return [cell for cell in suite.cells(dense=track == "dense") if cell.seed < seeds]


def look(suite: Suite, seeds: Iterable[int]) -> int:
    """The first declared look that takes in all these seeds; the last one where none does."""
    needed = max(seeds, default=0) + 1
    return next((n for n in sorted(suite.looks) if n >= needed), max(suite.looks))


def missing(suite: Suite, track: str, records: Iterable[Record]) -> str | None:
    """What of a whole look is not there, in words."""
    there = {(r.result.workload, r.result.learning_rate, r.result.sparsity, r.result.seed) for r in records}
    wanted = cells(suite, track, look(suite, (seed for *_, seed in there)))
    gone = [c for c in wanted if (c.workload.name, c.learning_rate, c.sparsity, c.seed) not in there]
    if not gone:
        return None
    more = f" and {len(gone) - 3} more" if len(gone) > 3 else ""
    return f"{len(gone)} of {len(wanted)} runs are missing: {'; '.join(map(str, gone[:3]))}{more}"
