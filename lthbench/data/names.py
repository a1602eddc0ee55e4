"""The names of data sets, and the folder that each is packed in."""

import re
from pathlib import Path

from lthbench import keys
from lthbench.data.images.folder import ImageFolder, read
from lthbench.data.published import PUBLISHED
from lthbench.data.sources import EMBEDDED
from lthbench.errors import InputError

PREFIX = "imagefolder:"
LONGEST = 100  # letters of a name; file systems take 255, and packing adds some


def place(home: Path, name: str) -> Path:
    """Return the folder of a packed data set. `imagefolder:PATH` has a folder of its own for every content of PATH."""
    if name.startswith(PREFIX):
        return home / folder_name(images_of(name))
    if not _possible(name):
        raise InputError(
            f"{_shown(name)} cannot be the name of a data set; lthbench data list shows those that there are"
        )
    return home / name


def images_of(name: str) -> ImageFolder:
    """Return the image folder of `imagefolder:PATH`. Lists its files and opens none."""
    return read(Path(name.removeprefix(PREFIX)))


def folder_name(images: ImageFolder) -> str:
    """Return the name for an image folder, made of its resolved path and its content."""
    base = re.sub(r"[^A-Za-z0-9]+", "-", images.root.name)[:LONGEST].strip("-")
    return f"imagefolder-{base}-{keys.key(str(images.root), images.key(None))[:16]}"


def named(name: str) -> None:
    """Raise InputError where a user may not pack a data set under a name."""
    if not _possible(name) or len(name) > LONGEST:
        raise InputError(
            f"{_shown(name)} cannot be the name of a data set; take at most {LONGEST} letters, digits and . _ - as in "
            "cifar10-jpeg"
        )
    if name in ("raw", "starts") or name in EMBEDDED or name in PUBLISHED:
        raise InputError(f"the name {name!r} always means the same data; take another one, such as my-{name}")


def _possible(name: str) -> bool:
    return len(name) <= 2 * LONGEST and bool(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name))


def _shown(name: str) -> str:
    return repr(name if len(name) <= LONGEST else name[:LONGEST] + "…")
