"""Sources of images: what can be packed. A folder, arrays and a Hugging Face data set give their images in one way."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from lthbench.data.images.decode import Picture


class Image(Protocol):
    """An image of a source: its name in messages, and its class."""

    @property
    def path(self) -> str: ...

    @property
    def label(self) -> int: ...


class Row(NamedTuple):
    """An image of a table: its name, its class, and its place in the `part` of the table."""

    path: str
    label: int
    part: str
    place: int


class ImageSource(Protocol):
    """Classes, and the images of both splits in order. `passed` counts what was not read; `root` stands in messages."""

    @property
    def root(self) -> Path | str: ...

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def splits(self) -> Mapping[str, Sequence[Any]]: ...

    @property
    def passed(self) -> Counter[str]: ...

    def key(self, *options: str | int | None) -> str:
        """Return a key of the content, and of the options that it is packed with."""

    def picture(self, image: Any) -> Picture:
        """Return an image, to be decoded."""

    def content(self, image: Any) -> bytes:
        """Return the bytes of an image's file. InputError where there is none."""
