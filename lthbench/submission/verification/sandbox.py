"""Runs a job in the jail from outside: prepares its folder, starts it, watches the clock and the disk, reads what it left."""

import json
import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lthbench import source, suite
from lthbench.data import DataHome, Manifest
from lthbench.data.names import PREFIX, place
from lthbench.data.packed import arrays
from lthbench.errors import InputError
from lthbench.methods import registry
from lthbench.submission.bundle.bundle import TICKET_BYTES
from lthbench.submission.bundle.container import Folder
from lthbench.submission.bundle.manifest import BundleError
from lthbench.submission.verification.jail import landlock, seccomp

PACKAGE = Path(source.__file__).parent
JAIL = Path(__file__).parent / "jail"
HIDDEN = ("sklearn", "scikit_learn")  # packages that bring test labels with them
SYSTEM = ("/lib64", "/usr/lib64", "/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu",
          "/usr/lib/aarch64-linux-gnu", "/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo", "/proc/cpuinfo",
          "/proc/meminfo", "/proc/self", "/sys/devices/system", "/dev/null", "/dev/urandom")  # fmt: skip


@dataclass(frozen=True)
class Limits:
    """What a job may take: seconds on the clock, bytes of address space, bytes on disk."""

    seconds: int = 3600
    memory: int = 16_000_000_000
    disk: int = 8_000_000_000

    @property
    def resources(self) -> dict[str, int]:
        """By the names of setrlimit."""
        cpu = self.seconds + 60
        return {"CPU": cpu, "AS": self.memory, "FSIZE": self.disk, "NOFILE": 1024, "CORE": 0}

    @property
    def words(self) -> str:
        return f"{self.seconds} s, {self.memory / 1e9:g} GB of memory, {self.disk / 1e9:g} GB of disk"


@dataclass(frozen=True)
class Left:
    """What a job left: one JSON object a run, files of tensors, what it was refused, and how it ended."""

    runs: tuple[Mapping[str, Any], ...]
    files: Folder = field(repr=False)
    tried: tuple[str, ...]
    ended: str | None  # None where it ended by itself, without an error

    def content(self, name: str) -> bytes:
        """A file of tensors."""
        return self.files.read(name, TICKET_BYTES)


@contextmanager
def job(
    source: str, method: str, cells: Sequence[Any], of: suite.Suite, manifests: Mapping[str, Manifest],
    home: DataHome, limits: Limits,
) -> Iterator[Left]:  # fmt: skip
    """Run cells of a suite with a stranger's method. InputError where this system cannot confine it."""
    if not (landlock.abi() and seccomp.available()):
        raise InputError(
            "--retrain runs a stranger's code, and this system cannot confine it: that takes Linux 5.13 or newer with "
            "Landlock and seccomp, on x86-64 or aarch64"
        )
    with tempfile.TemporaryDirectory(prefix="lthbench-retrain-") as name:
        folder = Path(name).resolve() / "job"
        (folder / "left").mkdir(parents=True)
        (folder / "method.py").write_text(source)
        (folder / "suite.json").write_text(of.model_dump_json())
        used = {w.dataset for w in of.workload if w.name in {cell[0] for cell in cells}}
        linked = [path for dataset in used for path in _data(folder / "data", home, dataset, manifests[dataset])]
        read = [*_packages(), *map(str, linked), *(path for path in SYSTEM if Path(path).exists())]
        plain = {"folder": str(folder), "method": method, "cells": [list(c) for c in cells], "read": read}
        (folder / "job.json").write_text(
            json.dumps(plain | {"list": sorted(map(str, _folders())), "limits": limits.resources})
        )
        ended, tried = _run(folder, limits)
        yield Left(*_left(folder / "left"), tried, ended)


