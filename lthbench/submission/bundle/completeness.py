"""The runs of a method that a suite asks for, and those of them that are missing."""

from collections.abc import Iterable

from lthbench.runs.records.record import Record, Result
from lthbench.suite import Cell, Suite


def asked(suite: Suite, result: Result) -> list[Cell]:
    """Return every cell that the suite has for a method of a result's track."""
    return suite.cells(dense=result.track == "dense", control=result.control_of is not None)


def look(suite: Suite, seeds: Iterable[int]) -> int:
    """Return the first declared look that takes in all these seeds; the last one where none does."""
    needed = max(seeds, default=0) + 1
    return next((n for n in sorted(suite.looks) if n >= needed), max(suite.looks))


def missing(suite: Suite, records: Iterable[Record]) -> str | None:
    """Say which runs of a whole look are missing."""
    results = [record.result for record in records]
    there = {(r.workload, r.learning_rate, r.sparsity, r.seed) for r in results}
    seeds = look(suite, (seed for *_, seed in there))
    wanted = [c for c in asked(suite, results[0]) if c.seed < seeds] if results else []
    gone = [c for c in wanted if (c.workload.name, c.learning_rate, c.sparsity, c.seed) not in there]
    if not gone:
        return None
    more = f" and {len(gone) - 3} more" if len(gone) > 3 else ""
    return f"{len(gone)} of {len(wanted)} runs are missing: {'; '.join(map(str, gone[:3]))}{more}"
