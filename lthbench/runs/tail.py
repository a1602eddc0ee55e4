"""A file of records that grows, or is replaced, while somebody looks on: only what is new is read."""

import logging
import os
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from lthbench.errors import InputError
from lthbench.runs.names import Name
from lthbench.runs.records import Record, parse

log = logging.getLogger(__name__)


class Ended(NamedTuple):
    """What is remembered of a record: how the run ended and why, its epochs, and when (seconds since 1970)."""

    status: str
    reason: str | None
    charged: float
    computed: float
    at: float


@dataclass
class Tail:
    """The runs that have a record in a file, as of the last read."""

    path: Path
    ended: dict[Name, Ended] = field(default_factory=dict)
    _file: int = 0  # inode
    _read: int = 0  # bytes
    _number: int = 0  # lines

    def read(self) -> None:
        """Take in the whole lines that are new; all, where the file was written anew. A broken line is warned of."""
        try:
            with self.path.open("rb") as file:
                there = os.fstat(file.fileno())
                if there.st_ino != self._file or there.st_size < self._read:
                    self.ended, self._file, self._read, self._number = {}, there.st_ino, 0, 0
                file.seek(self._read)
                new = file.read()
        except FileNotFoundError:  # records of an older text of the suite are moved aside
            self.ended, self._file = {}, 0
            return
        *lines, half = new.split(b"\n")
        self._read += len(new) - len(half)
        for line in lines:
            self._number += 1
            if line.strip():
                self._take(line)

    def _take(self, line: bytes) -> None:
        """Of two records of a run, which a second driver or a repeated run leaves for a while, the later one counts, with
        the epochs of the one that computed."""
        try:
            record = parse(line, f"{self.path}:{self._number}")
        except InputError as error:
            log.warning("%s; its run counts as not done", error)
            return
        found, before = _ended(record), self.ended.get(record.name)
        self.ended[record.name] = found._replace(computed=max(found.computed, before.computed if before else 0.0))


def ended(record: Record) -> float:
    """When a run ended, in seconds since 1970."""
    return datetime.fromisoformat(record.provenance.started).timestamp() + record.provenance.seconds


def _ended(record: Record) -> Ended:
    result = record.result
    charged = sum(result.charged.values()) / result.epoch
    return Ended(result.status, result.reason, charged, record.provenance.epochs_computed, ended(record))