def _run(folder: Path, limits: Limits) -> tuple[str | None, tuple[str, ...]]:
    """How the process ended, and what it tried."""
    reading, writing = os.pipe()
    command = [sys.executable, "-s", str(JAIL), str(folder / "job.json"), str(writing)]
    with (folder.parent / "said").open("w+b") as said:
        process = subprocess.Popen(
            command, cwd=folder, env=_environment(folder), stdin=subprocess.DEVNULL, stdout=said, stderr=said,
            pass_fds=(writing,), start_new_session=True,
        )  # fmt: skip
        os.close(writing)
        try:
            ended = _watched(process, folder.parent, limits)
        finally:
            process.kill()
            process.wait()
        said.seek(max(0, said.tell() - 4000))
        lines = said.read(4000).decode(errors="replace").strip().splitlines()
    os.set_blocking(reading, False)
    with os.fdopen(reading, "rb") as pipe:
        tried = (pipe.read(65536) or b"").decode(errors="replace").splitlines()
    if ended is None and process.returncode:
        ended = _how(process.returncode) + (f": {lines[-1][:300]}" if lines else "")
    return ended, tuple(dict.fromkeys(tried))


def _watched(process: "subprocess.Popen[bytes]", folder: Path, limits: Limits) -> str | None:
    """Wait for a process; say which limit it broke."""
    end = time.monotonic() + limits.seconds
    while True:
        try:
            process.wait(0.5)
            return None
        except subprocess.TimeoutExpired:
            if time.monotonic() > end:
                return f"it was still running after {limits.seconds} s"
            if sum(p.lstat().st_size for p in folder.rglob("*") if not p.is_symlink()) > limits.disk:
                return f"it wrote more than {limits.disk:,} bytes"


def _how(code: int) -> str:
    return f"it was ended by {signal.Signals(-code).name}" if code < 0 else f"it ended with exit code {code}"


def _left(folder: Path) -> tuple[tuple[Mapping[str, Any], ...], Folder]:
    """The lines and files that a job left; lines that cannot be read are as good as not there."""
    files = Folder(folder)
    try:
        lines = files.read("left.jsonl", 50_000_000).decode().split("\n")
        runs = [json.loads(line) for line in lines if line]
    except (BundleError, ValueError, RecursionError):
        return (), files
    return tuple(run for run in runs if isinstance(run, dict)), files


def _data(folder: Path, home: DataHome, name: str, manifest: Manifest) -> list[Path]:
    """A data folder with the training split of a data set and one blank test image. Returns the files it links to."""
    if name.startswith(PREFIX):
        raise InputError(f"{name} is a folder as it is, which is not handed to a stranger's code; pack it under a name")
    packed, target = place(home.folder, name), folder / name
    target.mkdir(parents=True)
    linked = [path.resolve() for path in packed.iterdir() if path.name.startswith("train.")]
    for path in linked:
        (target / path.name).symlink_to(path)
    channels, height, width = manifest.shape
    images, labels = np.zeros((1, height, width, channels), np.uint8), np.zeros(1, np.int64)
    np.save(target / "test.images.npy", images)
    np.save(target / "test.labels.npy", labels)
    blank = {"test": arrays.fingerprint(images, labels)}
    described = manifest.__dict__ | {"sizes": manifest.sizes | {"test": 1}, "counts": {}}
    Manifest(**described | {"fingerprints": manifest.fingerprints | blank}).write(target)
    return linked


def _packages() -> list[str]:
    """The files and folders of Python's modules and of lthbench, without the packages that bring test labels."""
    own = {PACKAGE, registry.FOLDER, suite.FOLDER, Path(sys.prefix) / "pyvenv.cfg"}
    folders = _folders()
    found = {path for folder in folders for path in folder.iterdir() if not path.name.startswith(HIDDEN)}
    return sorted(str(path.resolve()) for path in own | {p for p in found - folders if p.name != "site-packages"})


def _folders() -> set[Path]:
    """Where Python itself and what is installed lie; not where the caller happens to stand."""
    named = sysconfig.get_paths()
    return {Path(named[name]).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib")}


def _environment(folder: Path) -> dict[str, str]:
    """Nothing of the caller's environment but where modules are."""
    own = str(PACKAGE.parent.resolve())
    return {
        "PATH": "/usr/bin:/bin", "HOME": str(folder), "TMPDIR": str(folder), "PYTHONPATH": own,
        "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1", "LTHBENCH_DATA": str(folder / "data"), "LANG": "C.UTF-8",
    }  # fmt: skip
