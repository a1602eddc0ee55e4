"""Arrays larger than memory. They are written, hashed and summed in pieces."""

import hashlib
import math
import struct
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.lib import format as npy

from lthbench import keys

PIECE = 16_000_000  # bytes that are worked on at a time
Array = np.ndarray[Any, np.dtype[Any]]


def pieces(array: Array) -> Iterator[Array]:
    """Yield views of about PIECE bytes, in order; each holds whole items."""
    step = per_piece(array[:1].nbytes)
    for start in range(0, len(array), step):
        yield array[start : start + step]


def per_piece(size: int) -> int:
    """Return the number of items of `size` bytes that make a piece; at least one."""
    return max(1, PIECE // max(1, size))


def fingerprint(images: Array, labels: Array) -> str:
    """Return `keys.key("examples", list(images.shape), images.tobytes(), labels.tobytes())` without copying the arrays."""
    return digest("examples", list(images.shape), images, labels)


def digest(what: str, settings: list[int], *arrays: Array) -> str:
    """Return `keys.key(what, settings, array.tobytes(), …)` without copying the arrays."""
    found = hashlib.blake2b(digest_size=16)
    found.update(b"l" + struct.pack(">q", 3 + len(arrays)))
    for part in (keys.VERSION, what, settings):
        keys._encode(part, found.update)
    for array in arrays:
        found.update(b"y" + struct.pack(">q", array.nbytes))
        for piece in pieces(array):
            found.update(np.ascontiguousarray(piece).data)
    return found.hexdigest()


class Moments:
    """The mean and the deviation of every channel of uint8 images [..., C], in 0…255, added in pieces.

    Sums of integers are exact in float64, so that the result depends on the pixels alone, not on order or threads.
    """

    def __init__(self) -> None:
        self._count, self._total, self._squares = 0, [0], [0]

    def add(self, images: Array) -> None:
        """Add images [..., C], each piece with the same number of channels."""
        flat = images.reshape(-1, images.shape[-1]).astype(np.float64)
        sums, squares = flat.sum(0), np.einsum("nc,nc->c", flat, flat)
        if not self._count:
            self._total, self._squares = [0] * len(sums), [0] * len(sums)
        self._count += len(flat)
        self._total = [t + int(s) for t, s in zip(self._total, sums, strict=True)]
        self._squares = [q + int(s) for q, s in zip(self._squares, squares, strict=True)]

    @property
    def mean_and_deviation(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return the mean and the deviation of every channel."""
        n = self._count
        variances = ((n * q - t * t) / (n * n) for t, q in zip(self._total, self._squares, strict=True))
        return tuple(t / n for t in self._total), tuple(map(math.sqrt, variances))


def moments(images: Array) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and deviation of every channel of uint8 images [N, H, W, C], in 0…255."""
    found = Moments()
    for piece in pieces(images):
        found.add(piece)
    return found.mean_and_deviation


class ArrayFile:
    """A .npy file of uint8 items that is written in pieces. It has the same bytes as np.save writes."""

    def __init__(self, path: Path, shape: tuple[int, ...]):
        self.shape, self.count = shape, 0
        self._file = path.open("wb")
        self._header()

    def append(self, items: Array) -> None:
        """Write items [n, *shape], uint8."""
        self._file.write(np.ascontiguousarray(items).data)
        self.count += len(items)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with self._file:
            if kind is None:
                self._file.seek(0)
                self._header()

    def _header(self) -> None:
        """Write the header. numpy pads it, so that the count of items may grow in place."""
        header = {"descr": "|u1", "fortran_order": False, "shape": (self.count, *self.shape)}
        npy.write_array_header_1_0(self._file, header)
