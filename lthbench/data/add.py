"""Packing images of the user's own: a folder, arrays, or a Hugging Face data set."""

from dataclasses import dataclass
from pathlib import Path

from lthbench.data.images import folder, hugging_face, npz
from lthbench.data.images.source import ImageSource
from lthbench.data.images.survey import survey
from lthbench.data.names import named
from lthbench.data.packed import packing
from lthbench.data.packed.encoded import shorter_side
from lthbench.data.packed.manifest import Manifest
from lthbench.data.split import TestShare
from lthbench.data.writers import EncodedWriter, PixelWriter, Progress
from lthbench.errors import InputError


@dataclass(frozen=True)
class Options:
    """How images are packed.

    `size` resizes the shorter side to that many pixels and crops the centre. `skip` leaves corrupt files out. `encoded`
    packs the bytes of the files, which are decoded in training; evaluation then resizes the shorter side to 8/7 of `size`.
    `progress` is called with the images done and the images in all.
    """

    size: int | None = None
    skip: bool = False
    encoded: bool = False
    progress: Progress = lambda done, of: None


def add(
    home: Path, name: str, where: Path | str, options: Options | None = None, share: TestShare | None = None
) -> Manifest:
    """Pack the images at `where` into `home / name`, unless they are packed already.

    `where` is an image folder (folder.py has the layouts), an .npz file (npz.py), a saved Hugging Face data set, or
    `hf:NAME`. `share` makes the test split of one that has none. InputError where other images have the name, or where the
    images cannot become a data set.
    """
    named(name)
    options = options or Options()
    if options.encoded and options.size is None:
        raise InputError("--encoded needs --size, the pixels a side that a network is given; 224 is usual for ImageNet")
    images = source(str(where), share)
    manifest = pack_images(home / name, images, options)
    if manifest.source != _key(images, options):
        raise InputError(
            f"{name!r} is packed already, from other files than {images.root} now holds or with other options; take "
            f"another name, or type: lthbench data remove {name}"
        )
    return manifest


def source(where: str, share: TestShare | None = None) -> ImageSource:
    """Return the source of images at a path, or at `hf:NAME`. InputError where there is none."""
    path = Path(where)
    if where.startswith(hugging_face.PREFIX) or hugging_face.is_saved(path):
        return hugging_face.read(where, share)
    return npz.read(path, share) if path.suffix == ".npz" else folder.read(path, share)


def pack_images(target: Path, images: ImageSource, options: Options | None = None) -> Manifest:
    """Pack a source of images into the folder `target`. A data set that is there already stays as it is."""
    options = options or Options()
    if (target / "manifest.json").exists():
        return Manifest.read(target)
    if target.exists():
        raise InputError(
            f"{target} exists and is not a packed data set; take another name, or another folder with --data"
        )
    short = shorter_side(options.size) if options.encoded and options.size else None
    found = survey(images, options.size, options.skip, short)
    kind = EncodedWriter if options.encoded else PixelWriter
    writer = kind(target.name, images, found, options.skip, options.progress, _key(images, options))
    return packing.fill(target, target.name, writer)


def _key(images: ImageSource, options: Options) -> str:
    return images.key(options.size, *["encoded"] * options.encoded)
