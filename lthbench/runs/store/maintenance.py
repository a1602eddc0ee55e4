"""Looking after stores: what they hold, whether it is whole, throwing away, bringing together. Safe while a suite runs:
what is missing is computed again, and what a driver has in hand is left alone."""

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lthbench.errors import InputError, MissingEntry
from lthbench.runs.store.files import write_whole
from lthbench.runs.store.locks import FOLDER, FileLocks
from lthbench.runs.store.policy import DROPPED, Keep
from lthbench.runs.store.store import Store
from lthbench.suite import in_folder

STALE = 3600.0  # seconds after which a file under a temporary name belongs to a writer that was killed


@dataclass(frozen=True)
class Size:
    """Entries of one kind in the store of one run folder, for one build."""

    run: str
    suite: str
    build: str
    kind: str
    entries: int
    bytes: int


def run_folders(folder: Path) -> list[Path]:
    """The run folders at or right under a folder. InputError where there is none with a store."""
    found = [path for path in (folder, *sorted(folder.glob("*"))) if (path / "store").is_dir()]
    if not found:
        raise InputError(f"{folder} holds no store; give a run folder (runs/digits) or the folder of several (runs)")
    return found


def sizes(folder: Path) -> list[Size]:
    """What lies in the stores at or under a folder, by suite, build and kind."""
    return [
        Size(str(run), in_folder(run).name, store.build, kind.name, len(files), sum(f.stat().st_size for f in files))
        for run in run_folders(folder)
        for store in stores(run)
        for kind in sorted(store.root.iterdir())
        if (files := [path for path in kind.iterdir() if path.is_file()])
    ]


def stores(run: Path) -> list[Store]:
    """The stores of a run folder, one a build."""
    return [Store(run / "store", path.name) for path in sorted((run / "store").iterdir()) if path.is_dir()]


def verify(folder: Path) -> tuple[int, list[Path]]:
    """Read every entry against its digest. How many are whole, and which were damaged and are set aside now."""
    whole, damaged = 0, []
    for run in run_folders(folder):
        for store in stores(run):
            for path in _entries(store):
                try:
                    store.read(path.parent.name, path.stem)
                    whole += 1
                except MissingEntry:
                    damaged.append(path)
    return whole, damaged


def clean(folder: Path, keep: Keep) -> int:
    """Throw away by policy, and what killed writers left. Bytes that are free again."""
    freed = 0
    for run in run_folders(folder):
        for store in stores(run):
            locks = FileLocks(store.root / FOLDER)
            freed += sum(_drop(path) for path in list(store.root.rglob("*")) if _is_left_over(path))
            for kind in DROPPED[keep]:
                for path in (store.root / kind).glob("*"):
                    with locks.held(path.stem, lambda: True) as free:
                        freed += _drop(path) if free else 0
            locks.close()
    return freed


def merge(source: Path, into: Path) -> tuple[int, int]:
    """Bring the entries of one run folder's store into another's. How many were copied, and how many were damaged and are
    left out. What is there already stays as it is."""
    copied = damaged = 0
    for store in [store for run in run_folders(source) for store in stores(run)]:
        target = Store(into / "store", store.build)
        for path in _entries(store):
            kind, key = path.parent.name, path.stem
            if target.has(kind, key):
                continue
            try:
                target.write(kind, key, *store.read(kind, key))
                copied += 1
            except MissingEntry:
                damaged += 1
        for trace in (store.root / "traces").glob("*.jsonl"):
            if not (target.root / "traces" / trace.name).exists():
                write_whole(target.root / "traces" / trace.name, trace.read_bytes())
    return copied, damaged


def move(source: Path, into: Path) -> tuple[int, int]:
    """As `merge`; the source's store is gone afterwards, unless something in it was damaged."""
    copied, damaged = merge(source, into)
    if not damaged:
        for run in run_folders(source):
            shutil.rmtree(run / "store")
    return copied, damaged


def _entries(store: Store) -> Iterator[Path]:
    return (path for path in sorted(store.root.glob("*/*.safetensors")) if not path.name.startswith("."))


def _is_left_over(path: Path) -> bool:
    if path.suffix == ".damaged":
        return True
    return path.name.startswith(".") and path.is_file() and time.time() - path.stat().st_mtime > STALE


def _drop(path: Path) -> int:
    try:
        size = path.stat().st_size
        path.unlink()
        return size
    except FileNotFoundError:  # a driver was faster
        return 0
