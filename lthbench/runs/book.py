"""The records of a folder while drivers write them: a file a method, a line a run."""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from lthbench.errors import InputError
from lthbench.runs.files import append_line, write_whole
from lthbench.runs.names import Name, file_name
from lthbench.runs.records import Record, lines_of, parse

log = logging.getLogger(__name__)


class Book:
    """`records/` of a folder. A run that is done again has one record all the while: the older one, then the new one."""

    def __init__(self, out: Path):
        self._folder = out / "records"
        self._older: dict[Name, bytes] = {}  # lines that a new record takes the place of
        self._writing = threading.Lock()

    def read(self) -> Iterator[Record]:
        """What is there. Broken lines are left out, with a warning."""
        return (record for record, _ in self._read())

    def standing(self, stands: Callable[[Record], bool]) -> Iterator[Record]:
        """The records that stand. The others stay until their runs are done again."""
        for record, line in self._read():
            if stands(record):
                yield record
            else:
                self._older[record.name] = line

    def add(self, record: Record) -> None:
        """Write a record that was made."""
        path, line = self._file(record.result.method), record.line()
        with self._writing:
            older = self._older.pop(record.name, None)
            if older is None:
                append_line(path, line)
            else:
                _write(path, [*(there for there in lines_of(path) if there != older), line.encode()])

    def write(self, records: Iterable[Record]) -> None:
        """Write all files anew: these records, in the order of the grid, and no others."""
        by_method: dict[str, list[bytes]] = {}
        for record in sorted(records, key=lambda record: record.name):
            by_method.setdefault(record.result.method, []).append(record.line().encode())
        for method, lines in by_method.items():
            _write(self._file(method), lines)

    def _read(self) -> Iterator[tuple[Record, bytes]]:
        for path in sorted(self._folder.glob("*.jsonl")):
            for number, line in enumerate(lines_of(path), 1):
                try:
                    yield parse(line, f"{path}:{number}"), line
                except InputError as error:
                    log.warning("%s; its run is done again", error)

    def _file(self, method: str) -> Path:
        return self._folder / f"{file_name(method)}.jsonl"


def _write(path: Path, lines: Iterable[bytes]) -> None:
    write_whole(path, b"".join(line + b"\n" for line in lines))
