"""A folder of images: its layout, its classes, and its files in order. No image is opened.

    train/<class>/**/*.jpg|jpeg|png  with  test/<class>/…  or  val/<class>/…     (ImageNet: train/ and val/)
    train/<class>/images/*.JPEG  with  val/images/*.JPEG and val/val_annotations.txt     (Tiny-ImageNet as published)
    <class>/**/*.jpg|jpeg|png                                           (unsplit: a share of every class is the test split)

Classes are in the order of their names, images in the order of their paths. Names that begin with a dot are skipped; what
else is passed over is counted. Links to folders and files are followed.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lthbench import keys, source
from lthbench.data.images.files import SUFFIXES, File, Passed, class_folders, described, images
from lthbench.data.split import TestShare
from lthbench.errors import InputError

LAYOUT = "train/<class>/*.jpg (or .jpeg, .png) and test/<class>/ or val/<class>/ beside it"
UNSPLIT = "or <class>/*.jpg alone, with lthbench data add --test-share 0.2"


@dataclass(frozen=True)
class ImageFolder:
    """The classes and files of an image folder: a source of images (source.py).

    `test` names the folder of the test split, "" in an unsplit folder. `passed` counts what is not read.
    """

    root: Path
    names: tuple[str, ...]
    splits: dict[str, list[File]]
    test: str
    passed: Passed = field(default_factory=Counter)

    def key(self, *options: str | int | None) -> str:
        """Return a key of the names, sizes and times of all files, and of the options that they are packed with."""
        lines = (f"{split}\0{file.path}\0{file.label}\0{file.size}\0{file.changed}" for split, file in self._files())
        return keys.key("image folder", list(options), "\n".join(lines).encode(errors="surrogateescape"))

    def picture(self, file: File) -> Path:
        """Return the path of an image."""
        return self.root / file.path

    def content(self, file: File) -> bytes:
        """Return the bytes of a file. InputError where it cannot be read."""
        try:
            return self.picture(file).read_bytes()
        except OSError as error:
            raise InputError(f"cannot read {self.picture(file)}: {error.strerror}") from None

    def _files(self) -> Iterator[tuple[str, File]]:
        return ((split, file) for split, files in self.splits.items() for file in files)


def read(root: Path, share: TestShare | None = None) -> ImageFolder:
    """List an image folder. InputError where it is not an image folder, or nothing can be trained on it.

    With a `share`, the folder has no splits, and the share becomes the test split.
    """
    root, passed = root.expanduser().resolve(), Passed()
    if not root.is_dir():
        raise InputError(f"there is no folder {root}; give one that holds {LAYOUT}, {UNSPLIT}")
    try:
        if share is not None:
            return _unsplit(root, share, passed)
        names = _classes(root / "train", passed)
        train = _split(root, "train/", names, passed)
        test, files = _test(root, names, passed)
    except OSError as error:
        raise InputError(f"cannot read {error.filename or root}: {error.strerror or error}") from None
    return ImageFolder(root, names, {"train": train, "test": files}, test, passed)


def _unsplit(root: Path, share: TestShare, passed: Passed) -> ImageFolder:
    if (root / "train").is_dir():
        raise InputError(f"{root} has its splits already, as train/ shows; leave --test-share out")
    names = _classes(root, passed)
    return ImageFolder(root, names, share.of(_split(root, "", names, passed), names), "", passed)


def _test(root: Path, names: tuple[str, ...], passed: Passed) -> tuple[str, list[File]]:
    """Return the name of the folder that the test split is read from, and its files."""
    if (root / "val/val_annotations.txt").is_file() and (root / "val/images").is_dir():
        return "val", list(_annotated(root, names))
    part = next((part for part in ("test", "val") if class_folders(root / part, Passed())), None)
    if part is None:
        raise InputError(f"{root} holds no class folders in test/ or val/; what is needed: {LAYOUT}")
    _agree(root, part, names, class_folders(root / part, passed))
    return part, _split(root, f"{part}/", names, passed)


def _split(root: Path, above: str, names: tuple[str, ...], passed: Passed) -> list[File]:
    """Return the files of one split, whose class folders lie below `above`, a path with a slash or ""."""
    return [file for label, name in enumerate(names) for file in _class(root, f"{above}{name}", label, passed)]


def _annotated(root: Path, names: tuple[str, ...]) -> Iterator[File]:
    """Yield Tiny-ImageNet's validation images: a line of the annotations is `file <tab> class <tab> box`."""
    lines = source.read_text(root / "val/val_annotations.txt").splitlines()
    pairs = sorted(tuple(line.split("\t")[:2]) for line in lines if line.strip())
    if bad := [pair for pair in pairs if len(pair) != 2]:
        raise InputError(f"{root}/val/val_annotations.txt: {bad[0][0]!r} is not a line of file, tab, class")
    _agree(root, "val", names, sorted({name for _, name in pairs}))
    label = {name: number for number, name in enumerate(names)}
    for file, name in pairs:
        found = (root / "val/images" / file).stat()
        yield File(f"val/images/{file}", label[name], found.st_size, found.st_mtime_ns)


def _classes(train: Path, passed: Passed) -> tuple[str, ...]:
    found = class_folders(train, passed)
    if not found:
        raise InputError(
            f"{train} holds no class folders ({_instead(train.parent)}); what is needed: {LAYOUT}, {UNSPLIT}"
        )
    if len(found) < 2:
        raise InputError(f"{train} holds one class, {found[0]}: too few to tell apart; two or more are needed")
    return tuple(found)


def _instead(root: Path) -> str:
    """Say what a folder holds in place of a data set; one that lies a folder further down is named."""
    there = sorted(path.name for path in root.iterdir())
    below = [name for name in there if class_folders(root / name / "train", Passed())]
    hint = f"; did you mean {root / below[0]}?" if below else ""
    return f"in {root}: {', '.join(there[:5]) or 'nothing'}{hint}"


def _agree(root: Path, part: str, train: tuple[str, ...], test: list[str]) -> None:
    only = [f"only in {p}/: {', '.join(sorted(names)[:3])}" + (f" and {len(names) - 3} more" if len(names) > 3 else "")
            for p, names in (("train", {*train} - {*test}), (part, {*test} - {*train})) if names]  # fmt: skip
    if only:
        raise InputError(f"the classes of train/ and {part}/ in {root} differ ({'; '.join(only)}); make them the same")


def _class(root: Path, below: str, label: int, passed: Passed) -> list[File]:
    there = Passed()
    found = sorted(images(root, below, label, there))
    if not found:
        others = f" but {described(there)}" if there else ""
        raise InputError(
            f"{root / below} holds no image ({', '.join(SUFFIXES)}){others}; fill the folder or remove the class"
        )
    passed.update(there)
    return found
