"""Surveys of image folders: headers decide about colour or grey, and whether all images have one size."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lthbench import system
from lthbench.data.images.decode import CorruptImage, Form, look
from lthbench.data.images.source import Image, ImageSource
from lthbench.errors import InputError

SAMPLE = 1000  # training images whose headers decide about grey or colour
THREADED = 128 * 128  # pixels of an image from which on threads are faster at decoding than one


@dataclass(frozen=True)
class Survey:
    """The form to decode each image into, the shape [height, width, channels] that all then have, and the number of threads."""

    form: Form
    shape: tuple[int, int, int]
    threads: int


def survey(images: ImageSource, size: int | None, skip: bool, short: int | None = None) -> Survey:
    """Look at SAMPLE evenly spaced training images. The data set is grey if more than half of them are.

    `size` is the pixels a side after resizing, or None where all images have one size; `short` is as in Form. `skip` passes
    over corrupt files.
    """
    found = _looked(images, _spread(images.splits["train"]), skip)
    first, (_, (width, height)) = next(iter(found.items()))
    for path, (_, other) in found.items():
        if size is None and other != (width, height):
            raise differ(images.root, (first, width, height), (path, *other))
    grey = sum(mode == "L" for mode, _ in found.values()) * 2 > len(found)
    areas = sorted(w * h for _, (w, h) in found.values())
    threads = system.cores() if areas[len(areas) // 2] >= THREADED else 1
    shape = (size or height, size or width, 1 if grey else 3)
    return Survey(Form("L" if grey else "RGB", size, short), shape, threads)


def differ(root: Path | str, *sizes: tuple[str, int, int]) -> InputError:
    """Return the error for images of several sizes; each is (which image, width, height)."""
    what = ", ".join(f"{path} is {width}x{height}" for path, width, height in sizes)
    return InputError(
        f"the images in {root} differ in size ({what}); give lthbench data add --size N, which resizes the shorter "
        "side to N pixels and crops the centre"
    )


def _looked(images: ImageSource, some: Sequence[Image], skip: bool) -> dict[str, tuple[str, tuple[int, int]]]:
    found = {}
    for image in some:
        try:
            found[image.path] = look(images.picture(image))
        except CorruptImage:
            if not skip:
                raise
    if not found:
        raise InputError(f"{images.root}: of {len(some)} training images looked at, every one is corrupt")
    return found


def _spread(images: Sequence[Image]) -> list[Image]:
    count = min(SAMPLE, len(images))
    return [images[i * len(images) // count] for i in range(count)]
