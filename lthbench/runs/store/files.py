"""Files that are written whole or not at all, and lines that are appended. A failure of the disk raises Unwritable."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lthbench.errors import Unwritable


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn errors of the operating system inside into Unwritable errors that name the path."""
    try:
        yield
    except OSError as error:
        raise Unwritable(
            f"cannot write {path}: {error.strerror or error}; free some disk space or choose another place"
        ) from error


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under a temporary name, sync it and rename it, so that no reader sees half of it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    with writing(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise


def append_line(path: Path, line: str) -> None:
    """Append one line, ending the half line that a killed process may have left."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab+") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                line = line if file.read(1) == b"\n" else "\n" + line
            file.write(line.encode() + b"\n")


def files_below(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder. Another process may remove them meanwhile, and folders too."""
    for at, _, names in os.walk(folder):
        yield from (Path(at, name) for name in names)


def sizes_below(folder: Path) -> Iterator[int]:
    """Yield the bytes of each file below a folder, without those that are removed meanwhile."""
    for path in files_below(folder):
        with suppress(FileNotFoundError):
            yield path.stat().st_size


def contents_below(folder: Path) -> dict[str, bytes]:
    """Return the contents of all files below a folder, by their path in it. Empty where there is no folder."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}
