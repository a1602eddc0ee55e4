"""The progress of a run folder, whether drivers work in it or not, on this machine or another."""

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
    """The runs of one method. `epochs` is the charge of all of them; None where no driver has announced it."""

    method: str
    runs: int
    ok: int
    diverged: int
    failed: int
    running: int
    epochs: float | None

    @property
    def to_do(self) -> int:
        return self.runs - self.ok - self.diverged - self.failed - self.running


@dataclass(frozen=True)
class Snapshot:
    """The progress of a run folder: epochs charged and computed.

    While a driver is at work, it also holds the seconds since the last driver started, the epochs computed a second since
    then, and an estimate of the seconds that are left. `latest` is the run that ended last with a learning curve.
    """

    rows: list[Row]
    charged: float
    computed: float
    elapsed: float | None = None
    epochs_per_second: float | None = None
    left: float | None = None
    latest: tuple[RunId, Ended] | None = None

    def count(self, what: str) -> int:
        """Return the number of runs of all methods: `runs`, or those `ok`, `diverged`, `failed`, `running`, `to_do`."""
        return sum(getattr(row, what) for row in self.rows)

    @property
    def at_work(self) -> bool:
        """Say whether a living driver has claimed a run."""
        return self.count("running") > 0

    @property
    def done(self) -> bool:
        """Say whether every announced run has ended."""
        asked = [row for row in self.rows if row.epochs is not None] or self.rows
        return not self.at_work and not any(row.to_do for row in asked)


class Observer:
    """An observer that watches a run folder. InputError where the folder is not a run folder."""

    def __init__(self, folder: Path):
        self.folder, self.suite = folder, in_folder(folder)
        self.ended: dict[RunId, Ended] = {}  # as of the last look
        self._progress: dict[Path, Progress] = {}
        self._sizes: dict[str, int] = {}

    def look(self) -> Snapshot:
        """Return the present progress. Only new records are read."""
        for path in sorted((self.folder / "records").glob("*.jsonl")):
            self._progress.setdefault(path, Progress(path)).read()
        self.ended = {name: ended for progress in self._progress.values() for name, ended in progress.ended.items()}
        said = announced(self.folder)
        current = said if said and said.suite_hash == self.suite.hash else None
        rows = list(self._rows(current.methods if current else {}))
        charged = sum(ended.charged for ended in self.ended.values())
        computed = sum(ended.computed for ended in self.ended.values())
        snapshot = Snapshot(rows, charged, computed, latest=self._latest)
        return _timed(snapshot, self.ended.values(), current.started) if current and snapshot.at_work else snapshot

    @property
    def _latest(self) -> tuple[RunId, Ended] | None:
        learned = (item for item in self.ended.items() if item[1].losses)
        return max(learned, key=lambda item: item[1].at, default=None)

    @property
    def failed(self) -> dict[RunId, Ended]:
        """Return the runs whose record says failed."""
        return {name: ended for name, ended in self.ended.items() if ended.status == "failed"}

    def _rows(self, planned: dict[str, Planned]) -> Iterator[Row]:
        running = {name for name in self._running() if name not in self.ended or self.ended[name].status == "failed"}
        ends = Counter((run.method, end.status) for run, end in self.ended.items() if run not in running)
        busy = Counter(run.method for run in running)
        for label in dict.fromkeys([*self.suite.methods, *planned, *(run.method for run in self.ended)]):
            ok, diverged, failed = (ends[label, status] for status in ("ok", "diverged", "failed"))
            there, least = planned.get(label), ok + diverged + failed + busy[label]
            runs = max(there.runs if there else self._size(label), least)
            yield Row(label, runs, ok, diverged, failed, busy[label], there.epochs if there else None)

    def _running(self) -> Iterator[RunId]:
        """Yield the runs that living drivers have claimed, in every environment."""
        for folder in (self.folder / "store").glob(f"*/{locks.FOLDER}"):
            for note in filter(None, locks.notes(folder)):
                yield RunId.parsed(note)

    def _size(self, label: str) -> int:
        """Return the number of runs of a method in the suite; 0 for one that is not known here."""
        if label not in self._sizes:
            known = registry.load_all().get(label.partition("[")[0])
            self._sizes[label] = sum(1 for _ in order(self.suite, [known])) if known else 0
        return self._sizes[label]


def _timed(snapshot: Snapshot, ended: Iterable[Ended], started: datetime) -> Snapshot:
    """Return the snapshot with its pace since a driver started, and the time left for the epochs still planned."""
    begun = started.timestamp()
    elapsed, since = max(time.time() - begun, 1.0), [end for end in ended if end.at >= begun]
    pace = sum(end.charged for end in since) / elapsed
    open_ = sum((row.epochs or 0.0) * (row.to_do + row.running) / row.runs for row in snapshot.rows if row.runs)
    speed = sum(end.computed for end in since) / elapsed
    return replace(snapshot, elapsed=elapsed, epochs_per_second=speed, left=open_ / pace if pace else None)
