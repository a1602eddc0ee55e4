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
    digest = hashlib.blake2b(digest_size=16)
    digest.update(b"l" + struct.pack(">q", 5))
    for part in (keys.VERSION, "examples", list(images.shape)):
        keys._encode(part, digest.update)
    for array in (images, labels):
        digest.update(b"y" + struct.pack(">q", array.nbytes))
        for piece in pieces(array):
            digest.update(np.ascontiguousarray(piece).data)
    return digest.hexdigest()


def moments(images: Array) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and deviation of every channel of uint8 images [N, H, W, C], in 0…255.

    Sums of integers are exact in float64, so that the result depends on the pixels alone, not on order or threads.
    """
    channels = images.shape[-1]
    total, squares = [0] * channels, [0] * channels
    for piece in pieces(images):
        flat = piece.reshape(-1, channels).astype(np.float64)
        total = [t + int(s) for t, s in zip(total, flat.sum(0), strict=True)]
        squares = [q + int(s) for q, s in zip(squares, np.einsum("nc,nc->c", flat, flat), strict=True)]
    n = images.size // channels
    deviation = (math.sqrt((n * q - t * t) / (n * n)) for t, q in zip(total, squares, strict=True))
    return tuple(t / n for t in total), tuple(deviation)


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
