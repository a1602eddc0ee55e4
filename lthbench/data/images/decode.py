"""An image file as an array: decoded whole or not at all, in one colour mode, resized where asked."""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from lthbench.data.packed.arrays import Array
from lthbench.errors import InputError

GREY = ("1", "L", "LA", "La")
DEEP = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")  # more than eight bits a pixel
CORRUPT = (SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)


class CorruptImage(InputError):
    """A file that is cut off, or no image at all."""


@dataclass(frozen=True)
class Form:
    """What images are made into: `mode` "L" or "RGB"; `size` pixels a side, or as they are."""

    mode: str
    size: int | None = None

    def decode(self, path: Path) -> Array:
        """uint8 [H, W, 1 or 3]. CorruptImage for a damaged file, InputError for one that cannot be read."""
        with _opened(path) as image:
            image.load()
            pixels = np.asarray(_resized(_coloured(image, self.mode), self.size))
        return pixels[..., None] if self.mode == "L" else pixels


def look(path: Path) -> tuple[str, tuple[int, int]]:
    """The mode, "L" or "RGB", and the (width, height) that a file's header states."""
    with _opened(path) as image:
        return "L" if image.mode in GREY else "RGB", image.size


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """An open image; what goes wrong in the block names the file."""
    try:
        with Image.open(path) as image:
            if image.mode in DEEP:
                raise InputError(f"{path} has more than eight bits a pixel (mode {image.mode}); convert it to eight")
            yield image
    except (OSError, *CORRUPT) as error:
        raise _named(path, error) from None


def _named(path: Path, error: BaseException) -> InputError:
    """An OSError with a number comes from the system: such a file is not corrupt, it cannot be read."""
    if isinstance(error, OSError) and error.errno is not None:
        return InputError(f"cannot read {path}: {error.strerror}")
    why = " ".join(str(error).replace(f" {str(path)!r}", "").split()) or type(error).__name__
    return CorruptImage(f"{path} is corrupt ({why}); replace it, or leave such files out with --skip-corrupt")


def _coloured(image: Image.Image, mode: str) -> Image.Image:
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return image if image.mode == mode else image.convert(mode)


def _resized(image: Image.Image, size: int | None) -> Image.Image:
    """The shorter side to `size` pixels (bilinear, antialiased), then the square in the centre, as torchvision does."""
    if size is None or image.size == (size, size):
        return image
    short = min(image.size)
    width, height = (max(size, int(size * side / short)) for side in image.size)
    left, top = round((width - size) / 2), round((height - size) / 2)
    return image.resize((width, height), Image.Resampling.BILINEAR).crop((left, top, left + size, top + size))
