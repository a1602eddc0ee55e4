"""The folder of packed data sets, and the splits that a process may read from it."""

import logging
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from lthbench.data import overview
from lthbench.data.known import KNOWN
from lthbench.data.names import PREFIX, place
from lthbench.data.packed.examples import EncodedExamples, Examples, Manifest, unpack
from lthbench.data.published import PUBLISHED
from lthbench.data.sources import EMBEDDED
from lthbench.errors import InputError, unknown

log = logging.getLogger(__name__)


def default_folder() -> Path:
    """Return `$LTHBENCH_DATA`, else `~/.cache/lthbench/data`. A `~` at its start is the home folder."""
    named = os.environ.get("LTHBENCH_DATA") or "~/.cache/lthbench/data"
    try:
        return Path(named).expanduser()
    except RuntimeError as error:
        raise InputError(f"the data folder {named} cannot be found ({error}); set LTHBENCH_DATA to its path") from None


@dataclass(frozen=True)
class DataHome:
    """The packed data sets in `folder`. A process that runs method code gets only the training split."""

    folder: Path = field(default_factory=default_folder)
    splits: frozenset[str] = frozenset({"train"})

    def manifest(self, name: str) -> Manifest:
        """Return the manifest of a data set. Reads no images."""
        return Manifest.read(place(self.folder, name))

    def load(self, name: str, split: str) -> Examples | EncodedExamples:
        """Load one split. Raises PermissionError for a split that this process may not read."""
        return unpack(self._allowed(name, split), split)

    def _allowed(self, name: str, split: str) -> Path:
        if split not in self.splits:
            raise PermissionError(f"this process may not read the {split} split of {name!r}: only evaluation does")
        return place(self.folder, name)


def prepare(home: DataHome, name: str) -> Manifest:
    """Make sure that a data set is packed, and return its manifest.

    A data set that ships with a library, or is named as `imagefolder:PATH`, is packed now. A process of its own does it,
    so that no test image passes through this one. Any other data set has to be packed already.
    """
    if not place(home.folder, name).exists():
        if name.startswith(PREFIX):
            log.warning("packing %s; it is packed again only if its files change", name)
        elif name not in EMBEDDED:
            raise InputError(_missing(home.folder, name))
        command = [sys.executable, "-m", "lthbench.data", name, str(home.folder)]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise InputError((done.stderr.strip().splitlines() or ["packing failed"])[-1])
        manifest = home.manifest(name)
        for line in overview.left_out(manifest):
            log.warning("%s: %s", name, line)
        return manifest
    return home.manifest(name)


def described(home: DataHome, name: str) -> Manifest:
    """Return a manifest to plan with. That of a published data set that is not packed has its published sizes."""
    if name not in KNOWN or place(home.folder, name).exists():
        return prepare(home, name)
    log.warning("%s is not in %s and is planned by its published size; before a run, type: %s",
                name, home.folder, overview.advice(name))  # fmt: skip
    return KNOWN[name].manifest(name)


def _missing(folder: Path, name: str) -> str:
    if name in PUBLISHED or name in overview.FOLDERS:
        return f"the data set {name!r} is not in {folder}; type: {overview.advice(name)}"
    known = {*EMBEDDED, *PUBLISHED, *overview.packed(folder)}
    return f"{unknown('data set', name, known)[:-1]}, in {folder}. Type lthbench data add NAME PATH to pack images of your own."
