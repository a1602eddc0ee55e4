"""What a process takes is counted from outside, and what it leaves goes away."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lthbench.submission.verification.jail import tidy, usage

DEEP = """
import os
for _ in range({depth}):
    os.mkdir("d"); os.chdir("d")
"""
UNLINKED = """
import os
fd = os.open("f", os.O_RDWR | os.O_CREAT); os.unlink("f")
for _ in range(12): os.write(fd, os.urandom(1_000_000))
"""
MAPPED = (
    UNLINKED
    + """
import mmap
kept = mmap.mmap(fd, 12_000_000); os.close(fd)
"""
)
BEYOND = """
import ctypes, os
fd = os.open("f", os.O_RDWR | os.O_CREAT)
if ctypes.CDLL(None).fallocate(fd, 1, ctypes.c_long(0), ctypes.c_long(12_000_000)): os.write(fd, os.urandom(12_000_000))
"""
THREADS = """
import threading, time
for _ in range(300): threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
"""
MANY = "[open(f'{n}', 'w').close() for n in range(2_001)]"


RACE = """
import os, threading
def f():
    while True:
        open("a", "w").close(); os.mkdir("b"); os.rmdir("b"); os.unlink("a")
threading.Thread(target=f, daemon=True).start()
"""


@contextmanager
def running(code: str, folder: Path) -> Iterator[int]:
    """A process that has run some code in a folder, and waits."""
    command = [sys.executable, "-c", code + "\nprint('ready', flush=True)\nimport time; time.sleep(60)"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE)
    try:
        assert process.stdout and process.stdout.readline() == b"ready\n"
        yield process.pid
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("", None),
        (DEEP.format(depth=25), "folders more than 20 deep"),
        (UNLINKED, "it wrote more than 10,000,000 bytes"),
        (MAPPED, "it wrote more than 10,000,000 bytes"),
        (BEYOND, "it wrote more than 10,000,000 bytes"),
        (THREADS, "it started 301 threads"),
        (MANY, "more than 2,000 files"),
    ],
)
def test_limits_are_counted_from_outside(
    code: str, said: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "ENTRIES", 2000)
    with running(code, tmp_path) as pid:
        found = usage.excess(pid, str(tmp_path), 10_000_000)
    assert (said is None and found is None) or (said is not None and found is not None and said in found)


def test_a_race_with_the_watch_is_no_error(tmp_path: Path) -> None:
    with running(RACE, tmp_path) as pid:
        for _ in range(300):
            assert usage.excess(pid, str(tmp_path), 10_000_000) is None
    assert usage.excess(2**22 + 1, str(tmp_path / "gone"), 1) is None


def test_deep_and_locked_folders_are_removed(tmp_path: Path) -> None:
    code = "import os\nos.mkdir('locked'); open('locked/f', 'w').close(); os.symlink('/etc', 'locked/l'); os.chmod('locked', 0)\n"
    root = tmp_path / "root"
    root.mkdir()
    with running(code + DEEP.format(depth=1500), root):
        pass
    tidy.remove(str(root))
    assert not root.exists()
    assert Path("/etc").is_dir()


CONFINED = """
import sys
from pathlib import Path
from lthbench.data import DataHome
from lthbench.methods.internals.setting import settings
from lthbench.submission.verification import sandbox
from lthbench.suite import Cell, Suite
home = DataHome(Path(sys.argv[1]), frozenset({"train", "test"}))
suite = Suite.read("smoke")
cell = Cell(suite.workload[0], 0.1, 0.8, 0)
source = "import time\\nopen('alive', 'w')\\ntime.sleep(600)\\n"
job = sandbox.ConfinedJob({"method.py": source}, "x", [cell], suite, settings(suite, home), home)
with sandbox.run(job, sandbox.Limits(500)):
    pass
"""


def test_nothing_outlives_the_verifier(data_folder: Path, tmp_path: Path) -> None:
    """The verifier is killed: the method's process ends, and its folder goes away."""
    from lthbench.submission.verification.jail import landlock, seccomp

    if landlock.abi() < landlock.LEAST or not seccomp.available():
        pytest.skip("the kernel offers no Landlock or no seccomp")
    verifier = subprocess.Popen(
        [sys.executable, "-c", CONFINED, str(data_folder)], env=os.environ | {"TMPDIR": str(tmp_path)}
    )
    try:
        _until(lambda: bool(list(tmp_path.glob("lthbench-retrain-*/job/alive"))))
    finally:
        verifier.send_signal(signal.SIGKILL)
        verifier.wait()
    _until(lambda: not list(tmp_path.glob("lthbench-retrain-*/job")))
    assert not [p for p in Path("/proc").glob("[0-9]*/cmdline") if str(tmp_path).encode() in _read(p)]


def _until(holds: object, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.1)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
