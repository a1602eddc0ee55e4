"""The folder of packed data sets, and which splits a process may read from it."""

import logging
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from lthbench.data import overview
from lthbench.data.known import KNOWN
from lthbench.data.names import PREFIX, place
from lthbench.data.packed.examples import Examples, Manifest, unpack
from lthbench.data.published import PUBLISHED
from lthbench.data.sources import EMBEDDED
from lthbench.errors import InputError, unknown

log = logging.getLogger(__name__)


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
        return Manifest.read(place(self.folder, name))

    def load(self, name: str, split: str) -> Examples:
        """One split. Raises PermissionError for a split that this process may not read."""
        return unpack(self._allowed(name, split), split)

    def _allowed(self, name: str, split: str) -> Path:
        if split not in self.splits:
            raise PermissionError(f"this process may not read the {split} split of {name!r}: only evaluation does")
        return place(self.folder, name)


def prepare(home: DataHome, name: str) -> Manifest:
    """Make sure that a data set is packed. What ships with a library, or is named as `imagefolder:PATH`, is packed now,
    by a process of its own, so that no test image passes through this one; anything else has to be there already."""
    if not place(home.folder, name).exists():
        if name.startswith(PREFIX):
            log.warning("packing %s, which happens once for a folder as it is", name)
        elif name not in EMBEDDED:
            raise InputError(_missing(home.folder, name))
        command = [sys.executable, "-m", "lthbench.data", name, str(home.folder)]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise InputError((done.stderr.strip().splitlines() or ["packing failed"])[-1])
    return home.manifest(name)


def described(home: DataHome, name: str) -> Manifest:
    """The manifest of a data set, to plan with: of a published one that is not packed, its published sizes."""
    if name not in KNOWN or place(home.folder, name).exists():
        return prepare(home, name)
    log.warning("%s is not in %s, planned by its published size; before a run, type: %s",
                name, home.folder, overview.advice(name))  # fmt: skip
    return KNOWN[name].manifest(name)


def _missing(folder: Path, name: str) -> str:
    if name in PUBLISHED or name in overview.FOLDERS:
        return f"the data set {name!r} is not in {folder}; type: {overview.advice(name)}"
    known = [*EMBEDDED, *PUBLISHED, *overview.packed(folder)]
    return unknown("data set", name, known) + f" (in {folder}) lthbench data add NAME PATH packs a folder of images."
