"""The packed form of large images: the bytes of their files one after another, and an index. They are decoded when needed.

`<split>.files.bin` has the bytes, `<split>.offsets.npy` where each file begins (int64 [N + 1]), `<split>.sizes.npy` the
height and width of each image upright (int64 [N, 2]), `<split>.labels.npy` the labels.

A training may cut its crops out of the whole image. Evaluation resizes the shorter side to 8/7 of the packed size (256 for
224) and crops the centre, as He et al. (CVPR 2016) do.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import torch
from torch import Tensor

from lthbench.data.images.decode import Box, Form, Held
from lthbench.data.packed.arrays import Array, digest
from lthbench.data.packed.manifest import ENCODED, Manifest

FILES, OFFSETS, SIZES, LABELS = "files.bin", "offsets.npy", "sizes.npy", "labels.npy"


def shorter_side(size: int) -> int:
    """Return the pixels of the shorter side from whose centre a square of `size` is cropped: 256 for 224."""
    return round(size * 8 / 7)


@dataclass(frozen=True)
class EncodedExamples:
    """Labelled images of one split as the bytes of their files, mapped into memory; `labels` int64 [N]."""

    name: str
    files: Array
    offsets: Array
    sizes: Tensor
    labels: Tensor
    form: Form

    def __len__(self) -> int:
        return len(self.labels)

    def decoded(self, positions: Tensor, boxes: Sequence[Box] | None, pool: ThreadPoolExecutor) -> Tensor:
        """Decode the images at positions [B] to uint8 [B, size, size, C]: a box of each, or the centre for evaluation.

        The result does not depend on the number of threads.
        """
        pictures = [self._picture(position) for position in positions.tolist()]
        found = pool.map(self.form.decode, pictures) if boxes is None else pool.map(self.form.crop, pictures, boxes)
        return torch.from_numpy(np.stack(list(found)))

    def _picture(self, position: int) -> Held:
        start, stop = self.offsets[position : position + 2]
        return Held(f"image {position} of {self.name}", self.files[start:stop].tobytes())


class Files:
    """The files of one split, which are written one after another."""

    def __init__(self, folder: Path, split: str):
        self._folder, self._split = folder, split
        self._offsets, self._sizes, self._labels = [0], list[tuple[int, int]](), list[int]()
        self._file = (folder / f"{split}.{FILES}").open("wb")

    def append(self, content: bytes, size: tuple[int, int], label: int) -> None:
        """Write the bytes of a file, whose image is (height, width) upright."""
        self._file.write(content)
        self._offsets.append(self._offsets[-1] + len(content))
        self._sizes.append(size)
        self._labels.append(label)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()
        if kind is None:
            index = {OFFSETS: self._offsets, SIZES: self._sizes, LABELS: self._labels}
            for name, values in index.items():
                np.save(self._folder / f"{self._split}.{name}", np.array(values, dtype=np.int64))


def describe(
    folder: Path,
    name: str,
    splits: Sequence[str],
    names: Sequence[str],
    shape: tuple[int, int, int],
    mean: tuple[float, ...],
    deviation: tuple[float, ...],
) -> Manifest:
    """Return the manifest of the files in a folder, whose images become uint8 `shape` [H, W, C]."""
    height, width, channels = shape
    read = {split: arrays(folder, split) for split in splits}
    return Manifest(
        name=name,
        classes=len(names),
        shape=(channels, height, width),
        mean=mean,
        std=deviation,
        sizes={split: len(found[LABELS]) for split, found in read.items()},
        fingerprints={split: fingerprint(found, height) for split, found in read.items()},
        format=ENCODED,
        names=tuple(names),
        counts={s: tuple(np.bincount(found[LABELS], minlength=len(names)).tolist()) for s, found in read.items()},
    )


def arrays(folder: Path, split: str) -> dict[str, Array]:
    """Return the bytes, mapped, and the index, by the ends of their files' names. Raises OSError or ValueError."""
    path = folder / f"{split}.{FILES}"
    found = {name: np.load(folder / f"{split}.{name}") for name in (OFFSETS, SIZES, LABELS)}
    count = len(found[LABELS])
    if found[OFFSETS].shape != (count + 1,) or found[SIZES].shape != (count, 2):
        raise ValueError(f"{split}: an index of {found[OFFSETS].shape} and {found[SIZES].shape} for {count} labels")
    if (there := path.stat().st_size) != found[OFFSETS][-1]:
        raise ValueError(f"{split}: {path.name} has {there} bytes, the index {found[OFFSETS][-1]}")
    return {FILES: np.memmap(path, np.uint8, mode="r"), **found}


def fingerprint(found: dict[str, Array], size: int) -> str:
    """Return a key of the files' bytes and the index, and of the size that they are decoded to."""
    return digest("encoded examples", [size], *(found[name] for name in (FILES, OFFSETS, SIZES, LABELS)))


def examples(folder: Path, split: str, found: dict[str, Array], manifest: Manifest) -> EncodedExamples:
    """Return the examples of one split."""
    channels, size, _ = manifest.shape
    form = Form("L" if channels == 1 else "RGB", size, shorter_side(size))
    sizes, labels = torch.from_numpy(found[SIZES]), torch.from_numpy(found[LABELS])
    return EncodedExamples(f"{folder.name}/{split}", found[FILES], found[OFFSETS], sizes, labels, form)
