"""The manifest: what a packed data set is, readable without touching its images. It is written last."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from lthbench.errors import InputError

FORMAT = 1


@dataclass(frozen=True)
class Manifest:
    """What a packed data set is, readable without touching its images.

    `shape` is (channels, height, width); `mean` and `std` are those of the training images, by channel, in 0…255;
    `sizes` and `fingerprints` are by split, and so are `counts`, the number of examples of each class. `names` are
    those of the classes in the order of the labels, () where they have none. `source` is a key of what an image folder
    held, with the options, when it was packed; `skipped` counts the corrupt files that were left out. Fields that a
    later version has added are skipped on reading.
    """

    name: str
    classes: int
    shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    sizes: dict[str, int]
    fingerprints: dict[str, str]
    format: int = FORMAT
    names: tuple[str, ...] = ()
    counts: dict[str, tuple[int, ...]] = field(default_factory=dict)
    source: str = ""
    skipped: int = 0

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The manifest in a folder; InputError where there is none or it is of another format."""
        try:
            manifest = cls(**_fields(json.loads((folder / "manifest.json").read_text())))
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise InputError(
                f"{folder} holds no packed data set ({error}); remove the folder to pack it anew."
            ) from None
        if manifest.format != FORMAT:
            raise InputError(f"{folder} is packed in format {manifest.format}, this is {FORMAT}; remove the folder.")
        return manifest

    def write(self, folder: Path) -> None:
        (folder / "manifest.json").write_text(json.dumps(asdict(self), indent=1))


def _fields(read: Mapping[str, Any]) -> dict[str, Any]:
    known = {f.name for f in fields(Manifest)}
    found = {name: value for name, value in read.items() if name in known}
    found |= {name: tuple(found[name]) for name in ("shape", "mean", "std")}
    found["names"] = tuple(found.get("names", ()))
    found["counts"] = {split: tuple(counts) for split, counts in found.get("counts", {}).items()}
    return found
