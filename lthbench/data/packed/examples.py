"""The packed form of a data set: `<split>.images.npy` (uint8, NHWC), `<split>.labels.npy` and, written last, a manifest.
Large images are packed otherwise (encoded.py).

A folder without a manifest is not a data set. The folder is filled under another name and renamed, so that a killed
packing leaves nothing that looks whole.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lthbench.data.packed import arrays, encoded, packing
from lthbench.data.packed.encoded import EncodedExamples
from lthbench.data.packed.manifest import ENCODED, FORMAT, Manifest
from lthbench.errors import InputError

__all__ = ["FORMAT", "EncodedExamples", "Examples", "Manifest", "pack", "unpack"]

LARGE = 8_000_000_000  # bytes of images; reading more than that at every start takes longer than a user waits


@dataclass(frozen=True)
class Examples:
    """Labelled images of one split: `images` uint8 [N, H, W, C], `labels` int64 [N]."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: Tensor) -> "Examples":
        return Examples(self.images[index], self.labels[index])

    @property
    def fingerprint(self) -> str:
        """The key of the bytes of all images and labels, in order."""
        return arrays.fingerprint(self.images.contiguous().numpy(), self.labels.contiguous().numpy())


def pack(target: Path, name: str, splits: Mapping[str, Examples], classes: int, names: Sequence[str] = ()) -> Manifest:
    """Write a data set to the folder `target`, whole or not at all. Mean and deviation are the training split's."""

    def write(folder: Path) -> None:
        for split, examples in splits.items():
            np.save(folder / f"{split}.images.npy", examples.images.numpy())
            np.save(folder / f"{split}.labels.npy", examples.labels.numpy())
        packing.describe(folder, name, tuple(splits), classes, names).write(folder)

    return packing.fill(target, name, write)


def unpack(folder: Path, split: str) -> Examples | EncodedExamples:
    """Return one split of a packed data set, checked against its fingerprint (only its sizes if images exceed LARGE).

    Images are mapped, so that processes share them and only the images that are used are read. Changes stay private.
    """
    manifest = Manifest.read(folder)
    return (_encoded if manifest.format == ENCODED else _pixels)(folder, split, manifest)


def _pixels(folder: Path, split: str, manifest: Manifest) -> Examples:
    with _damage_named(folder):
        images, labels = packing.arrays(folder, split)
        whole = _whole(images, labels, manifest, split)
    _check_whole(folder, split, whole)
    return Examples(_mapped(folder / f"{split}.images.npy"), torch.from_numpy(labels))


def _encoded(folder: Path, split: str, manifest: Manifest) -> EncodedExamples:
    with _damage_named(folder):
        found = encoded.arrays(folder, split)
        large = found[encoded.FILES].nbytes > LARGE
        whole = large or encoded.fingerprint(found, manifest.shape[1]) == manifest.fingerprints[split]
    _check_whole(folder, split, whole and len(found[encoded.LABELS]) == manifest.sizes[split])
    return encoded.examples(folder, split, found, manifest)


def _check_whole(folder: Path, split: str, whole: bool) -> None:
    if not whole:
        raise InputError(
            f"{folder}: the {split} images are not those of its manifest; remove the folder to pack it again."
        )


@contextmanager
def _damage_named(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{folder} is damaged ({error}); remove the folder to pack it again.") from None


def _mapped(path: Path) -> Tensor:
    try:
        return torch.from_numpy(np.load(path, mmap_mode="c"))
    except OSError as error:
        raise InputError(f"{path} cannot be mapped into memory: {error.strerror or error}") from None


def _whole(images: arrays.Array, labels: arrays.Array, manifest: Manifest, split: str) -> bool:
    channels, height, width = manifest.shape
    if images.shape != (manifest.sizes[split], height, width, channels) or len(labels) != len(images):
        return False
    return images.nbytes > LARGE or arrays.fingerprint(images, labels) == manifest.fingerprints[split]
