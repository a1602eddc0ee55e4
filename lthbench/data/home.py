"""The folder of packed data sets, and which splits a process may read from it."""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from lthbench.data.packed import Examples, Manifest, unpack
from lthbench.data.sources import EMBEDDED
from lthbench.errors import InputError, unknown


def default_folder() -> Path:
    """`$LTHBENCH_DATA`, else `~/.cache/lthbench/data`."""
    named = os.environ.get("LTHBENCH_DATA")
    return Path(named) if named else Path.home() / ".cache" / "lthbench" / "data"


@dataclass(frozen=True)
class DataHome:
    """Packed data sets in `folder`; a process that runs method code is given the training split alone."""

    folder: Path = field(default_factory=default_folder)
    splits: frozenset[str] = frozenset({"train"})

    def manifest(self, name: str) -> Manifest:
        """What the data set is. Reads no images."""
        return Manifest.read(self.folder / name)

    def load(self, name: str, split: str) -> Examples:
        """One split. Raises PermissionError for a split that this process may not read."""
        if split not in self.splits:
            raise PermissionError(f"this process may not read the {split} split of {name!r}: only evaluation does")
        return unpack(self.folder / name, split)


def prepare(home: DataHome, name: str) -> Manifest:
    """Make sure that a data set is packed. What ships with a library is packed now, by a process of its own, so that
    no test image passes through this one; anything else has to be there already."""
    if not (home.folder / name).exists():
        if name not in EMBEDDED:
            raise InputError(unknown("data set", name, [*EMBEDDED, *_packed(home.folder)]) + f" (in {home.folder})")
        command = [sys.executable, "-m", "lthbench.data", name, str(home.folder)]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise InputError((done.stderr.strip().splitlines() or ["packing failed"])[-1])
    return home.manifest(name)


def _packed(folder: Path) -> list[str]:
    return [path.parent.name for path in folder.glob("[!.]*/manifest.json")]
