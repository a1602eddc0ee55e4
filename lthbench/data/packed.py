"""The packed form of a data set: `<split>.images.npy` (uint8, NHWC), `<split>.labels.npy` and, written last, a manifest.

A folder without a manifest is no data set. The folder is filled under another name and renamed, so that a killed
packing leaves nothing that a later start takes for whole.
"""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lthbench import keys
from lthbench.errors import InputError

FORMAT = 1


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
        """A key of the bytes of all images and labels, in order."""
        images, labels = self.images.contiguous().numpy(), self.labels.contiguous().numpy()
        return keys.key("examples", list(images.shape), images.tobytes(), labels.tobytes())


@dataclass(frozen=True)
class Manifest:
    """What a packed data set is, readable without touching its images.

    `shape` is (channels, height, width); `mean` and `std` are those of the training images, by channel, in 0…255;
    `sizes` and `fingerprints` are by split.
    """

    name: str
    classes: int
    shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    sizes: dict[str, int]
    fingerprints: dict[str, str]
    format: int = FORMAT

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """The manifest in a folder; InputError where there is none or it is of another format."""
        try:
            fields: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
            fields |= {name: tuple(fields[name]) for name in ("shape", "mean", "std")}
            manifest = cls(**fields)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise InputError(
                f"{folder} holds no packed data set ({error}); remove the folder to pack it anew."
            ) from None
        if manifest.format != FORMAT:
            raise InputError(f"{folder} is packed in format {manifest.format}, this is {FORMAT}; remove the folder.")
        return manifest


def pack(target: Path, name: str, splits: Mapping[str, Examples], classes: int) -> Manifest:
    """Write a data set to the folder `target`, whole or not at all. Mean and deviation are the training split's."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        manifest = _manifest(name, splits, classes)
        for split, examples in splits.items():
            np.save(temporary / f"{split}.images.npy", examples.images.numpy())
            np.save(temporary / f"{split}.labels.npy", examples.labels.numpy())
        (temporary / "manifest.json").write_text(json.dumps(asdict(manifest), indent=1))
        _sync(temporary)
        if not target.exists():
            temporary.rename(target)
    except OSError as error:
        if not (target / "manifest.json").exists():
            raise InputError(f"cannot pack {name!r} into {target.parent}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return Manifest.read(target)


def unpack(folder: Path, split: str) -> Examples:
    """One split of a packed data set, checked against its fingerprint."""
    manifest = Manifest.read(folder)
    try:
        images = torch.from_numpy(np.load(folder / f"{split}.images.npy"))
        labels = torch.from_numpy(np.load(folder / f"{split}.labels.npy"))
    except (OSError, ValueError) as error:
        raise InputError(f"{folder} is damaged ({error}); remove the folder to pack it anew.") from None
    examples = Examples(images, labels)
    if examples.fingerprint != manifest.fingerprints[split]:
        raise InputError(
            f"{folder}: the {split} images are not those of its manifest; remove the folder to pack it anew."
        )
    return examples


def _manifest(name: str, splits: Mapping[str, Examples], classes: int) -> Manifest:
    pixels = splits["train"].images.to(torch.float64)
    height, width, channels = pixels.shape[1:]
    return Manifest(
        name=name,
        classes=classes,
        shape=(channels, height, width),
        mean=tuple(pixels.mean((0, 1, 2)).tolist()),
        std=tuple(pixels.std((0, 1, 2), correction=0).tolist()),
        sizes={split: len(examples) for split, examples in splits.items()},
        fingerprints={split: examples.fingerprint for split, examples in splits.items()},
    )


def _sync(folder: Path) -> None:
    for path in [*folder.iterdir(), folder]:
        handle = os.open(path, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)
