"""Faults at random moments in real runs: whatever happens, a suite that is typed again ends with the same results."""

import ctypes
import errno
import os
import random
import resource
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lthbench.data import DataHome
from lthbench.errors import LthbenchError
from lthbench.runs.driver.broker import Broker
from lthbench.runs.plan.plan import Plan
from lthbench.runs.records import record as records
from lthbench.runs.store.locks import FOLDER
from lthbench.runs.store.maintenance import verify
from lthbench.runs.workers import heartbeat, process
from tests.processes import alive_pid, forked
from tests.runs.helpers import METHODS, drive, planned, tiny

SUITE = tiny(budget="none", recipe={"epochs": 12, "batch": 128, "lr": 0.1, "drops": [0.5], "weight_decay": 1e-4})
DISK = 60_000_000  # bytes of the small disk
CALM = 4  # undisturbed drivers in which a suite has to be done
YEARS = 3e8  # seconds that a clock jumps at most
BEATS = 0.05, 80  # seconds between signs of life; how many may be missed

Results = dict[tuple[Any, ...], dict[str, Any]]


@dataclass
class Storm:
    """A run folder on which drivers work, and what happens to them."""

    out: Path
    home: DataHome
    dice: random.Random
    plan: Plan = field(init=False)
    faults: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)  # of drivers, by how
    drivers: list[int] = field(default_factory=list)
    hanging: list[int] = field(default_factory=list)  # workers that were stopped

    def __post_init__(self) -> None:
        self.plan = planned(SUITE, METHODS, self.home)

    def results(self) -> Results:
        """Of what is recorded, the runs that did not fail."""
        found = records.each((self.out / "records").glob("*.jsonl"), skipped=[])
        return {one.run_id: one.result.model_dump() for one in found if one.result.status != "failed"}

    def reasons(self) -> list[str]:
        """Why runs failed."""
        found = records.each((self.out / "records").glob("*.jsonl"), skipped=[])
        return [f"{one.run_id}: {one.result.reason}" for one in found if one.result.status == "failed"]

    def weather(self, most: int) -> None:
        """Drivers, one after the other or two at once, and up to `most` faults, until the suite is done."""
        calm = 0
        while not self._done():
            quiet = self.faults.total() >= most
            calm += quiet
            assert calm < CALM, self.reasons()
            self.drivers = [self._driver(not quiet) for _ in range(1 if quiet else self.dice.choice([1, 1, 2]))]
            while any(map(alive_pid, self.drivers)) and not quiet and self.faults.total() < most:
                time.sleep(self.dice.expovariate(5))
                self._strike(self.dice.choice(RUNNING))
            self._collect()
            if not quiet:
                for _ in range(self.dice.randrange(3)):
                    self._strike(self.dice.choice(RESTING))

    @property
    def computed(self) -> int:
        """Operations that all drivers together have had computed, those in flight at their end aside."""
        marks = self.out.parent.with_suffix(".operations")
        return marks.stat().st_size if marks.exists() else 0

    def entries(self) -> list[Path]:
        return [path for path in (self.out / "store").rglob("*") if path.is_file() and path.parent.name != FOLDER]

    def workers(self) -> list[int]:
        found = []
        for driver in self.drivers:
            for task in Path(f"/proc/{driver}/task").glob("*/children"):
                with suppress(OSError):
                    found += [int(pid) for pid in task.read_text().split()]
        return found

    def _done(self) -> bool:
        return len(self.results()) == len(self.plan.runs) if (self.out / "records").exists() else False

    def _strike(self, fault: "Callable[[Storm], bool]") -> None:
        with suppress(FileNotFoundError, ProcessLookupError):  # it was gone already
            self.faults[fault.__name__] += fault(self)

    def _collect(self) -> None:
        for driver in self.drivers:
            ended = os.waitstatus_to_exitcode(os.waitpid(driver, 0)[1])
            self.ends[{0: "done", 2: "one line", -9: "killed"}.get(ended, f"exit {ended}")] += 1
        for pid in self.hanging:  # whose driver is gone, and which cannot notice
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.drivers, self.hanging = [], []

    def _driver(self, jumps: bool) -> int:
        seed = self.dice.random()

        def work() -> None:
            process.BEAT, heartbeat.SILENCE = BEATS
            _counting(self.out.parent.with_suffix(".operations"))
            if jumps:
                _jumping(random.Random(seed))
            try:
                drive(SUITE, METHODS, self.out, self.home, plan=self.plan, executor="local", workers=2)
            except LthbenchError as error:
                assert "\n" not in str(error)
                os._exit(2)

        return forked(work)


def _counting(marks: Path) -> None:
    """Note every operation that is computed."""
    done = Broker._done

    def counted(self: Broker, *args: Any) -> None:
        done(self, *args)
        with marks.open("ab", buffering=0) as file:
            file.write(b".")

    Broker._done = counted  # type: ignore[method-assign]


