"""Walking an image folder: which files are images, and a count of what is passed over."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from lthbench.errors import InputError

SUFFIXES = (".jpg", ".jpeg", ".png")
CLUTTER = ("__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found")
"""Folders that operating systems, archives and network drives leave in others. They are never classes."""


class File(NamedTuple):
    """An image: its path below the folder, its class, its size in bytes and the time of its last change, in ns."""

    path: str
    label: int
    size: int
    changed: int


Passed = Counter[str]
"""What is passed over: the number of files by suffix, of folders by name with a slash behind it."""


def class_folders(folder: Path, passed: Passed) -> list[str]:
    """Return the names of the class folders in a folder, sorted; count what else is there."""
    if not folder.is_dir():
        return []
    found = []
    for entry in _visible(folder):
        if not entry.is_dir():
            passed[_kind(entry.name)] += 1
        elif entry.name in CLUTTER:
            passed[f"{entry.name}/"] += 1
        else:
            found.append(entry.name)
    return sorted(found)


def images(root: Path, below: str, label: int, passed: Passed, above: tuple[str, ...] = ()) -> Iterator[File]:
    """Yield the images below a folder of one class, in no order. Links are followed; `above` are the real folders so far."""
    above = (*above, os.path.realpath(root / below))
    if above[-1] in above[:-1]:
        raise InputError(f"{root / below} is a link to a folder that holds it; remove the link")
    for entry in _visible(root / below):
        path = f"{below}/{entry.name}"
        if entry.is_dir():
            if entry.name in CLUTTER:
                passed[f"{entry.name}/"] += 1
            else:
                yield from images(root, path, label, passed, above)
        elif entry.name.lower().endswith(SUFFIXES):
            found = entry.stat()
            yield File(path, label, found.st_size, found.st_mtime_ns)
        else:
            passed[_kind(entry.name)] += 1


def described(passed: Mapping[str, int]) -> str:
    """Return what is passed over in words, the most frequent first: `10 .webp, 1 folder @eaDir`."""
    often = sorted(passed.items(), key=lambda item: (-item[1], item[0]))
    words = [f"{count} folder{'s' * (count > 1)} {what[:-1]}" if what.endswith("/") else f"{count} {what}"
             for what, count in often]  # fmt: skip
    return ", ".join(words[:5]) + (f" and {len(words) - 5} other kinds" if len(words) > 5 else "")


def _visible(folder: Path) -> Iterator["os.DirEntry[str]"]:
    with os.scandir(folder) as entries:
        yield from (entry for entry in entries if not entry.name.startswith("."))


def _kind(name: str) -> str:
    """Return the suffix of a file; for an image, which is passed over only beside class folders, where it lies."""
    suffix = Path(name).suffix.lower()
    return f"{suffix} beside the class folders" if suffix in SUFFIXES else suffix or "without a suffix"
