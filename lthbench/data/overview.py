"""An overview of a data folder: the data sets that are packed, those that could be, and their removal."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from lthbench.data.images.files import SUFFIXES, described
from lthbench.data.packed.manifest import Manifest
from lthbench.data.packed.packing import alone, clear
from lthbench.data.published import PUBLISHED
from lthbench.data.sources import EMBEDDED
from lthbench.errors import InputError, unknown

FOLDERS = {
    "cifar10-jpeg": "",
    "cifar10-jpeg-16": " --size 16",
    "imagenet": " --size 224 --encoded",
    "tiny-imagenet": "",
}
"""Image folders that `data add` packs, fetched by hand, and the options that each needs."""


@dataclass(frozen=True)
class Entry:
    """A data set: its manifest where it is ready, its bytes on disk, and what to type where it is not ready."""

    name: str
    manifest: Manifest | None
    disk: int
    advice: str


def entries(folder: Path) -> list[Entry]:
    """Return every data set that is packed or known, by name."""
    return [_entry(folder, name) for name in sorted({*packed(folder), *EMBEDDED, *PUBLISHED, *FOLDERS})]


def packed(folder: Path) -> list[str]:
    """Return the names of the data sets that are packed in a folder."""
    return sorted(path.parent.name for path in folder.glob("[!.]*/manifest.json"))


def remove(folder: Path, name: str, raw: bool = False) -> int:
    """Remove a packed data set and, if `raw`, its downloaded files. Returns the number of bytes that are free again."""
    doomed = [folder / name] * (name in packed(folder))
    if raw and name in PUBLISHED:
        doomed += [path for path in (folder / "raw" / name, folder / "raw" / f".{name}") if path.is_dir()]
    if not doomed:
        raise InputError(unknown("packed data set", name, packed(folder)) + f" (in {folder})")
    freed = sum(map(_disk, doomed))
    for path in doomed:
        _remove(path)
    return freed


def left_out(manifest: Manifest) -> list[str]:
    """Return lines that say what of an image folder is not in a data set."""
    lines = [f"passed over, for only {', '.join(SUFFIXES)} are read: {described(manifest.passed_over)}"]
    corrupt = f"{manifest.skipped} corrupt image{'s are' if manifest.skipped > 1 else ' is'} left out"
    return lines * bool(manifest.passed_over) + [corrupt] * bool(manifest.skipped)


def advice(name: str) -> str:
    """Return what to type for a data set that is known and not packed."""
    if name in EMBEDDED:
        return "packed when it is first used"
    if name in PUBLISHED:
        return f"lthbench data get {name}"
    return f"lthbench data add {name} PATH{FOLDERS.get(name, '')}"


def _remove(path: Path) -> None:
    """Remove a folder. It is renamed first, so that a kill in between leaves nothing that looks whole."""
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
