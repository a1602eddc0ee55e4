"""Packing an image folder in pieces, so that it may be larger than memory."""

import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import numpy as np

from lthbench.data.images import folder as folders
from lthbench.data.images.decode import CorruptImage
from lthbench.data.images.files import File
from lthbench.data.images.folder import ImageFolder
from lthbench.data.images.survey import Survey, differ, survey
from lthbench.data.names import named
from lthbench.data.packed import packing
from lthbench.data.packed.arrays import Array, ArrayFile, per_piece
from lthbench.data.packed.manifest import Manifest
from lthbench.errors import InputError

Progress = Callable[[int, int], None]  # images done, images in all


def add(
    home: Path, name: str, root: Path, size: int | None = None, skip: bool = False, progress: Progress | None = None
) -> Manifest:
    """Pack the image folder `root` into `home / name`, unless it is packed already. See folder.py for the layouts.

    `size` resizes the shorter side to that many pixels and crops the centre. `skip` leaves corrupt files out. InputError
    where other images have the name, or where the folder cannot become a data set.
    """
    named(name)
    images = folders.read(root)
    manifest = pack_folder(home / name, images, size, skip, progress)
    if manifest.source != images.key(size):
        raise InputError(
            f"{name!r} is packed already, from other files than {images.root} now holds or with another --size; take "
            f"another name, or type: lthbench data remove {name}"
        )
    return manifest


def pack_folder(
    target: Path, images: ImageFolder, size: int | None = None, skip: bool = False, progress: Progress | None = None
) -> Manifest:
    """Pack an image folder into the folder `target`. A data set that is there already stays as it is."""
    if (target / "manifest.json").exists():
        return Manifest.read(target)
    if target.exists():
        raise InputError(
            f"{target} exists and is not a packed data set; take another name, or another folder with --data"
        )
    writer = _Writer(target.name, images, survey(images, size, skip), skip, progress or (lambda done, of: None))
    return packing.fill(target, target.name, writer)


@dataclass(frozen=True)
class _Writer:
    """A function that writes the arrays and the manifest of an image folder into a folder."""

    name: str
    images: ImageFolder
    survey: Survey
    skip: bool
    progress: Progress

    def __call__(self, folder: Path) -> None:
        total = sum(map(len, self.images.splits.values()))
        _room(folder, total * prod(self.survey.shape))
        done = 0
        with ThreadPoolExecutor(self.survey.threads) as pool:
            for split, files in self.images.splits.items():
                for count in self._split(folder, split, files, pool):
                    done += count
                    self.progress(done, total)
        self._describe(folder, total)

    def _split(self, folder: Path, split: str, files: list[File], pool: ThreadPoolExecutor) -> Iterator[int]:
        """Write one split, and yield after every piece the number of files in it."""
        labels: list[int] = []
        step = per_piece(prod(self.survey.shape))
        with ArrayFile(folder / f"{split}.images.npy", self.survey.shape) as out:
            for piece in (files[start : start + step] for start in range(0, len(files), step)):
                read = zip(self._decoded(piece, pool), piece, strict=True)
                good = [(pixels, file.label) for pixels, file in read if pixels is not None]
                out.append(np.array([pixels for pixels, _ in good], dtype=np.uint8))
                labels += [label for _, label in good]
                yield len(piece)
        np.save(folder / f"{split}.labels.npy", np.array(labels, dtype=np.int64))

    def _decoded(self, files: list[File], pool: ThreadPoolExecutor) -> Iterable[Array | None]:
        return map(self._decode, files) if self.survey.threads == 1 else pool.map(self._decode, files)

    def _decode(self, file: File) -> Array | None:
        """Return the pixels of a file; None for a corrupt one that is to be left out."""
        try:
            pixels = self.survey.form.decode(self.images.root / file.path)
        except CorruptImage:
            if self.skip:
                return None
            raise
        height, width, _ = self.survey.shape
        if pixels.shape != self.survey.shape:
            sizes = ("the first", width, height), (file.path, pixels.shape[1], pixels.shape[0])
            raise differ(self.images.root, *sizes)
        return pixels

    def _describe(self, folder: Path, total: int) -> None:
        root, names = self.images.root, self.images.names
        manifest = packing.describe(folder, self.name, tuple(self.images.splits), len(names), names)
        for split, counts in manifest.counts.items():
            if 0 in counts:
                raise InputError(f"{root}: every {split} image of class {names[counts.index(0)]} is corrupt")
        if 0.0 in manifest.std:
            raise InputError(f"{root}: all training images have one and the same colour; there is nothing to learn")
        skipped = total - sum(manifest.sizes.values())
        source, passed = self.images.key(self.survey.form.size), dict(self.images.passed)
        replace(manifest, source=source, skipped=skipped, passed_over=passed).write(folder)


def _room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(
            f"packing needs {needed / 1e9:.3g} GB, {folder.parent} has {free / 1e9:.3g} GB free; make room there, or "
            "name another folder with --data"
        )
