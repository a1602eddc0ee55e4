"""The outer side of a job in the jail: its limits, its supervisor, and its results."""

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lthbench.errors import InputError
from lthbench.submission.bundle.bundle import LINE_BYTES, LINE_ITEMS, TICKET_BYTES
from lthbench.submission.bundle.container import Folder
from lthbench.submission.bundle.manifest import BundleError
from lthbench.submission.bundle.plain import shown
from lthbench.submission.verification.jail import landlock, premises, seccomp, tidy, watch
from lthbench.submission.verification.jail.premises import JAIL, ConfinedJob

__all__ = ["ConfinedJob", "Left", "Limits", "confinement", "run"]


@dataclass(frozen=True)
class Limits:
    """The limits of a job: seconds on the clock, bytes of address space, bytes on disk."""

    seconds: int = 3600
    memory: int = 16_000_000_000
    disk: int = 8_000_000_000

    @property
    def resources(self) -> dict[str, int]:
        """Return the limits by the names of setrlimit."""
        cpu = self.seconds + 60
        return {
            "CPU": cpu,
            "AS": self.memory,
            "FSIZE": self.disk,
            "NOFILE": 1024,
            "CORE": 0,
            "MEMLOCK": 0,
            "MSGQUEUE": 0,
        }

    @property
    def words(self) -> str:
        return f"{self.seconds} s, {self.memory / 1e9:g} GB of memory, {self.disk / 1e9:g} GB of disk"


@dataclass(frozen=True)
class Left:
    """The results of a job: one JSON object a run, files of tensors, the refused calls, and how it ended.

    `told`: whether the process that reports refusals lived to the end.
    """

    runs: tuple[Mapping[str, Any], ...]
    files: Folder | None = field(repr=False)
    tried: tuple[str, ...]
    ended: str | None  # None where it ended by itself without an error
    told: bool = True

    def content(self, name: str, most: int = TICKET_BYTES) -> bytes:
        """Read a file of tensors."""
        if self.files is None:
            raise BundleError("it left no files that can be read")
        return self.files.read(name, min(most, TICKET_BYTES))


def confinement() -> str:
    """Describe the layers of confinement on this system."""
    return (
        f"Landlock ABI {landlock.abi()}, an allow-list of system calls ({seccomp.maker()}), no capability, user "
        f"{premises.user()}, rlimits, a supervisor, an empty environment, no test data"
    )


@contextmanager
def run(job: ConfinedJob, limits: Limits) -> Iterator[Left]:
    """Run a job with a stranger's method. InputError where this system cannot confine it."""
    if not (landlock.abi() >= landlock.LEAST and seccomp.available()):
        raise InputError(
            f"--retrain runs a stranger's code, and this system cannot confine it: it has Landlock ABI {landlock.abi()}; "
            f"confinement takes ABI {landlock.LEAST} (Linux 6.2) and seccomp, on x86-64 or aarch64"
        )
    outer = Path(tempfile.mkdtemp(prefix="lthbench-retrain-")).resolve()
    try:
        described = premises.prepare(job, outer) | {
            "limits": limits.resources,
            "seconds": limits.seconds,
            "disk": limits.disk,
        }
        (outer / "job.json").write_text(json.dumps(described))
        yield _supervised(outer)
    finally:
        tidy.remove(str(outer))


def _supervised(outer: Path) -> Left:
    command = [sys.executable, "-s", str(JAIL / "supervisor.py"), str(outer / "job.json")]
    with subprocess.Popen(
        command, cwd=outer, env=premises.environment(outer), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        start_new_session=True,
    ) as supervisor:  # fmt: skip
        said = supervisor.stdout.read() if supervisor.stdout else b""  # until its end; an error here closes its input
    try:
        found = json.loads(said)
    except ValueError:
        return Left((), None, (), f"the supervisor of the job ended with exit code {supervisor.returncode}", False)
    if "refused" in found:
        raise InputError(
            f"--retrain runs a stranger's code as user {premises.NOBODY}, not as root, and that user cannot reach Python, "
            f"lthbench or {outer} ({shown(found['refused'])}); verify as an ordinary user"
        )
    return _left(outer, found)


def _left(outer: Path, found: Mapping[str, Any]) -> Left:
    ended = found["ended"] or (_how(found["code"], outer / "said") if found["code"] else None)
    lines = [shown(line, 200) for line in dict.fromkeys(found["told"])]
    told = bool(lines) and lines[-1] == watch.END
    tried = tuple(line for line in lines if line != watch.END)
    try:
        files = Folder(outer / "job" / "left")
        return Left(_runs(files), files, tried, ended, told or ended is not None)
    except BundleError as error:
        return Left((), None, tried, ended or f"what it left cannot be read: {error}", told)


def _runs(files: Folder) -> tuple[Mapping[str, Any], ...]:
    """Return the lines that a job left. A line that cannot be read counts as missing."""
    if "left.jsonl" not in files.sizes:
        return ()
    runs = []
    for line in files.read("left.jsonl", 50_000_000).split(b"\n"):
        if len(line) <= LINE_BYTES and line.count(b",") <= LINE_ITEMS:
            try:
                runs.append(json.loads(line))
            except (ValueError, RecursionError):
                continue
    return tuple(one for one in runs if isinstance(one, dict))


def _how(code: int, said: Path) -> str:
    """Describe how a process ended, with the last line that it printed."""
    how = f"it was ended by {signal.Signals(-code).name}" if code < 0 else f"it ended with exit code {code}"
    with said.open("rb") as file:
        file.seek(max(0, said.stat().st_size - 4000))
        lines = file.read(4000).decode(errors="replace").strip().splitlines()
    return how + (f": {shown(lines[-1], 300)}" if lines else "")
