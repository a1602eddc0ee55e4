"""Maintenance of stores: show their content, verify it, delete entries, merge stores.

All of this is safe while a suite runs. Missing entries are computed again. Values and traces that a driver is at work on
are left alone: their locks have their names.
"""

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lthbench.errors import InputError, MissingEntry
from lthbench.runs.store.files import files_below, sizes_below, write_whole
from lthbench.runs.store.locks import FOLDER, FileLocks
from lthbench.runs.store.policy import DROPPED, Keep
from lthbench.runs.store.store import Store
from lthbench.suite import in_folder

STALE = 3600.0  # seconds after which a file under a temporary name belongs to a writer that was killed


@dataclass(frozen=True)
class Size:
    """Entries of one kind in the store of one run folder, for one environment."""

    run: str
    suite: str
    environment: str
    kind: str
    entries: int
    bytes: int


def run_folders(folder: Path) -> list[Path]:
    """Return the run folders at or directly under a folder. InputError where none has a store."""
    found = [path for path in (folder, *sorted(folder.glob("*"))) if (path / "store").is_dir()]
    if not found:
        raise InputError(f"{folder} holds no store; give a run folder (runs/digits) or the folder of several (runs)")
    return found


def sizes(folder: Path) -> list[Size]:
    """Return the sizes of the stores at or under a folder, by suite, environment and kind."""
    return [
        Size(
            str(run),
            in_folder(run).name,
            store.environment,
            kind.name,
            len(found),
            sum(found),
        )
        for run in run_folders(folder)
        for store in stores(run)
        for kind in sorted(store.root.iterdir())
        if kind.name != FOLDER and (found := list(sizes_below(kind)))
    ]


def stores(run: Path) -> list[Store]:
    """Return the stores of a run folder, one for each environment."""
    return [Store(run / "store", path.name) for path in sorted((run / "store").iterdir()) if path.is_dir()]


def verify(folder: Path) -> tuple[int, list[Path]]:
    """Check every entry against its digest. Returns the number of whole entries, and the damaged ones, now set aside.

    Entries that a driver drops meanwhile are neither.
    """
    whole, damaged = 0, []
    for run in run_folders(folder):
        for store in stores(run):
            for path in _entries(store):
                try:
                    store.read(path.parent.name, path.stem)
                    whole += 1
                except MissingEntry:
                    damaged += [path] if path.with_suffix(".damaged").exists() else []
    return whole, damaged


def clean(folder: Path, keep: Keep) -> int:
    """Delete entries by policy, and the files of killed writers. Returns the bytes freed."""
    freed = 0
    for run in run_folders(folder):
        for store in stores(run):
            locks = FileLocks(store.root / FOLDER)
            freed += sum(_drop(path) for path in list(files_below(store.root)) if _is_left_over(path))
            for kind in DROPPED[keep]:
                for path in (store.root / kind).glob("*"):
                    with locks.held(path.stem, lambda: True) as free:
                        freed += _drop(path) if free else 0
            locks.close()
    return freed


def merge(source: Path, into: Path) -> tuple[int, int]:
    """Copy the entries of the stores at or under `source` into the store of run folder `into`.

    Returns the number of copied entries, and of damaged ones, which are left out. Whole entries of the target stay. `into`
    may be one of several run folders under `source`. InputError where it is the only one, or where one of the two stores
    lies in the other.
    """
    return _brought(source, into, moving=False)


def move(source: Path, into: Path) -> tuple[int, int]:
    """Do the same as `merge`, then remove each entry from the source that is whole in `into`.

    Damaged entries stay, and so do those written meanwhile. Where a store is a link to a folder, only the link is removed.
    """
    return _brought(source, into, moving=True)


def _brought(source: Path, into: Path, moving: bool) -> tuple[int, int]:
    copied = damaged = 0
    for run in _sources(source, into):
        for store in stores(run):
            target = Store(into / "store", store.environment)
            new, broken = _copied(store, target, moving and not (run / "store").is_symlink())
            copied, damaged = copied + new, damaged + broken
        if moving:
            _clear(run / "store", whole=not damaged)
    return copied, damaged


def _sources(source: Path, into: Path) -> list[Path]:
    """Return the run folders to copy from, each store once. InputError where one overlaps the target's store."""
    target = (into / "store").resolve()
    found = {(run / "store").resolve(): run for run in run_folders(source)}
    others = {store: run for store, run in found.items() if not _is_same(store, target)}
    if not others:
        raise InputError(f"{source} holds the store of {into} and no other; name another run folder to merge")
    for store, run in others.items():
        if target in store.parents or store in target.parents:
            raise InputError(f"the stores of {run} and {into} overlap: one lies inside the other; move {into} first")
    return list(others.values())


def _is_same(a: Path, b: Path) -> bool:
    return a == b or (a.exists() and b.exists() and a.samefile(b))


def _copied(store: Store, target: Store, moving: bool) -> tuple[int, int]:
    """Copy one store's entries and traces. Returns the number of new ones, and of damaged ones."""
    copied = damaged = 0
    for path in _entries(store):
        try:
            copied += _copy(store, target, path.parent.name, path.stem)
        except MissingEntry:
            damaged += 1
            continue
        if moving:
            _remove(path, target.path(path.parent.name, path.stem))
    for trace in sorted((store.root / "traces").glob("*.jsonl")):
        kept = _copy_trace(trace, target.root / "traces" / trace.name)
        if moving and kept:
            _remove(trace, target.root / "traces" / trace.name)
    return copied, damaged


def _copy(store: Store, target: Store, kind: str, key: str) -> bool:
    """Copy an entry, unless the target has it whole. MissingEntry where neither of the two is whole."""
    if target.has(kind, key):
        with suppress(MissingEntry):  # damaged, and set aside by reading it
            target.read(kind, key)
            return False
    target.write(kind, key, *store.read(kind, key))
    return True


def _copy_trace(trace: Path, target: Path) -> bool:
    """Copy a trace that is new or that extends the target's. Returns whether the target now holds all of it."""
    content, there = trace.read_bytes(), target.read_bytes() if target.exists() else b""
    if content.startswith(there):
        write_whole(target, content)
        return True
    return there.startswith(content)


def _remove(path: Path, copy: Path) -> None:
    """Remove a file that was copied, unless a link in its path makes it the copy itself."""
    if not _is_same(path, copy):
        path.unlink(missing_ok=True)


def _clear(store: Path, whole: bool) -> None:
    """Remove the folders that a move left empty and, where the store was `whole`, leftover files. A link is removed itself."""
    if store.is_symlink():
        store.unlink()
        return
    for path in sorted(store.rglob("*"), reverse=True):
        if path.is_dir():
            with suppress(OSError):  # a file was written meanwhile
                path.rmdir()
        elif whole and _is_left_over(path):
            path.unlink(missing_ok=True)
    with suppress(OSError):
        store.rmdir()


def _entries(store: Store) -> Iterator[Path]:
    return (path for path in sorted(store.root.glob("*/*.safetensors")) if not path.name.startswith("."))


def _is_left_over(path: Path) -> bool:
    if path.suffix == ".damaged":
        return True
    try:
        return path.name.startswith(".") and path.is_file() and time.time() - path.stat().st_mtime > STALE
    except FileNotFoundError:  # its writer has renamed it
        return False


def _drop(path: Path) -> int:
    try:
        size = path.stat().st_size
        path.unlink()
        return size
    except FileNotFoundError:  # a driver was faster
        return 0
