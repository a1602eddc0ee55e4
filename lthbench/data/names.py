"""Names of data sets, and the folder that each is packed in."""

import re
from pathlib import Path

from lthbench import keys
from lthbench.data.images.folder import ImageFolder, read
from lthbench.data.published import PUBLISHED
from lthbench.data.sources import EMBEDDED
from lthbench.errors import InputError

PREFIX = "imagefolder:"


def place(home: Path, name: str) -> Path:
    """Where a data set lies when it is packed. `imagefolder:PATH` is a data set of its own for every content of PATH."""
    return home / (folder_name(images_of(name)) if name.startswith(PREFIX) else name)


def images_of(name: str) -> ImageFolder:
    """The image folder behind `imagefolder:PATH`. Lists its files, opens none."""
    return read(Path(name.removeprefix(PREFIX)))


def folder_name(images: ImageFolder) -> str:
    """Made of the folder's resolved path and what it holds."""
    base = re.sub(r"[^A-Za-z0-9]+", "-", images.root.name).strip("-")
    return f"imagefolder-{base}-{keys.key(str(images.root), images.key(None))[:16]}"


def named(name: str) -> None:
    """InputError for what is no name of a data set that a user may pack."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise InputError(f"{name!r} is no name for a data set; take letters, digits and . _ - as in cifar10-jpeg")
    if name == "raw" or name in EMBEDDED or name in PUBLISHED:
        raise InputError(f"the name {name!r} always means the same data; take another one, such as my-{name}")
