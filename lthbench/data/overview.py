"""What is packed in a data folder, what could be, and how it is removed from there."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from lthbench.data.packed.manifest import Manifest
from lthbench.data.packed.packing import alone, clear
from lthbench.data.published import PUBLISHED
from lthbench.data.sources import EMBEDDED
from lthbench.errors import InputError, unknown

FOLDERS = ("cifar10-jpeg", "imagenet", "tiny-imagenet")  # image folders that `data add` packs, fetched by hand


@dataclass(frozen=True)
class Entry:
    """A data set: its manifest where it is ready, its bytes on disk, and else what to type."""

    name: str
    manifest: Manifest | None
    disk: int
    advice: str


def entries(folder: Path) -> list[Entry]:
    """Every data set that is packed or known, by name."""
    return [_entry(folder, name) for name in sorted({*packed(folder), *EMBEDDED, *PUBLISHED, *FOLDERS})]


def packed(folder: Path) -> list[str]:
    """The names of the data sets that are packed in a folder."""
    return sorted(path.parent.name for path in folder.glob("[!.]*/manifest.json"))


def remove(folder: Path, name: str, raw: bool = False) -> int:
    """Remove a packed data set and, if `raw`, what was downloaded for it. Returns the bytes that this makes free."""
    doomed = [folder / name] * (name in packed(folder))
    if raw and name in PUBLISHED:
        doomed += [path for path in (folder / "raw" / name, folder / "raw" / f".{name}") if path.is_dir()]
    if not doomed:
        raise InputError(unknown("packed data set", name, packed(folder)) + f" (in {folder})")
    freed = sum(map(_disk, doomed))
    for path in doomed:
        _remove(path)
    return freed


def advice(name: str) -> str:
    """What to type for a data set that is known and not packed."""
    if name in EMBEDDED:
        return "packed when it is first used"
    if name in PUBLISHED:
        return f"lthbench data get {name}"
    return f"lthbench data add {name} PATH"


def _remove(path: Path) -> None:
    """Renamed before it is emptied, so that a kill on the way leaves nothing that a start takes for whole."""
    try:
        with alone(path):
            clear(path)
            going = path.with_name(f".{path.name}.{os.getpid()}")
            path.rename(going)
            shutil.rmtree(going)
    except OSError as error:
        raise InputError(f"cannot remove {path}: {error.strerror or error}") from None


def _entry(folder: Path, name: str) -> Entry:
    if not (folder / name / "manifest.json").exists():
        return Entry(name, None, 0, advice(name))
    try:
        return Entry(name, Manifest.read(folder / name), _disk(folder / name), "")
    except InputError:
        return Entry(name, None, _disk(folder / name), f"damaged: lthbench data remove {name}")


def _disk(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
