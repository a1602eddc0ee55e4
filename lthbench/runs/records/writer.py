"""The writer of the records of a run folder: a file for each method, a line for each run."""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from lthbench.errors import InputError
from lthbench.runs.records.line_reader import LineReader
from lthbench.runs.records.record import Record, lines_of, parse
from lthbench.runs.records.run_id import RunId, file_name
from lthbench.runs.store.files import append_line, write_whole

log = logging.getLogger(__name__)


class RecordWriter:
    """The writer of `records/` in a run folder.

    A repeated run has one record at all times: first the older one, then the new one. A record that another driver on the
    folder has written is not written twice. A file keeps lines that belong to other methods than its own.
    """

    def __init__(self, out: Path):
        self._folder = out / "records"
        self._older: dict[RunId, bytes] = {}  # lines that do not stand
        self._others: dict[RunId, tuple[Record, bytes]] = {}  # records that other drivers have written meanwhile
        self._mine: set[RunId] = set()
        self._lines: dict[Path, LineReader] = {}
        self._writing = threading.Lock()

    def read(self) -> Iterator[Record]:
        """Yield the records in the folder. Broken lines are left out; `standing` warns of them."""
        return (record for record, _ in self._read(warn=False))

    def standing(self, stands: Callable[[Record], bool]) -> Iterator[Record]:
        """Yield the records that stand. The others stay in the files until their runs are repeated."""
        for record, line in self._read():
            if stands(record):
                self._mine.add(record.run_id)
                yield record
            else:
                self._older[record.run_id] = line

    def add(self, record: Record) -> Record:
        """Write a record, unless another driver has written the same result. Returns the record that stands."""
        path, line = self._file(record.result.method), record.line()
        with self._writing:
            self._look(path)
            self._mine.add(record.run_id)
            older = self._older.pop(record.run_id, None)
            if record.run_id in self._others:
                other, older = self._others.pop(record.run_id)
                if other.result == record.result:
                    return other
            if older is None:
                append_line(path, line)
            else:
                _write(path, [*(there for there in lines_of(path) if there != older), line.encode()])
            return record

    def write(self, records: Iterable[Record]) -> None:
        """Write the files of these records' methods anew: these records alone, in the order of the grid."""
        by_method: dict[str, list[bytes]] = {}
        for record in sorted(records, key=lambda record: record.run_id):
            by_method.setdefault(record.result.method, []).append(record.line().encode())
        for method, lines in by_method.items():
            path = self._file(method)
            there = lines_of(path) if path.exists() else ()
            others = [
                line for r, line in _parsed(path, enumerate(there, 1), warn=False) if r.result.method not in by_method
            ]
            _write(path, [*lines, *others])

    def put_away(self, records: Iterable[Record]) -> None:
        """Append records to `superseded/`, so that a file may be written anew without them."""
        folder = self._folder.with_name("superseded")
        for record in records:
            append_line(folder / self._file(record.result.method).name, record.line())

    def _read(self, warn: bool = True) -> Iterator[tuple[Record, bytes]]:
        for path in sorted(self._folder.glob("*.jsonl")):
            lines = self._lines[path] = LineReader(path)
            whole = lines.new()
            yield from _parsed(path, [*whole, *[(len(whole) + 1, lines.half)] * bool(lines.half)], warn)

    def _look(self, path: Path) -> None:
        """Read the lines added to a file since the last read, or all lines where it was rewritten."""
        for record, line in _parsed(path, self._lines.setdefault(path, LineReader(path)).new()):
            if record.run_id not in self._mine and self._older.get(record.run_id) != line:
                self._others[record.run_id] = record, line

    def _file(self, method: str) -> Path:
        return self._folder / f"{file_name(method)}.jsonl"


def _parsed(path: Path, lines: Iterable[tuple[int, bytes]], warn: bool = True) -> Iterator[tuple[Record, bytes]]:
    for number, line in lines:
        try:
            yield parse(line, f"{path}:{number}"), line
        except InputError as error:
            if warn:
                log.warning("%s; its run is repeated", error)


def _write(path: Path, lines: Iterable[bytes]) -> None:
    write_whole(path, b"".join(line + b"\n" for line in lines))
