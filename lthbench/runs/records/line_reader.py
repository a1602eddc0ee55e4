"""A reader of files that grow, or are replaced, while they are read. It reads only new lines."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO


@dataclass
class LineReader:
    """A file and the position up to which it has been read.

    `anew`: the last read began at the start of the file. `half`: the bytes after the last whole line.
    """

    path: Path
    anew: bool = field(default=True, init=False)
    half: bytes = field(default=b"", init=False)
    _file: int = field(default=0, init=False)  # inode
    _read: int = field(default=0, init=False)  # bytes
    _last: bytes = field(default=b"", init=False)  # line, which ends there
    _number: int = field(default=0, init=False)  # lines

    def new(self) -> list[tuple[int, bytes]]:
        """Return the new whole lines with their numbers, without empty ones. A rewritten file is read from its start."""
        try:
            with self.path.open("rb") as file:
                self.anew = not self._goes_on(file)
                if self.anew:
                    self._file, self._read, self._number, self._last = os.fstat(file.fileno()).st_ino, 0, 0, b""
                file.seek(self._read)
                new = file.read()
        except FileNotFoundError:  # records of an older text of the suite are moved aside
            self.anew, self.half, self._file = True, b"", 0
            return []
        *lines, self.half = new.split(b"\n")
        self._read += len(new) - len(self.half)
        self._last = lines[-1] + b"\n" if lines else self._last
        first, self._number = self._number + 1, self._number + len(lines)
        return [(number, line) for number, line in enumerate(lines, first) if line.strip()]

    def _goes_on(self, file: BinaryIO) -> bool:
        """Tell whether the file is the one that was read. A new file may get the inode of one that was removed."""
        if os.fstat(file.fileno()).st_ino != self._file:
            return False
        file.seek(self._read - len(self._last))
        return file.read(len(self._last)) == self._last
