"""Children of this warm process, forked: they start at once. None outlives its test."""

import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from lthbench.cli import main

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


def typed(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Type a command in a folder. Its process, and the worker processes that it starts, are forked from this one.

    A new interpreter would import torch first, for seconds. The tests of starting and of Ctrl-C begin with one.
    """
    with TemporaryDirectory() as folder:
        said = [Path(folder, name) for name in ("stdout", "stderr")]
        code = status_of(forked(lambda: _type(words, cwd, said, environment)))
        return subprocess.CompletedProcess(words, code, *(path.read_text() for path in said))


def started(*words: str, cwd: Path) -> int:
    """Type a command in a folder, and do not wait for its end. What it says is not kept. Returns its pid."""
    nowhere = Path(os.devnull)
    return forked(lambda: _type(words, cwd, [nowhere, nowhere], {}))


def _type(words: tuple[str, ...], cwd: Path, said: list[Path], environment: dict[str, str]) -> None:
    os.chdir(cwd)
    os.environ.update(environment)
    sys.argv[:] = ["lthbench", *words]
    for number, path in enumerate(said, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1, closefd=False) for number in (1, 2))
    sys.path.insert(0, "")
    logging.getLogger().handlers.clear()
    with pytest.MonkeyPatch.context() as patch:
        fork_workers(patch)
        try:
            main(words, prog_name="lthbench")
        except SystemExit as ended:
            os._exit(ended.code if isinstance(ended.code, int) else 1)


def fork_workers(patch: pytest.MonkeyPatch) -> None:
    """Have worker processes forked that would be spawned."""
    context = multiprocessing.get_context("fork")
    patch.setattr(multiprocessing, "get_context", lambda method=None: context)


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