def _jumping(dice: random.Random) -> None:
    """From now on the wall clock of this process jumps to and fro."""
    real, offset = time.time, [0.0]
    time.time = lambda: real() + offset[0]

    def jump() -> None:
        while True:
            time.sleep(dice.expovariate(3))
            offset[0] = dice.uniform(-YEARS, YEARS)

    threading.Thread(target=jump, daemon=True).start()


def driver_killed(storm: Storm) -> bool:
    os.kill(storm.dice.choice(storm.drivers), signal.SIGKILL)
    return True


def worker_killed(storm: Storm) -> bool:
    return _to_a_worker(storm, lambda pid: os.kill(pid, signal.SIGKILL))


def worker_hangs(storm: Storm) -> bool:
    def stop(pid: int) -> None:
        os.kill(pid, signal.SIGSTOP)
        storm.hanging.append(pid)

    return _to_a_worker(storm, stop)


def worker_without_memory(storm: Storm) -> bool:
    def starve(pid: int) -> None:
        held = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()
        resource.prlimit(pid, resource.RLIMIT_AS, (held, held))

    return _to_a_worker(storm, starve)


def disk_full(storm: Storm) -> bool:
    """The disk is filled to the last block for a while; where it is no disk of its own, nothing happens."""
    if not storm.out.parent.is_mount():
        return False
    ballast = storm.out.parent / "ballast"
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 16))
    time.sleep(storm.dice.uniform(0, 1))
    ballast.unlink()
    return True


def entry_truncated(storm: Storm) -> bool:
    def cut(path: Path) -> None:
        os.truncate(path, storm.dice.randrange(path.stat().st_size))

    return _to_an_entry(storm, cut)


def bit_flipped(storm: Storm) -> bool:
    def flip(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[storm.dice.randrange(len(content))] ^= 1 << storm.dice.randrange(8)
        path.write_bytes(content)

    return _to_an_entry(storm, flip)


def entry_gone(storm: Storm) -> bool:
    return _to_an_entry(storm, Path.unlink)


def records_truncated(storm: Storm) -> bool:
    found = list((storm.out / "records").glob("*.jsonl"))
    if found:
        path = storm.dice.choice(found)
        os.truncate(path, storm.dice.randrange(path.stat().st_size + 1))
    return bool(found)


def read_only(storm: Storm) -> bool:
    """A driver that finds the disk read-only ends with one line."""
    if not storm.out.parent.is_mount():
        return False
    with suppress(OSError):  # a worker that is about to end has a file open
        _mount(storm.out.parent, READ_ONLY | REMOUNT)
    if os.access(storm.out.parent, os.W_OK):
        return False
    try:
        storm.drivers = [storm._driver(False)]
        before = storm.ends["one line"]
        storm._collect()
        assert storm.ends["one line"] == before + 1 or storm._done()
    finally:
        _mount(storm.out.parent, REMOUNT)
    return True


def clock_of_files_jumps(storm: Storm) -> bool:
    for path in storm.entries():
        when = time.time() + storm.dice.uniform(-YEARS, YEARS)
        with suppress(FileNotFoundError):
            os.utime(path, (when, when))
    return True


RUNNING = [  # while drivers work
    *[driver_killed, worker_killed, worker_without_memory] * 2,
    *[worker_hangs, disk_full, entry_gone, clock_of_files_jumps],
]
RESTING = [  # while none does
    entry_truncated,
    bit_flipped,
    entry_truncated,
    bit_flipped,
    entry_gone,
    records_truncated,
    read_only,
]


def _to_a_worker(storm: Storm, harm: Callable[[int], None]) -> bool:
    workers = storm.workers()
    if workers:
        harm(storm.dice.choice(workers))
    return bool(workers)


def _to_an_entry(storm: Storm, harm: Callable[[Path], None]) -> bool:
    entries = [path for path in storm.entries() if path.stat().st_size]
    if entries:
        harm(storm.dice.choice(entries))
    return bool(entries)


READ_ONLY, REMOUNT = 1, 32
_libc = ctypes.CDLL(None, use_errno=True)


def _mount(folder: Path, flags: int) -> None:
    if _libc.mount(b"tmpfs", str(folder).encode(), b"tmpfs", flags, f"size={DISK}".encode()):
        raise OSError(ctypes.get_errno(), errno.errorcode[ctypes.get_errno()])


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """A disk of its own, where one may be mounted. Yields whether it is one."""
    try:
        _mount(folder, 0)
    except OSError:
        yield False
        return
    try:
        yield True
    finally:
        _libc.umount2(str(folder).encode(), 2)


def whole(out: Path) -> None:
    """Every entry that counts is what was written."""
    verify(out)
    assert verify(out)[1] == []
