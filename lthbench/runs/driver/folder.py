"""The run folder of a suite: where it lies by default, and what happens to the records of another text of the suite."""

import logging
from itertools import count
from pathlib import Path

from lthbench.errors import InputError
from lthbench.suite import FOLDER, Suite, in_folder

log = logging.getLogger(__name__)

KEPT = ("records", "superseded", "tensorboard")  # what belongs to one text of a suite


def default_folder(suite: Suite) -> Path:
    """Return `runs/<suite>`; or `runs/<suite>-<hash>` for a text that differs from the published one, or from what is there.

    So a run for which no folder was named never moves the records of another text.
    """
    plain = Path("runs") / suite.name
    if not (_differs_from_published(suite) or _holds_another(plain, suite)):
        return plain
    return plain.with_name(f"{suite.name}-{suite.hash[:8]}")


def make_way(out: Path, suite: Suite) -> None:
    """Move what belongs to another text of the suite aside, and what belongs to this one back. Nothing is written over.

    InputError where the folder holds another suite.
    """
    if not (out / "suite.json").is_file():
        return
    older = in_folder(out)
    if older.name != suite.name:
        raise InputError(f"{out} holds the runs of suite {older.name!r}, not {suite.name!r}; choose another --out")
    if older.hash == suite.hash:
        return
    for name in KEPT:
        _move(out / name, _free(_aside(out, name, older)), "the suite's text has changed")
        _move(_aside(out, name, suite), out / name, "the suite has an earlier text again")


def _differs_from_published(suite: Suite) -> bool:
    file = FOLDER / f"{suite.name}.toml"
    return file.is_file() and Suite.read(file).hash != suite.hash


def _holds_another(folder: Path, suite: Suite) -> bool:
    if not (folder / "suite.json").exists():
        return False
    try:
        there = in_folder(folder)
    except InputError:  # it cannot be read, so that it is left alone
        return True
    return (there.name, there.hash) != (suite.name, suite.hash)


def _aside(out: Path, name: str, suite: Suite) -> Path:
    return out / f"{name}.{suite.version}.{suite.hash[:8]}"


def _free(path: Path) -> Path:
    """Return the path, with a number behind it where something has that name."""
    places = (path if n == 1 else path.with_name(f"{path.name}.{n}") for n in count(1))
    return next(place for place in places if not place.exists())


def _move(path: Path, to: Path, why: str) -> None:
    if path.is_dir() and not to.exists():
        path.rename(to)
        log.warning("%s; %s is %s now", why, path, to)
