"""Children of this warm process, forked: they start at once. None outlives its test."""

import os
import signal
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

_groups: list[int] = []


def forked(work: Callable[[], object]) -> int:
    """Start `work` in a child, with a process group of its own. Returns its pid."""
    with warnings.catch_warnings():
        # Python 3.12 warns where a process with threads forks
        warnings.filterwarnings("ignore", r".*multi-threaded.*fork", DeprecationWarning)
        pid = os.fork()
    if pid:
        _groups.append(pid)
        return pid
    try:
        os.setpgid(0, 0)
        work()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def end_forked() -> None:
    """End what is left of the children and of theirs. One that hangs would hold the pipes of this process open."""
    while _groups:
        try:
            os.killpg(_groups.pop(), signal.SIGKILL)
        except ProcessLookupError:
            continue


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def status_of(pid: int) -> int:
    """How a child ended: its exit code, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def alive_pid(pid: int) -> bool:
    """Whether a process runs; one that only waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def until(happened: Callable[[], bool], patience: float = 30.0) -> bool:
    """Wait for something; False if it has not happened after a long time."""
    end = time.monotonic() + patience
    while not happened() and time.monotonic() < end:
        time.sleep(0.01)
    return happened()
