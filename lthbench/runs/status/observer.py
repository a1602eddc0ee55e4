"""Looking on: how far a run folder is, while drivers work in it, on this machine or another, or none does."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from lthbench.methods import registry
from lthbench.runs.plan.plan import order
from lthbench.runs.records.run_id import RunId
from lthbench.runs.status.announcement import Planned, announced
from lthbench.runs.status.progress import Ended, Progress
from lthbench.runs.store import locks
from lthbench.suite import in_folder


@dataclass(frozen=True)
class Row:
    """The runs of one method. `epochs` is what all of them are charged; None where no driver has announced it."""

    method: str
    runs: int
    ok: int
    diverged: int
    failed: int
    in_hand: int
    epochs: float | None

    @property
    def to_do(self) -> int:
        return self.runs - self.ok - self.diverged - self.failed - self.in_hand


@dataclass(frozen=True)
class Snapshot:
    """How far a run folder is: epochs charged and computed, and, while a driver is at work, seconds since the last one
    started, epochs computed a second since then, and about how many seconds are left."""

    rows: list[Row]
    charged: float
    computed: float
    elapsed: float | None = None
    epochs_per_second: float | None = None
    left: float | None = None

    def count(self, what: str) -> int:
        """Runs of all methods: `runs`, or those that are `ok`, `diverged`, `failed`, `in_hand`, `to_do`."""
        return sum(getattr(row, what) for row in self.rows)

    @property
    def at_work(self) -> bool:
        """Whether a living driver has a run in hand."""
        return self.count("in_hand") > 0

    @property
    def done(self) -> bool:
        """Whether every run that was announced has ended."""
        asked = [row for row in self.rows if row.epochs is not None] or self.rows
        return not self.at_work and not any(row.to_do for row in asked)


class Observer:
    """Looks on in a run folder, again and again. InputError where the folder is none."""

    def __init__(self, folder: Path):
        self.folder, self.suite = folder, in_folder(folder)
        self.ended: dict[RunId, Ended] = {}  # as of the last look
        self._progress: dict[Path, Progress] = {}
        self._sizes: dict[str, int] = {}

    def look(self) -> Snapshot:
        """How far it is now. Of the records only what is new is read."""
        for path in sorted((self.folder / "records").glob("*.jsonl")):
            self._progress.setdefault(path, Progress(path)).read()
        self.ended = {name: ended for tail in self._progress.values() for name, ended in tail.ended.items()}
        said = announced(self.folder)
        current = said if said and said.suite_hash == self.suite.hash else None
        rows = list(self._rows(current.methods if current else {}))
        charged = sum(ended.charged for ended in self.ended.values())
        snapshot = Snapshot(rows, charged, sum(ended.computed for ended in self.ended.values()))
        return _timed(snapshot, self.ended.values(), current.started) if current and snapshot.at_work else snapshot

    @property
    def failed(self) -> dict[RunId, Ended]:
        """The runs whose record says failed."""
        return {name: ended for name, ended in self.ended.items() if ended.status == "failed"}

    def _rows(self, planned: dict[str, Planned]) -> Iterator[Row]:
        in_hand = {name for name in self._in_hand() if name not in self.ended or self.ended[name].status == "failed"}
        ends = Counter((run.method, end.status) for run, end in self.ended.items() if run not in in_hand)
        busy = Counter(run.method for run in in_hand)
        for label in dict.fromkeys([*self.suite.methods, *planned, *(run.method for run in self.ended)]):
            ok, diverged, failed = (ends[label, status] for status in ("ok", "diverged", "failed"))
            there, least = planned.get(label), ok + diverged + failed + busy[label]
            runs = max(there.runs if there else self._size(label), least)
            yield Row(label, runs, ok, diverged, failed, busy[label], there.epochs if there else None)

    def _in_hand(self) -> Iterator[RunId]:
        """The runs that living drivers have in hand, on whichever build."""
        for folder in (self.folder / "store").glob(f"*/{locks.FOLDER}"):
            for note in filter(None, locks.notes(folder)):
                yield RunId.parsed(note)

    def _size(self, label: str) -> int:
        """How many runs a method has in the suite; 0 for one that is not known here."""
        if label not in self._sizes:
            known = registry.load_all().get(label.partition("[")[0])
            self._sizes[label] = sum(1 for _ in order(self.suite, [known])) if known else 0
        return self._sizes[label]


def _timed(snapshot: Snapshot, ended: Iterable[Ended], started: datetime) -> Snapshot:
    """With what follows from the pace since a driver started: epochs charged since then against those still planned."""
    begun = started.timestamp()
    elapsed, since = max(time.time() - begun, 1.0), [end for end in ended if end.at >= begun]
    pace = sum(end.charged for end in since) / elapsed
    open_ = sum((row.epochs or 0.0) * (row.to_do + row.in_hand) / row.runs for row in snapshot.rows if row.runs)
    speed = sum(end.computed for end in since) / elapsed
    return replace(snapshot, elapsed=elapsed, epochs_per_second=speed, left=open_ / pace if pace else None)
