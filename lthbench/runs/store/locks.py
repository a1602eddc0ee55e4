"""File locks, by which drivers that share a store divide the work.

Each lock is a locked file. The operating system ends it with the process that holds it, however that process ends.
A process has one FileLocks object for a folder.
"""

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lthbench import system
from lthbench.errors import LthbenchError
from lthbench.runs.store.files import writing

log = logging.getLogger(__name__)

FOLDER = "locks"  # in the store of an environment
LONGEST = 1.0  # seconds between two looks at a lock that another driver holds


class FileLocks:
    """The locks of one process in a folder. Locks of one name exclude each other within a process too."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._held: dict[str, int] = {}
        self._changed = threading.Condition()
        self._closed = False

    def take(self, name: str, note: str = "") -> bool:
        """Take the lock of a name. Returns False where it is held, here or by another process. Watchers read the `note`."""
        path = self.folder / name
        with self._changed:
            if name in self._held:
                return False
            with writing(path):
                file = self._open(path)
            if not (_locked(file) and _is_at(file, path)):  # the last holder may have removed the file meanwhile
                os.close(file)
                return False
            with suppress(OSError):  # a full disk
                os.write(file, note.encode())
            self._held[name] = file
            return True

    def _open(self, path: Path) -> int:
        while True:
            self.folder.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):  # another driver ended just now, and took the empty folder with it
                return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)

    def release(self, name: str) -> None:
        """Release a lock."""
        with self._changed:
            system.unlock(self._held.pop(name), self.folder / name)
            self._changed.notify_all()

    def close(self) -> None:
        """End all waiting."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        with suppress(OSError):  # another driver's locks lie there
            self.folder.rmdir()

    @contextmanager
    def held(self, name: str, enough: Callable[[], bool] = lambda: False, note: str = "") -> Iterator[bool]:
        """Wait for a lock, or until it is not needed any more (`enough`). Yields whether it is held.

        LthbenchError when the locks are closed meanwhile.
        """
        mine, pause = self.take(name, note), 0.01
        while not mine and not enough():
            with self._changed:
                self._changed.wait(pause)  # a release in this process is seen at once, one elsewhere at the next look
            if self._closed:
                raise LthbenchError("stopped")
            pause = min(2 * pause, LONGEST)
            mine = self.take(name, note)
        try:
            yield mine
        finally:
            if mine:
                self.release(name)


def notes(folder: Path) -> Iterator[str]:
    """Yield the notes of the locks in a folder that living processes hold.

    A process that holds locks there must not call this: reading a locked file releases its own lock.
    """
    for path in folder.glob("*"):
        with suppress(FileNotFoundError), path.open("rb") as file:
            if system.is_locked(file.fileno()):
                yield file.read().decode(errors="replace")


def _locked(file: int) -> bool:
    try:
        return system.lock(file, forks=False)
    except OSError as error:
        log.warning("this folder has no file locks (%s); let one driver at a time use the store", error.strerror)
    return True


def _is_at(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False
