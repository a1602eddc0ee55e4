"""The operating system: cores, memory, file locks and Ctrl-C, on Linux, macOS and Windows."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from pathlib import Path
from types import ModuleType

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # Windows
    import msvcrt

    fcntl = None

ASSUMED_MEMORY = 8 * 2**30  # bytes, where the system does not tell
LOCKED_BYTE = 2**30  # of a file on Windows: beyond what is written, so that the file can be read


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def start_method() -> str:
    """Return how a process of Python starts fastest: forked from a server that has its imports, as far as the system allows."""
    return "forkserver" if sys.platform == "linux" and hasattr(os, "fork") else "spawn"


def memory() -> int:
    """Return the bytes of memory of this machine."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return ASSUMED_MEMORY


def lock(file: int, forks: bool = True) -> bool:
    """Lock an open file. Return False where another process has the lock. OSError where the file system has no locks.

    With `forks`, a process that is forked holds the lock too, and another handle of this process does not.
    """
    try:
        if fcntl:
            (fcntl.flock if forks else fcntl.lockf)(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            _lock_a_byte(file)
    except (BlockingIOError, PermissionError):
        return False
    return True


def is_locked(file: int) -> bool:
    """Tell whether another process holds the lock, taken without `forks`, of an open file.

    On a file system without locks, every file counts as locked.
    """
    try:
        if fcntl:
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        else:
            _lock_a_byte(file)
    except OSError:
        return True
    return False


def _lock_a_byte(file: int) -> None:
    os.lseek(file, LOCKED_BYTE, os.SEEK_SET)
    try:
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    finally:
        os.lseek(file, 0, os.SEEK_SET)


def unlock(file: int, path: Path) -> None:
    """Remove a locked file, and close it. Windows removes no open file; there another process may remove it first."""
    if fcntl:
        path.unlink(missing_ok=True)
        os.close(file)
        return
    os.close(file)
    try:
        path.unlink(missing_ok=True)
    except PermissionError:  # another process has opened it, and removes it
        return


@contextmanager
def deaf_to_ctrl_c() -> Iterator[None]:
    """Start processes inside that Ctrl-C on the terminal does not reach, from their first instruction.

    A new process inherits the blocked signals of the thread that starts it. Windows has no blocked signals: there
    a process ignores Ctrl-C from its main function on (`ignore_ctrl_c`).
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # which unblocks the signal where it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore_ctrl_c() -> None:
    """Ignore Ctrl-C in this process from now on, where it cannot be blocked from the start."""
    if not hasattr(signal, "pthread_sigmask"):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
