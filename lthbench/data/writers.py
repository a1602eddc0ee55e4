"""Writing a source of images in pieces, so that it may be larger than memory: as pixels, or as the bytes of its files."""

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from lthbench.data.images.decode import CorruptImage, look
from lthbench.data.images.source import Image, ImageSource
from lthbench.data.images.survey import Survey, differ
from lthbench.data.packed import encoded, packing
from lthbench.data.packed.arrays import Array, ArrayFile, Moments, per_piece
from lthbench.data.packed.manifest import Manifest
from lthbench.errors import InputError

Progress = Callable[[int, int], None]  # images done, images in all
T = TypeVar("T")


@dataclass(frozen=True)
class Writer:
    """A function that writes the arrays and the manifest of a source of images into a folder. `source` is its key."""

    name: str
    images: ImageSource
    survey: Survey
    skip: bool
    progress: Progress
    source: str

    def __call__(self, folder: Path) -> None:
        total = sum(map(len, self.images.splits.values()))
        _room(folder, self.needed(total))
        done = 0
        with ThreadPoolExecutor(self.survey.threads) as pool:
            for split, files in self.images.splits.items():
                for count in self.split(folder, split, files, pool):
                    done += count
                    self.progress(done, total)
        self._describe(folder, total)

    def needed(self, total: int) -> int:
        """Return the bytes that a number of images take on the disk, as far as that is known before."""
        raise NotImplementedError

    def split(self, folder: Path, split: str, files: Sequence[Any], pool: ThreadPoolExecutor) -> Iterator[int]:
        """Write one split, and yield after every piece the number of images in it."""
        raise NotImplementedError

    def manifest(self, folder: Path) -> Manifest:
        """Return the manifest of the arrays in a folder."""
        raise NotImplementedError

    def read(self, piece: Sequence[Any], pool: ThreadPoolExecutor, read: Callable[[Any], T]) -> list[tuple[T, Any]]:
        """Return what `read` makes of the images of a piece, with the images; without corrupt ones that are left out."""

        def good(file: Any) -> T | None:
            try:
                return read(file)
            except CorruptImage:
                if self.skip:
                    return None
                raise

        found: Iterable[T | None] = map(good, piece) if self.survey.threads == 1 else pool.map(good, piece)
        return [(one, file) for one, file in zip(found, piece, strict=True) if one is not None]

    def _describe(self, folder: Path, total: int) -> None:
        root, names = self.images.root, self.images.names
        manifest = self.manifest(folder)
        for split, counts in manifest.counts.items():
            if 0 in counts:
                raise InputError(f"{root}: every {split} image of class {names[counts.index(0)]} is corrupt")
        if 0.0 in manifest.std:
            raise InputError(f"{root}: all training images have one and the same colour; there is nothing to learn")
        skipped = total - sum(manifest.sizes.values())
        replace(manifest, source=self.source, skipped=skipped, passed_over=dict(self.images.passed)).write(folder)


@dataclass(frozen=True)
class PixelWriter(Writer):
    """A writer of `<split>.images.npy`: every image is decoded once, when it is packed."""

    def needed(self, total: int) -> int:
        return total * prod(self.survey.shape)

    def split(self, folder: Path, split: str, files: Sequence[Any], pool: ThreadPoolExecutor) -> Iterator[int]:
        labels: list[int] = []
        with ArrayFile(folder / f"{split}.images.npy", self.survey.shape) as out:
            for piece in _pieces(files, prod(self.survey.shape)):
                good = self.read(piece, pool, self._decoded)
                out.append(np.array([pixels for pixels, _ in good], dtype=np.uint8))
                labels += [file.label for _, file in good]
                yield len(piece)
        np.save(folder / f"{split}.labels.npy", np.array(labels, dtype=np.int64))

    def manifest(self, folder: Path) -> Manifest:
        names = self.images.names
        return packing.describe(folder, self.name, tuple(self.images.splits), len(names), names)

    def _decoded(self, file: Image) -> Array:
        pixels = self.survey.form.decode(self.images.picture(file))
        height, width, _ = self.survey.shape
        if pixels.shape != self.survey.shape:
            sizes = ("the first", width, height), (file.path, pixels.shape[1], pixels.shape[0])
            raise differ(self.images.root, *sizes)
        return pixels


@dataclass(frozen=True)
class EncodedWriter(Writer):
    """A writer of the files' own bytes (packed/encoded.py). Every image is decoded too: for damage, mean and deviation."""

    moments: Moments = field(default_factory=Moments)

    def needed(self, total: int) -> int:
        return sum(getattr(file, "size", 0) for files in self.images.splits.values() for file in files)

    def split(self, folder: Path, split: str, files: Sequence[Any], pool: ThreadPoolExecutor) -> Iterator[int]:
        with encoded.Files(folder, split) as out:
            for piece in _pieces(files, prod(self.survey.shape)):
                for (content, size, pixels), file in self.read(piece, pool, self._looked):
                    out.append(content, size, file.label)
                    if split == "train":
                        self.moments.add(pixels)
                yield len(piece)

    def manifest(self, folder: Path) -> Manifest:
        mean, deviation = self.moments.mean_and_deviation
        parts = tuple(self.images.splits)
        return encoded.describe(folder, self.name, parts, self.images.names, self.survey.shape, mean, deviation)

    def _looked(self, file: Any) -> tuple[bytes, tuple[int, int], Array]:
        content = self.images.content(file)
        picture = self.images.picture(file)
        _, (width, height) = look(picture)
        return content, (height, width), self.survey.form.decode(picture)


def _pieces(files: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    step = per_piece(size)
    return (files[start : start + step] for start in range(0, len(files), step))


def _room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(
            f"packing needs {needed / 1e9:.3g} GB, {folder.parent} has {free / 1e9:.3g} GB free; make room there, or "
            "name another folder with --data"
        )
