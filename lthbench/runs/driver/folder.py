"""The run folder of a suite: its default path, and the treatment of records of another text of the suite."""

import logging
from itertools import count
from pathlib import Path

from lthbench.errors import InputError
from lthbench.suite import Suite, in_folder
from lthbench.suite.trial import unpublished

log = logging.getLogger(__name__)

KEPT = ("records", "superseded", "tensorboard")  # folders that belong to one text of a suite


def default_folder(suite: Suite) -> Path:
    """Return `runs/<suite>`; or `runs/<suite>-<hash>` for a trial, and for a text other than the published or present one.

    So a run without a named folder never moves the records of another text.
    """
    plain = Path("runs") / suite.name
    if not (unpublished(suite) or _holds_another(plain, suite)):
        return plain
    return plain.with_name(f"{suite.name}-{suite.hash[:8]}")


def make_way(out: Path, suite: Suite) -> None:
    """Move the folders of another text of the suite aside, and those of this text back. Nothing is overwritten.

    InputError where the folder holds another suite, or where a trial or an edited copy would move other records aside.
    """
    if not (out / "suite.json").is_file():
        return
    older = in_folder(out)
    if older.name != suite.name:
        raise InputError(f"{out} holds the runs of suite {older.name!r}, not {suite.name!r}; choose another --out")
    if older.hash == suite.hash:
        return
    if why := unpublished(suite):
        raise InputError(
            f"{out} holds runs of {older.name} {older.version}, and this is {why}; leave --out out, or choose another"
        )
    for name in KEPT:
        _move(out / name, _free(_aside(out, name, older)), "the suite's text has changed")
        _move(_aside(out, name, suite), out / name, "the suite has an earlier text again")


def _holds_another(folder: Path, suite: Suite) -> bool:
    if not (folder / "suite.json").exists():
        return False
    try:
        there = in_folder(folder)
    except InputError:  # it cannot be read, so it is left alone
        return True
    return (there.name, there.hash) != (suite.name, suite.hash)


def _aside(out: Path, name: str, suite: Suite) -> Path:
    return out / f"{name}.{suite.version}.{suite.hash[:8]}"


def _free(path: Path) -> Path:
    """Return the path, with a number appended where the name is taken."""
    candidates = (path if n == 1 else path.with_name(f"{path.name}.{n}") for n in count(1))
    return next(candidate for candidate in candidates if not candidate.exists())


def _move(path: Path, to: Path, why: str) -> None:
    if path.is_dir() and not to.exists():
        path.rename(to)
        log.warning("%s; %s is %s now", why, path, to)
