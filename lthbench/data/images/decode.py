"""Decoding an image file into an array: whole or not at all, upright, in one colour mode, resized where asked."""

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from lthbench.errors import InputError

GREY = ("1", "L", "LA", "La")
DEEP = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")  # more than eight bits a pixel
MOST = 2**26  # pixels of a resized image that are held in memory before its centre is cropped
CORRUPT = (SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)


class CorruptImage(InputError):
    """A file that is cut off, or that is not an image."""


@dataclass(frozen=True)
class Held:
    """An image in memory: the bytes of its file, or its pixels uint8 [H, W] or [H, W, 3]. `name` stands in messages."""

    name: str
    content: bytes | NDArray[Any]

    def __str__(self) -> str:
        return self.name

    def open(self) -> Image.Image:
        """Open the image. Raises what PIL raises for a damaged one."""
        return Image.open(BytesIO(self.content)) if isinstance(self.content, bytes) else Image.fromarray(self.content)


Picture = Path | Held
Box = tuple[int, int, int, int]
"""A rectangle of an upright image: top, left, height and width in pixels."""


@dataclass(frozen=True)
class Form:
    """The form that images are brought into: `mode` is "L" or "RGB"; `size` is pixels a side, None to leave them.

    The shorter side is resized to `short` pixels, by default `size`, before the square of `size` in the centre is cropped.
    """

    mode: str
    size: int | None = None
    short: int | None = None

    def decode(self, picture: Picture) -> NDArray[Any]:
        """Return uint8 [H, W, 1 or 3]. CorruptImage for a damaged file, InputError for one that cannot be read."""
        with self._upright(picture) as image:
            return self._pixels(_resized(image, self.size, self.short or self.size))

    def crop(self, picture: Picture, box: Box) -> NDArray[Any]:
        """Return a rectangle of the image, resized to uint8 [size, size, 1 or 3]: bilinear, from no pixel outside of it."""
        top, left, height, width = box
        with self._upright(picture) as image:
            part = image.crop((left, top, left + width, top + height))
            return self._pixels(part.resize((self.size or width, self.size or height), Image.Resampling.BILINEAR))

    @contextmanager
    def _upright(self, picture: Picture) -> Iterator[Image.Image]:
        with _opened(picture) as image:
            image.load()
            yield _coloured(_upright(image), self.mode)

    def _pixels(self, image: Image.Image) -> NDArray[Any]:
        pixels = np.asarray(image)
        return pixels[..., None] if self.mode == "L" else pixels


def look(picture: Picture) -> tuple[str, tuple[int, int]]:
    """Return the mode, "L" or "RGB", and the (width, height) of the upright image, from a file's header."""
    with _opened(picture) as image:
        width, height = image.size
        lies = _orientation(image) in SIDEWAYS
        return "L" if image.mode in GREY else "RGB", (height, width) if lies else (width, height)


@contextmanager
def _opened(picture: Picture) -> Iterator[Image.Image]:
    """Open an image; errors in the block name it."""
    try:
        with picture.open() if isinstance(picture, Held) else Image.open(picture) as image:
            if image.mode in DEEP:
                raise InputError(f"{picture} has more than eight bits a pixel (mode {image.mode}); convert it to eight")
            yield image
    except (OSError, *CORRUPT) as error:
        raise _named(picture, error) from None


def _named(picture: Picture, error: BaseException) -> InputError:
    """Return the error to raise. An OSError with a number comes from the system: the file cannot be read, it is not corrupt."""
    if isinstance(error, OSError) and error.errno is not None:
        return InputError(f"cannot read {picture}: {error.strerror}")
    why = " ".join(str(error).replace(f" {str(picture)!r}", "").split()) or type(error).__name__
    return CorruptImage(f"{picture} is corrupt ({why}); replace it, or leave such files out with --skip-corrupt")


TURNS = {  # what brings an image upright, by its EXIF orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = (5, 6, 7, 8)
warnings.filterwarnings("ignore", "Corrupt EXIF data", UserWarning)  # the pixels are whole


def _upright(image: Image.Image) -> Image.Image:
    turn = TURNS.get(_orientation(image))
    return image if turn is None else image.transpose(turn)


def _orientation(image: Image.Image) -> Any:
    """Return the EXIF orientation that stands before the pixels; 1, upright, where there is none that can be read."""
    try:
        return Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1)
    except (OSError, TypeError, KeyError, AttributeError, *CORRUPT):
        return 1


def _coloured(image: Image.Image, mode: str) -> Image.Image:
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return image if image.mode == mode else image.convert(mode)


def _resized(image: Image.Image, size: int | None, short: int | None) -> Image.Image:
    """Resize the shorter side to `short` pixels (bilinear, antialiased) and crop the centre of `size`, as torchvision does.

    The centre of an image that would be enormous when it is resized is resized alone.
    """
    if size is None or short is None or image.size == (size, size) == (short, short):
        return image
    shorter = min(image.size)
    width, height = (max(short, int(short * side / shorter)) for side in image.size)
    left, top = round((width - size) / 2), round((height - size) / 2)
    if width * height > MOST:
        across, down = image.width / width, image.height / height
        box = (left * across, top * down, (left + size) * across, (top + size) * down)
        return image.resize((size, size), Image.Resampling.BILINEAR, box)
    return image.resize((width, height), Image.Resampling.BILINEAR).crop((left, top, left + size, top + size))
