"""Packing in a process of its own (see home.prepare): `python -m lthbench.data NAME FOLDER`."""

import sys
from pathlib import Path

from lthbench.data import names
from lthbench.data.packed.examples import pack
from lthbench.data.sources import EMBEDDED
from lthbench.errors import InputError


def main(name: str, folder: str) -> None:
    """Pack a data set that ships with a library, or `imagefolder:PATH`."""
    if name.startswith(names.PREFIX):
        from lthbench.data.add import pack_images

        images = names.images_of(name)
        pack_images(Path(folder) / names.folder_name(images), images)
    else:
        splits, classes = EMBEDDED[name]()
        pack(Path(folder) / name, name, splits, classes)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (InputError, OSError) as error:
        sys.exit(str(error))
