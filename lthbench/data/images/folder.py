"""A folder of images: which layout it has, which classes, which files, in which order. Opens no image.

    train/<class>/**/*.jpg|jpeg|png  with  test/<class>/…  or  val/<class>/…     (ImageNet: train/ and val/)
    train/<class>/images/*.JPEG  with  val/images/*.JPEG and val/val_annotations.txt     (Tiny-ImageNet as published)

Classes are in the order of their names, images in the order of their paths. What begins with a dot is skipped.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from lthbench import keys
from lthbench.errors import InputError

SUFFIXES = (".jpg", ".jpeg", ".png")
LAYOUT = "train/<class>/*.jpg (or .jpeg, .png) and test/<class>/ or val/<class>/ beside it"


class File(NamedTuple):
    """An image: its path below the folder, its class, its size in bytes and when it changed, in ns."""

    path: str
    label: int
    size: int
    changed: int


@dataclass(frozen=True)
class ImageFolder:
    """The classes and files of an image folder; `test` says which folder its test split was read from."""

    root: Path
    names: tuple[str, ...]
    splits: dict[str, list[File]]
    test: str

    def key(self, *options: str | int | None) -> str:
        """A key of names, sizes and times of all files, and of how they are to be packed."""
        lines = (f"{split}\0{file.path}\0{file.label}\0{file.size}\0{file.changed}" for split, file in self._files())
        return keys.key("image folder", list(options), "\n".join(lines).encode(errors="surrogateescape"))

    def _files(self) -> Iterator[tuple[str, File]]:
        return ((split, file) for split, files in self.splits.items() for file in files)


def read(root: Path) -> ImageFolder:
    """What lies in an image folder. InputError where it is no image folder, or one that cannot be trained on."""
    root = root.expanduser().resolve()
    if not root.is_dir():
        raise InputError(f"there is no folder {root}; give one that holds {LAYOUT}")
    try:
        names = _classes(root / "train")
        train = [file for label, name in enumerate(names) for file in _class(root, f"train/{name}", label)]
        test, files = _test(root, names)
    except OSError as error:
        raise InputError(f"cannot read {error.filename or root}: {error.strerror or error}") from None
    return ImageFolder(root, names, {"train": train, "test": files}, test)


def _test(root: Path, names: tuple[str, ...]) -> tuple[str, list[File]]:
    if (root / "val/val_annotations.txt").is_file() and (root / "val/images").is_dir():
        return "val", list(_annotated(root, names))
    part = next((part for part in ("test", "val") if _folders(root / part)), None)
    if part is None:
        raise InputError(f"{root} holds no class folders in test/ or val/; what is needed: {LAYOUT}")
    _agree(root, part, names, _folders(root / part))
    return part, [file for label, name in enumerate(names) for file in _class(root, f"{part}/{name}", label)]


def _annotated(root: Path, names: tuple[str, ...]) -> Iterator[File]:
    """Tiny-ImageNet's validation images: a line is `file <tab> class <tab> box`."""
    lines = (root / "val/val_annotations.txt").read_text().splitlines()
    pairs = sorted(tuple(line.split("\t")[:2]) for line in lines if line.strip())
    if bad := [pair for pair in pairs if len(pair) != 2]:
        raise InputError(f"{root}/val/val_annotations.txt: {bad[0][0]!r} is no line of file, tab, class")
    _agree(root, "val", names, sorted({name for _, name in pairs}))
    label = {name: number for number, name in enumerate(names)}
    for file, name in pairs:
        found = (root / "val/images" / file).stat()
        yield File(f"val/images/{file}", label[name], found.st_size, found.st_mtime_ns)


def _classes(train: Path) -> tuple[str, ...]:
    found = _folders(train)
    if not found:
        there = ", ".join(sorted(path.name for path in train.parent.iterdir())[:5]) or "nothing"
        raise InputError(f"{train} holds no class folders (in {train.parent}: {there}); what is needed: {LAYOUT}")
    if len(found) < 2:
        raise InputError(f"{train} holds one class, {found[0]}: too few to tell apart; two or more are needed")
    return tuple(found)


def _folders(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))


def _agree(root: Path, part: str, train: tuple[str, ...], test: list[str]) -> None:
    only = [f"only in {p}/: {', '.join(sorted(names)[:3])}" + (f" and {len(names) - 3} more" if len(names) > 3 else "")
            for p, names in (("train", {*train} - {*test}), (part, {*test} - {*train})) if names]  # fmt: skip
    if only:
        raise InputError(f"the classes of train/ and {part}/ in {root} differ ({'; '.join(only)}); make them the same")


def _class(root: Path, below: str, label: int) -> list[File]:
    found = sorted(_images(root, below, label))
    if not found:
        raise InputError(f"{root / below} holds no image ({', '.join(SUFFIXES)}); fill the folder or remove the class")
    return found


def _images(root: Path, below: str, label: int) -> Iterator[File]:
    with os.scandir(root / below) as entries:
        for entry in entries:
            path = f"{below}/{entry.name}"
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _images(root, path, label)
            elif entry.name.lower().endswith(SUFFIXES):
                found = entry.stat()
                yield File(path, label, found.st_size, found.st_mtime_ns)
