"""The premises of a job: folders with everything that it is given, and what it may read besides.

job/    the one folder that it may write in; given/  its source, its suite and its training data, to read
"""

import os
import shutil
import stat
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lthbench import source as package
from lthbench import suite as suites
from lthbench.data import DataHome, Manifest
from lthbench.data.names import PREFIX, place
from lthbench.data.packed import arrays
from lthbench.errors import InputError
from lthbench.methods import registry
from lthbench.pruning import starts
from lthbench.suite import Cell, Suite

PACKAGE = Path(package.__file__).parent
JAIL = Path(__file__).parent
NOBODY = 65534  # who a method runs as where the verifier is user 0
HIDDEN = ("sklearn", "scikit_learn")  # packages that bring test labels with them
SYSTEM = ("/lib64", "/usr/lib64", "/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu",
          "/usr/lib/aarch64-linux-gnu", "/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo", "/proc/cpuinfo",
          "/proc/meminfo", "/proc/self", "/sys/devices/system", "/dev/null", "/dev/urandom")  # fmt: skip


@dataclass(frozen=True)
class ConfinedJob:
    """Cells of a suite, to be run with a stranger's method. `order` permutes the classes of the training images.

    `sources` are the method's file, method.py, and the modules beside it, by name.
    """

    sources: Mapping[str, str]
    method: str
    cells: Sequence[Cell]
    suite: Suite
    manifests: Mapping[str, Manifest]
    home: DataHome
    order: Sequence[int] | None = None


def user() -> int:
    """Return the user that a method runs as."""
    return os.getuid() or NOBODY


def prepare(job: ConfinedJob, outer: Path) -> dict[str, Any]:
    """Fill the folder of a job. Returns what the supervisor and the jail are told. InputError where it cannot be read."""
    given, folder = outer / "given", outer / "job"
    for made in (given, folder, folder / "left"):
        made.mkdir()
    for name, text in job.sources.items():
        (given / name).write_bytes(text.encode())
    (given / "suite.json").write_text(job.suite.model_dump_json())
    _write_starts(job, given / "data")
    used = {cell.workload.dataset for cell in job.cells}
    linked = [path for name in sorted(used) for path in _data(given / "data", job, name)]
    read = [str(given), *packages(), *map(str, linked), *(path for path in SYSTEM if Path(path).exists())]
    nobody = None if os.getuid() else NOBODY
    if nobody is not None:
        outer.chmod(0o711)
        for made in (folder, folder / "left"):
            os.chown(made, nobody, nobody)
    cells = [[c.workload.name, c.learning_rate, c.sparsity, c.seed] for c in job.cells]
    return {
        "outer": str(outer), "folder": str(folder), "given": str(given), "method": job.method, "cells": cells, "read": read,
        "list": sorted(map(str, folders())), "user": nobody,
        "expose": _roots(outer) if nobody is not None else [],
    }  # fmt: skip


def _write_starts(job: ConfinedJob, data: Path) -> None:
    """Write the pretrained weights that the cells start with into a data folder."""
    for text, pinned in {(cell.workload.start, cell.workload.start_digest) for cell in job.cells}:
        if text:
            starts.known(text, pinned).write(data)


def environment(outer: Path) -> dict[str, str]:
    """Return an environment with nothing of the caller's but where modules are."""
    folder = outer / "job"
    return {
        "PATH": "/usr/bin:/bin", "HOME": str(folder), "TMPDIR": str(folder), "PYTHONPATH": str(PACKAGE.parent.resolve()),
        "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1", "LTHBENCH_DATA": str(outer / "given/data"),
        "LANG": "C.UTF-8",
    }  # fmt: skip


def packages() -> list[str]:
    """Return the files and folders of Python's modules and of lthbench, without packages that bring test labels."""
    own = {PACKAGE, registry.FOLDER, suites.FOLDER, Path(sys.prefix) / "pyvenv.cfg"}
    there = folders()
    found = {path for folder in there for path in folder.iterdir() if not path.name.startswith(HIDDEN)}
    return sorted(str(path.resolve()) for path in own | {p for p in found - there if p.name != "site-packages"})


def folders() -> set[Path]:
    """Return where Python itself and what is installed lie; not where the caller happens to stand."""
    named = sysconfig.get_paths()
    return {Path(named[name]).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib")}


def _data(folder: Path, job: ConfinedJob, name: str) -> list[Path]:
    """Make a data folder with the training split of a data set and one blank test image. Returns files it links to."""
    if name.startswith(PREFIX):
        raise InputError(f"{name} is a folder as it is, which is not handed to a stranger's code; pack it under a name")
    packed, target, manifest = place(job.home.folder, name), folder / name, job.manifests[name]
    target.mkdir(parents=True)
    linked = []
    for path in (path.resolve() for path in packed.iterdir() if path.name.startswith("train.")):
        if job.order is not None and path.name == "train.labels.npy":
            continue
        if _readable(path):
            (target / path.name).symlink_to(path)
            linked.append(path)
        else:
            shutil.copyfile(path, target / path.name)
    _describe(target, manifest, job.order, packed)
    return linked


def _describe(target: Path, manifest: Manifest, order: Sequence[int] | None, packed: Path) -> None:
    """Write a blank test split, permuted labels where they are asked for, and the manifest of what is there now."""
    channels, height, width = manifest.shape
    images, labels = np.zeros((1, height, width, channels), np.uint8), np.zeros(1, np.int64)
    np.save(target / "test.images.npy", images)
    np.save(target / "test.labels.npy", labels)
    prints = {"test": arrays.fingerprint(images, labels)}
    if order is not None:
        permuted = np.asarray(order, np.int64)[np.load(packed / "train.labels.npy")]
        np.save(target / "train.labels.npy", permuted)
        prints["train"] = arrays.fingerprint(np.load(packed / "train.images.npy", mmap_mode="r"), permuted)
    described = manifest.__dict__ | {"sizes": manifest.sizes | {"test": 1}, "counts": {}}
    Manifest(**described | {"fingerprints": manifest.fingerprints | prints}).write(target)


def _roots(outer: Path) -> list[str]:
    """Return the folders that the user NOBODY has to reach."""
    installed = {Path(sys.prefix), Path(sys.base_prefix), *folders(), PACKAGE, registry.FOLDER, suites.FOLDER}
    return sorted({str(path.resolve()) for path in (*installed, outer)})


def _readable(path: Path) -> bool:
    """Say whether the user that a method runs as can read a file or folder."""
    if os.getuid():
        return os.access(path, os.R_OK)
    wanted = stat.S_IROTH | (stat.S_IXOTH if path.is_dir() else 0)
    return path.stat().st_mode & wanted == wanted and all(p.stat().st_mode & stat.S_IXOTH for p in path.parents)
