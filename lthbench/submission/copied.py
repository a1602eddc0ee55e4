"""Changes to a leaderboard that are made in a copy of it, and moved where all of them succeeded."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lthbench.runs.store.files import write_whole, writing

README = "README.md"  # of the project, whose tables a board refreshes


@contextmanager
def copied(leaderboard: Path) -> Iterator[Path]:
    """Yield a copy of a leaderboard with the README beside it; move what changed there when the block ends without an error."""
    there = leaderboard.resolve()
    with _beside(there.parent) as folder:
        with writing(there.parent):
            shutil.copytree(there, folder / there.name)
            if (there.parent / README).is_file():
                shutil.copy2(there.parent / README, folder)
        yield folder / there.name
        with writing(there):
            _move(folder / there.name, there)
            if (there.parent / README).is_file():
                _move_file(folder / README, there.parent / README)


@contextmanager
def _beside(home: Path) -> Iterator[Path]:
    """Make a temporary folder on the disk of the leaderboard."""
    with writing(home):
        made = tempfile.TemporaryDirectory(prefix=".publish-", dir=home)
    with made as name:
        yield Path(name)


def _move(copy: Path, there: Path) -> None:
    files = {path.relative_to(copy) for path in copy.rglob("*") if path.is_file()}
    for path in sorted(files):
        _move_file(copy / path, there / path)
    for path in [path for path in there.rglob("*") if path.is_file()]:
        if path.relative_to(there) not in files:
            path.unlink()


def _move_file(new: Path, old: Path) -> None:
    content = new.read_bytes()
    if not old.is_file() or old.read_bytes() != content:
        write_whole(old, content)
