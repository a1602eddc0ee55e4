"""Starts: pretrained weights that a workload begins with, in place of weights drawn by seed.

A suite names a file beside it, or `timm:NAME.TAG`, whose weights lie in the data folder under `starts/`. From then on a start
is known by the digest of its tensors and of its normalisation, in every key and on the record.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import Tensor

from lthbench import keys
from lthbench.errors import InputError
from lthbench.models import Model
from lthbench.models.checkpoint import SUFFIXES, Checkpoint, read, write
from lthbench.models.fitted import fitted
from lthbench.models.pretrained import PREFIX, checkpoint_of, described, fetch
from lthbench.pruning.tensors import digest

log = logging.getLogger(__name__)

FOLDER = "starts"  # in the data folder
Normalisation = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and deviation of each channel, in 0…255."""
_files: dict[str, Path] = {}  # by digest
_found: dict[tuple[str, str], "Start"] = {}  # by text and digest, as a workload has them


@dataclass(frozen=True, eq=False)
class Start:
    """The start of a workload. `checkpoint` is None in a plan that was made before the weights were there."""

    text: str
    digest: str
    checkpoint: Checkpoint | None

    def tensors(self, model: Model) -> dict[str, Tensor]:
        """Return the tensors that a model starts with. InputError where they are not those of the model."""
        if self.checkpoint is None:
            return {}
        if model not in self._fitted:
            try:
                self._fitted[model] = fitted(self.checkpoint, model)
            except InputError as error:
                raise InputError(f"start = {self.text!r} does not fit: {error}") from None
        return self._fitted[model]

    def key(self, model: Model) -> str:
        """Return the digest of the tensors that a model starts with."""
        return digest(self.tensors(model)) if self.checkpoint else keys.key("a start that is not here", self.text)

    def normalisation(self, channels: int) -> Normalisation | None:
        """Return the normalisation that the weights were trained with.

        None where the checkpoint does not say one.
        For images of one channel, means and deviations of several are averaged.
        """
        if not (self.checkpoint and self.checkpoint.mean):
            return None
        mean, std = (_by_channel(values, channels, self.text) for values in (self.checkpoint.mean, self.checkpoint.std))
        return tuple(255 * value for value in mean), tuple(255 * value for value in std)

    def write(self, home: Path) -> None:
        """Write the checkpoint into a data folder, where `locate` finds it."""
        if self.checkpoint:
            (home / FOLDER).mkdir(parents=True, exist_ok=True)
            write(self.checkpoint, home / FOLDER / f"{file_name(self.text, self.digest)}.safetensors")

    @cached_property
    def _fitted(self) -> dict[Model, dict[str, Tensor]]:
        return {}


def register(text: str, folder: Path, pinned: str) -> str:
    """Register a start that a suite in `folder` names, and return its digest. `pinned` is the digest that the suite says.

    InputError where the file is not there, or is another one. A file with a pinned digest may be absent, and so may the
    weights of a library.
    """
    if text.startswith(PREFIX):
        return pinned
    if Path(text).suffix not in SUFFIXES:
        raise InputError(f"start = {text!r} is neither a file ({', '.join(SUFFIXES)}) nor {PREFIX}NAME.TAG")
    path = folder / text
    if not path.is_file():
        if pinned:
            return pinned
        raise InputError(f"start = {text!r}: there is no file {path}; it lies beside the suite")
    found = digest_of(read(path))
    if pinned not in ("", found):
        raise InputError(f"start = {text!r}: {path} has the digest {found}, the suite says {pinned}")
    _files[found] = path.resolve()
    return found


def locate(text: str, pinned: str, home: Path, planning: bool = False) -> Start:
    """Find the start of a workload, among the registered files or in the data folder `home`. From then on `known` has it.

    InputError where it is not there, or has another digest than `pinned`. For `planning` it may be absent.
    """
    path = _files.get(pinned) or _in_home(text, pinned, home)
    _found[text, pinned] = start = _read(text, pinned, path) if path else _absent(text, pinned, home, planning)
    return start


def _read(text: str, pinned: str, path: Path) -> Start:
    checkpoint = checkpoint_of(text, path) if text.startswith(PREFIX) else read(path)
    found = digest_of(checkpoint)
    if pinned not in ("", found):
        raise InputError(f"start = {text!r}: {path} has the digest {found}, the suite says {pinned}")
    return Start(text, found, checkpoint)


def _absent(text: str, pinned: str, home: Path, planning: bool) -> Start:
    """Return a start to plan with. InputError outside of a plan, and for a name that timm does not have."""
    if text.startswith(PREFIX):
        described(text)
    if not planning:
        raise InputError(f"start = {text!r} is not here; {advice(text, pinned, home)}")
    log.warning("start %s is planned without its weights; before a run, %s", text, advice(text, pinned, home))
    return Start(text, pinned, None)


def fetched(text: str, home: Path) -> Path:
    """Return the file in the data folder with the weights of `timm:NAME.TAG`, which are downloaded unless they are there."""
    target = _in_home(text, "", home) or home / FOLDER / f"{file_name(text, '')}.safetensors"
    fetch(text, target)
    return target


def known(text: str, pinned: str) -> Start:
    """Return a start that `locate` has found."""
    return _found[text, pinned]


def digest_of(checkpoint: Checkpoint) -> str:
    """Return the digest of a checkpoint: its tensors, and how its images were normalised."""
    return keys.key("checkpoint", digest(checkpoint.tensors), checkpoint.mean, checkpoint.std)


def label(text: str) -> str:
    """Return the short name of a start, which is part of a workload's name."""
    return text if text.startswith(PREFIX) else Path(text).stem


def file_name(text: str, pinned: str) -> str:
    """Return the name of a start's file in the data folder."""
    return text.removeprefix(PREFIX) if text.startswith(PREFIX) else pinned


def advice(text: str, pinned: str, home: Path) -> str:
    """Return what to do for a start that is not here."""
    place = home / FOLDER / f"{file_name(text, pinned)}.safetensors"
    if text.startswith(PREFIX):
        return f"type lthbench data get {text}, or put its weights at {place}"
    return f"put the file that the suite names beside the suite, or at {place}"


def _in_home(text: str, pinned: str, home: Path) -> Path | None:
    paths: Sequence[Path] = [home / FOLDER / f"{file_name(text, pinned)}{suffix}" for suffix in SUFFIXES]
    return next((path for path in paths if path.is_file()), None)


def _by_channel(values: tuple[float, ...], channels: int, text: str) -> tuple[float, ...]:
    if len(values) in (1, channels):
        return values * (channels // len(values))
    if channels == 1:
        return (sum(values) / len(values),)
    raise InputError(f"start = {text!r} was trained on images of {len(values)} channels, these have {channels}")
