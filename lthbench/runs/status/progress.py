"""The outcomes of the runs in a file of records, while the file grows."""

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from lthbench.errors import InputError
from lthbench.runs.records.line_reader import LineReader
from lthbench.runs.records.record import Record, parse
from lthbench.runs.records.run_id import RunId

log = logging.getLogger(__name__)


class Ended(NamedTuple):
    """A summary of a record: how the run ended and why, its epochs, and when (seconds since 1970; 0 where it is not known).

    `losses` are the training losses of the first and the last epoch of the training that its network ends, where known.
    """

    status: str
    reason: str | None
    charged: float
    computed: float
    at: float
    losses: tuple[float | None, float | None] | None = None


@dataclass
class Progress:
    """The runs that have a record in a file, as of the last read."""

    path: Path
    ended: dict[RunId, Ended] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._lines = LineReader(self.path)

    def read(self) -> None:
        """Read the new whole lines, or all lines where the file was rewritten. Warns of broken lines."""
        lines = self._lines.new()
        if self._lines.anew:
            self.ended = {}
        for number, line in lines:
            self._take(number, line)

    def _take(self, number: int, line: bytes) -> None:
        """Note the record on a line. Of two records of a run, the later one counts."""
        try:
            record = parse(line, f"{self.path}:{number}")
        except InputError as error:
            log.warning("%s; its run counts as not done", error)
            return
        self.ended[record.run_id] = _ended(record)


def _ended(record: Record) -> Ended:
    result, how = record.result, record.provenance
    charged = sum(result.charged.values()) / result.epoch
    curve = how.curve
    losses = (curve.losses[0], curve.losses[-1]) if curve and curve.losses else None
    return Ended(result.status, result.reason, charged, how.epochs_computed, how.ended, losses)
