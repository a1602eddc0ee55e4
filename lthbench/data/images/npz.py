"""Images in the arrays of an .npz file, split or not.

    x_train, y_train, x_test, y_test                              (as Keras has them)
    train_images, train_labels, test_images, test_labels          (as MedMNIST has them; val_ where there is no test_)
    images, labels   or   x, y                                    (unsplit: a share of every class is the test split)

Images are uint8: [N, H, W], [N, H, W, C] or [N, C, H, W] with one or three channels C. Labels are whole numbers from 0,
[N] or [N, 1].
"""

import zipfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lthbench import keys
from lthbench.data.images.decode import Held
from lthbench.data.images.source import Row
from lthbench.data.split import TestShare
from lthbench.errors import InputError

SPLIT = (
    {"train": ("x_train", "y_train"), "test": ("x_test", "y_test")},
    {"train": ("train_images", "train_labels"), "test": ("test_images", "test_labels")},
    {"train": ("train_images", "train_labels"), "test": ("val_images", "val_labels")},
)
UNSPLIT = ({"train": ("images", "labels")}, {"train": ("x", "y")})


@dataclass(frozen=True)
class ArrayImages:
    """A source of the images of an .npz file."""

    root: Path
    names: tuple[str, ...]
    splits: dict[str, list[Row]]
    arrays: Mapping[str, NDArray[Any]]  # images by part, [N, H, W] or [N, H, W, 3]
    passed: Counter[str] = field(default_factory=Counter)

    def key(self, *options: str | int | None) -> str:
        """Return a key of the file's size and time, of the splits, and of the options that it is packed with."""
        found = self.root.stat()
        lines = "\n".join(f"{split}\0{row.part}\0{row.place}" for split, rows in self.splits.items() for row in rows)
        return keys.key("npz", list(options), found.st_size, found.st_mtime_ns, lines)

    def picture(self, row: Row) -> Held:
        """Return an image's pixels."""
        return Held(row.path, self.arrays[row.part][row.place])

    def content(self, row: Row) -> bytes:
        """Refuse: an array has no files. InputError."""
        raise InputError(f"{self.root} holds pixels, not the files of images; leave --encoded out")


def read(path: Path, share: TestShare | None = None) -> ArrayImages:
    """Read an .npz file. InputError where it lacks arrays, or has some of another kind."""
    path = path.expanduser().resolve()
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            given = _given(path, list(arrays), share)
            pairs = {part: _pair(path, arrays, *names) for part, names in given.items()}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"cannot read {path}: {' '.join(str(error).split())}") from None
    names = tuple(map(str, range(_classes(path, pairs["train"][1]))))
    rows = {part: _rows(path, part, labels) for part, (_, labels) in pairs.items()}
    splits = rows if share is None else share.of(rows["train"], names)
    _agree(path, splits, names)
    return ArrayImages(path, names, splits, {part: images for part, (images, _) in pairs.items()})


def _given(path: Path, there: list[str], share: TestShare | None) -> dict[str, tuple[str, str]]:
    """Return the names of the arrays of images and labels, by part."""
    fits = [
        f for f in (SPLIT if share is None else UNSPLIT) if {name for pair in f.values() for name in pair} <= {*there}
    ]
    if fits:
        return fits[0]
    if share is None and any({*f["train"]} <= {*there} for f in UNSPLIT):
        raise InputError(f"{path} is not split; type --test-share 0.2 to make a fifth of every class the test split")
    wanted = " or ".join(
        ", ".join(name for pair in f.values() for name in pair) for f in (SPLIT[:2] if share is None else UNSPLIT)
    )
    raise InputError(f"{path} holds {', '.join(there[:6]) or 'nothing'}; what is needed: {wanted}")


def _pair(
    path: Path, arrays: Mapping[str, NDArray[Any]], images: str, labels: str
) -> tuple[NDArray[Any], NDArray[Any]]:
    pixels, numbers = _channels_last(arrays[images]), np.squeeze(arrays[labels])
    if pixels.dtype != np.uint8 or pixels.ndim not in (3, 4) or (pixels.ndim == 4 and pixels.shape[-1] != 3):
        raise InputError(
            f"{path}: {images} is {arrays[images].dtype} {list(arrays[images].shape)}; images are uint8 [N, H, W] or "
            "[N, H, W, C] with 1 or 3 channels"
        )
    if numbers.dtype.kind not in "iu" or numbers.shape != (len(pixels),):
        raise InputError(
            f"{path}: {labels} is {arrays[labels].dtype} {list(arrays[labels].shape)}; labels are {len(pixels)} whole numbers"
        )
    return pixels, numbers.astype(np.int64)


def _channels_last(pixels: NDArray[Any]) -> NDArray[Any]:
    if pixels.ndim == 4 and pixels.shape[-1] not in (1, 3) and pixels.shape[1] in (1, 3):
        pixels = np.moveaxis(pixels, 1, -1)
    return np.ascontiguousarray(pixels[..., 0] if pixels.ndim == 4 and pixels.shape[-1] == 1 else pixels)


def _classes(path: Path, labels: NDArray[Any]) -> int:
    if not len(labels) or labels.min() < 0 or len(np.unique(labels)) != labels.max() + 1 or labels.max() < 1:
        there = sorted({*labels.tolist()})
        raise InputError(f"{path}: the training labels are {there[:10]}; they are 0, 1, … without gaps, two or more")
    return int(labels.max()) + 1


def _rows(path: Path, part: str, labels: NDArray[Any]) -> list[Row]:
    return [Row(f"{path.name} {part} {index}", label, part, index) for index, label in enumerate(labels.tolist())]


def _agree(path: Path, splits: Mapping[str, list[Row]], names: tuple[str, ...]) -> None:
    there = {row.label for row in splits["test"]}
    if there != {*range(len(names))}:
        lacking, more = ({*range(len(names))} - there), there - {*range(len(names))}
        raise InputError(
            f"{path}: the test labels lack {sorted(lacking)[:5]} and have {sorted(more)[:5]} beside the training labels; "
            "make the classes of both splits the same"
        )
