"""Image data sets of the library `datasets` (extra `hf`): one saved on disk, or one of the Hugging Face hub by its name.

The columns are found by their features: the first image, and the class label. The test split is `test`, else `validation`;
a data set with one split needs a share.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lthbench import keys
from lthbench.data.images.decode import Held
from lthbench.data.images.source import Row
from lthbench.data.split import TestShare
from lthbench.errors import InputError

PREFIX = "hf:"
SAVED = ("dataset_dict.json", "dataset_info.json")  # files by which a saved data set is known
TEST = ("test", "validation", "valid", "val")


@dataclass(frozen=True)
class TableImages:
    """A source of the images of a Hugging Face data set, whose `tables` are by part."""

    root: str
    names: tuple[str, ...]
    splits: dict[str, list[Row]]
    tables: Mapping[str, Any]
    column: str
    passed: Counter[str] = field(default_factory=Counter)

    def key(self, *options: str | int | None) -> str:
        """Return a key of the fingerprints of the tables, of the splits, and of the options that it is packed with."""
        prints = [str(table._fingerprint) for table in self.tables.values()]
        lines = "\n".join(f"{split}\0{row.part}\0{row.place}" for split, rows in self.splits.items() for row in rows)
        return keys.key("hugging face", list(options), prints, lines)

    def picture(self, row: Row) -> Held:
        """Return the bytes of an image's file, to be decoded."""
        return Held(row.path, self.content(row))

    def content(self, row: Row) -> bytes:
        """Return the bytes of an image's file. InputError where it cannot be read."""
        held = self.tables[row.part][row.place][self.column]
        try:
            return held["bytes"] if held["bytes"] is not None else Path(held["path"]).read_bytes()
        except (OSError, TypeError) as error:
            raise InputError(f"{row.path} cannot be read: {error}") from None


def is_saved(path: Path) -> bool:
    """Tell whether a folder is a data set that `save_to_disk` wrote."""
    return any((path.expanduser() / name).is_file() for name in SAVED)


def read(where: str, share: TestShare | None = None) -> TableImages:
    """Read `hf:NAME`, or a saved data set by its path. InputError where it cannot become a data set of images."""
    tables = _parts(where, _loaded(where))
    chosen = _chosen(where, list(tables), share)
    tables = {part: tables[name] for part, name in chosen.items()}
    image, label = _columns(where, tables["train"])
    names = tuple(tables["train"].features[label].names)
    rows = {part: _rows(where, part, table[label]) for part, table in tables.items()}
    if wrong := [row.path for of in rows.values() for row in of if not 0 <= row.label < len(names)]:
        raise InputError(
            f"{wrong[0]} has no class, as in a test split whose labels are kept back; take a data set with labels"
        )
    splits = rows if share is None else share.of(rows["train"], names)
    return TableImages(where, names, splits, {part: _undecoded(table, image) for part, table in tables.items()}, image)


def _loaded(where: str) -> Any:
    """Return what the library makes of a name or a path."""
    try:
        import datasets
    except ImportError:
        raise InputError(f"{where} needs the library datasets; type: pip install 'lthbench[hf]'") from None
    try:
        if where.startswith(PREFIX):
            return datasets.load_dataset(where.removeprefix(PREFIX))
        return datasets.load_from_disk(str(Path(where).expanduser()))
    except Exception as error:  # of the hub, of the network, of a data set's own files
        why = next(iter(str(error).split("\n")), "") or type(error).__name__
        raise InputError(f"{where} could not be loaded ({why}); {_instead(where)}") from None


def _instead(where: str) -> str:
    if not where.startswith(PREFIX):
        return "save it again with save_to_disk"
    return (
        "where there is no network, load it elsewhere, write save_to_disk('FOLDER'), bring the folder here, and type: "
        "lthbench data add NAME FOLDER"
    )


def _parts(where: str, found: Any) -> dict[str, Any]:
    """Return the splits of a data set by name; a data set without splits has one."""
    tables = dict(found) if isinstance(found, dict) else {"train": found}
    if not tables:
        raise InputError(f"{where} holds no split; give a data set with images")
    return tables


def _chosen(where: str, there: list[str], share: TestShare | None) -> dict[str, str]:
    """Return the names of the splits that become train and test."""
    test = next((name for name in TEST if name in there), None)
    train = "train" if "train" in there else there[0]
    if share is not None:
        if test and test != train:
            raise InputError(f"{where} has its splits already ({', '.join(there)}); leave --test-share out")
        return {"train": train}
    if test is None or test == train:
        raise InputError(
            f"{where} is not split ({', '.join(there)}); type --test-share 0.2 to make a fifth of every class the test split"
        )
    return {"train": train, "test": test}


def _columns(where: str, table: Any) -> tuple[str, str]:
    """Return the names of the columns of images and of class labels."""
    kinds = {name: type(feature).__name__ for name, feature in table.features.items()}
    found = [next((name for name, kind in kinds.items() if kind == wanted), None) for wanted in ("Image", "ClassLabel")]
    if None in found:
        columns = ", ".join(f"{name} ({kind})" for name, kind in kinds.items())
        raise InputError(
            f"{where} has the columns {columns}; an Image and a ClassLabel are needed (cast_column makes them)"
        )
    return str(found[0]), str(found[1])


def _rows(where: str, part: str, labels: Any) -> list[Row]:
    return [Row(f"{where} {part} {index}", label, part, index) for index, label in enumerate(labels)]


def _undecoded(table: Any, column: str) -> Any:
    """Return a table whose images are the bytes of their files."""
    from datasets import Image

    return table.cast_column(column, Image(decode=False))
