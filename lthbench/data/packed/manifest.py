"""Manifests: each describes a packed data set, and is read without touching its images. It is written last."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from lthbench.errors import InputError

FORMAT, ENCODED = 1, 2  # of pixels, and of the bytes of files
BALANCED = 1.1  # times its even share that the largest class may have


@dataclass(frozen=True)
class Manifest:
    """A description of a packed data set, readable without touching its images.

    `shape` is (channels, height, width). `mean` and `std` are those of the training images, by channel, in 0…255.
    `sizes` and `fingerprints` are by split, and so are `counts`, the number of examples of each class. `format` says
    whether pixels are packed or the bytes of files. `names` are those of the classes in the order of the labels, () where
    they have none. `source` is a key of the images' content, with the options, when it was packed. `skipped` counts the
    corrupt files that were left out, `passed_over` the files (by suffix) and folders (by name, with a slash) that were not
    read as images. Fields that a later version has added are skipped when a manifest is read.
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
    passed_over: dict[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the manifest in a folder. InputError where there is none, or one of another format."""
        try:
            manifest = cls(**_fields(json.loads((folder / "manifest.json").read_text())))
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise InputError(
                f"{folder} does not hold a packed data set ({error}); remove the folder to pack it again."
            ) from None
        if manifest.format not in (FORMAT, ENCODED):
            known = f"{FORMAT} and {ENCODED}"
            raise InputError(f"{folder} is packed in format {manifest.format}, this reads {known}; remove the folder.")
        return manifest

    def majority(self, split: str = "test") -> float | None:
        """Return the largest class's share of a split; None where its classes are balanced, or were not counted."""
        counts = self.counts.get(split, ())
        share = max(counts) / sum(counts) if sum(counts) else 0.0
        return share if share * self.classes > BALANCED else None

    def write(self, folder: Path) -> None:
        """Write the manifest into a folder."""
        (folder / "manifest.json").write_text(json.dumps(asdict(self), indent=1))


def _fields(read: Mapping[str, Any]) -> dict[str, Any]:
    known = {f.name for f in fields(Manifest)}
    found = {name: value for name, value in read.items() if name in known}
    found |= {name: tuple(found[name]) for name in ("shape", "mean", "std")}
    found["names"] = tuple(found.get("names", ()))
    found["counts"] = {split: tuple(counts) for split, counts in found.get("counts", {}).items()}
    return found
