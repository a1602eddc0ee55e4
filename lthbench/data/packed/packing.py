"""Packing a data set, whole or not at all: a folder is filled under another name, its manifest last, and then renamed.

One process at a time packs a name. Another one waits, and then takes the data set that is there. The next packing of
a name removes the leftovers of one that was killed.
"""

import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from lthbench import system
from lthbench.data.packed.arrays import Array, fingerprint, moments
from lthbench.data.packed.manifest import Manifest
from lthbench.errors import InputError

log = logging.getLogger(__name__)

PAUSE = 0.2  # seconds between two tries for a lock


def fill(target: Path, name: str, write: Callable[[Path], None]) -> Manifest:
    """Have `write` fill a folder with arrays and manifest, and rename it to `target`, unless `target` exists by then.

    An OSError, as from a full disk, becomes an InputError, and nothing stays on the disk.
    """
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with alone(target) as locked:
            if locked:
                clear(target)
            if not target.exists():
                _fill(target, temporary, write)
    except OSError as error:
        if not (target / "manifest.json").exists():
            raise InputError(f"cannot pack {name!r} into {target.parent}: {error.strerror or error}") from None
    return Manifest.read(target)


def _fill(target: Path, temporary: Path, write: Callable[[Path], None]) -> None:
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        write(temporary)
        _sync(temporary)
        if not target.exists():
            temporary.rename(target)
            _sync_one(target.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def describe(folder: Path, name: str, splits: Sequence[str], classes: int, names: Sequence[str] = ()) -> Manifest:
    """Return the manifest of the arrays in a folder, which are read back from there."""
    read = {split: arrays(folder, split) for split in splits}
    mean, std = moments(read["train"][0])
    height, width, channels = read["train"][0].shape[1:]
    return Manifest(
        name=name,
        classes=classes,
        shape=(channels, height, width),
        mean=mean,
        std=std,
        sizes={split: len(labels) for split, (_, labels) in read.items()},
        fingerprints={split: fingerprint(*pair) for split, pair in read.items()},
        names=tuple(names),
        counts={s: tuple(np.bincount(labels, minlength=classes).tolist()) for s, (_, labels) in read.items()},
    )


def arrays(folder: Path, split: str) -> tuple[Array, Array]:
    """Return images uint8 [N, H, W, C], mapped and not writable, and labels int64 [N]. Raises OSError or ValueError."""
    images = np.load(folder / f"{split}.images.npy", mmap_mode="r")
    labels = np.load(folder / f"{split}.labels.npy")
    if (images.dtype, labels.dtype) != (np.uint8, np.int64) or (images.ndim, labels.ndim) != (4, 1):
        raise ValueError(f"{split}: images are {images.dtype} {images.shape}, labels {labels.dtype} {labels.shape}")
    return images, labels


@contextmanager
def alone(target: Path) -> Iterator[bool]:
    """Hold the lock of a name, after a wait if another process has it. Yields False on a file system without locks."""
    path = target.with_name(f".{target.name}.lock")
    handle = _lock(path)
    try:
        yield handle is not None
    finally:
        if handle is not None:
            system.unlock(handle, path)


def _lock(path: Path) -> int | None:
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _wait(handle, path)
        except OSError:
            os.close(handle)
            path.unlink(missing_ok=True)
            return None
        if path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
            return handle
        os.close(handle)  # the process that had the lock has removed its file


def _wait(handle: int, path: Path) -> None:
    if not system.lock(handle):
        log.warning("another process packs %s; waiting for it", path.name[1:].removesuffix(".lock"))
        while not system.lock(handle):
            time.sleep(PAUSE)


def clear(target: Path) -> None:
    """Remove the leftovers of killed packings of this name. Needs the lock."""
    stale = re.compile(rf"\.{re.escape(target.name)}\.\d+")
    for path in target.parent.iterdir():
        if stale.fullmatch(path.name):
            shutil.rmtree(path, ignore_errors=True)


def _sync(folder: Path) -> None:
    for path in [*folder.iterdir(), folder]:
        _sync_one(path)


def _sync_one(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
