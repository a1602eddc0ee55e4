"""A bundle: a manifest, the method's source, records, and for every run a ticket with its final values.

    manifest.json  method.py  records.jsonl  tickets/<number>.safetensors

as a folder, or as a zip with stored members whose bytes depend on the content alone.
"""

import hashlib
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from lthbench.errors import InputError
from lthbench.models import Model
from lthbench.pruning.tensors import unpacked
from lthbench.runs.driver import final_network
from lthbench.runs.records import record as records
from lthbench.runs.records.record import Record
from lthbench.runs.store.files import write_whole
from lthbench.submission.bundle import container, manifest, tensors
from lthbench.submission.bundle.container import Container
from lthbench.submission.bundle.manifest import NAME, RECORDS, SOURCE, BundleError, Manifest, Ticket

MANIFEST_BYTES = 60_000_000
RECORDS_BYTES = 200_000_000
SOURCE_BYTES = 64_000  # too few to carry trained weights of a suite
TICKET_BYTES = 2_000_000_000


@dataclass(frozen=True)
class Bundle:
    """A bundle whose files are those of its manifest, byte for byte."""

    manifest: Manifest
    records: tuple[Record, ...]
    source: str
    container: Container

    @property
    def digest(self) -> str:
        """sha256 of the manifest, which names the sha256 of everything else."""
        return hashlib.sha256(self.container.read(NAME, MANIFEST_BYTES)).hexdigest()

    def final(self, ticket: Ticket) -> final_network.FinalNetwork:
        """The final of a run. BundleError where its tensors are not those of its model."""
        content = self.container.read(ticket.file.path, TICKET_BYTES)
        return final(ticket.model.model, ticket.origin.model_dump(exclude_none=True), content, ticket.file.path)


@contextmanager
def opened(path: Path) -> Iterator[Bundle]:
    """A bundle in a folder or a zip. BundleError for the first thing that is wrong with its files."""
    with container.opened(path) as files:
        named = manifest.parse(files.read(NAME, MANIFEST_BYTES))
        _check_files(named, files)
        source = _text(files.read(SOURCE, SOURCE_BYTES), SOURCE)
        yield Bundle(named, tuple(_records(files)), source, files)


def write(path: Path, named: Manifest, files: Mapping[str, bytes]) -> None:
    """Write a bundle: a zip where the path ends in .zip, else a folder. InputError where something is there already."""
    if path.exists():
        raise InputError(f"{path} exists already; choose another --out, or remove it")
    everything = {NAME: named.bytes} | dict(files)
    if path.suffix == ".zip":
        _write_zip(path, everything)
        return
    for name, content in reversed(everything.items()):  # the manifest last
        write_whole(path / name, content)


def final(model: Model, origin: dict[str, object], content: bytes, what: str) -> final_network.FinalNetwork:
    """The final that a safetensors file holds, after a look at the names and shapes of its tensors."""
    given = tensors.header(content, what)
    wanted = _fixed_shapes(model, start=any(name.startswith("start/") for name in given) or origin["kind"] != "init")
    if missing := sorted(wanted.keys() - given.keys()):
        raise BundleError(f"{what} has no {missing[0]}")
    if extra := sorted(given.keys() - wanted.keys()):
        raise BundleError(f"{what} holds {extra[0][:80]!r}, which {model.name} does not have")
    for name, (kind, shape) in wanted.items():
        if given[name][0] != kind or (shape is not None and given[name][1] != shape):
            raise BundleError(f"{what}: {name} is {_described(*given[name])}, not {_described(kind, shape)}")
    loaded = tensors.loaded(content, what)
    for name, shape in model.prunable_shapes.items():
        bits = loaded[f"mask/{name}"]
        kept = int(unpacked(bits, torch.Size([8 * len(bits)])).sum())
        if spare := 8 * len(bits) - shape.numel():
            tail = int(bits[-1]) & ((1 << spare) - 1)
            if tail:
                raise BundleError(f"{what}: mask/{name} has bits behind its end")
        for part in ("values", "start"):
            count = loaded[f"{part}/{name}"].numel() if f"{part}/{name}" in loaded else kept
            if count != kept:
                raise BundleError(f"{what}: {part}/{name} has {count} values, its mask keeps {kept}")
    return final_network.restored(model, dict(origin), loaded)


def _fixed_shapes(model: Model, start: bool) -> dict[str, tuple[torch.dtype, tuple[int, ...] | None]]:
    """Type and shape of every tensor of a ticket; no shape where the mask says how many values there are."""
    prunable = model.prunable_shapes
    wanted: dict[str, tuple[torch.dtype, tuple[int, ...] | None]] = {}
    for name, shape in prunable.items():
        wanted[f"mask/{name}"] = (torch.uint8, (-(-shape.numel() // 8),))
    buffers = {name: (b.dtype, tuple(b.shape)) for name, b in model.module().named_buffers()}
    for values, kept in (("values", "buffers"), ("start", "start-buffers")) if start else (("values", "buffers"),):
        for name, shape in model.shapes.items():
            wanted[f"{values}/{name}"] = (torch.float32, None if name in prunable else tuple(shape))
        wanted |= {f"{kept}/{name}": described for name, described in buffers.items()}
    return wanted


def _described(kind: torch.dtype, shape: tuple[int, ...] | None) -> str:
    return f"{str(kind).removeprefix('torch.')} {'[kept]' if shape is None else list(shape)}"


def _check_files(named: Manifest, files: Container) -> None:
    """What the manifest names is there, whole, and nothing else is."""
    if extra := sorted(files.sizes.keys() - {NAME, *(file.path for file in named.files)}):
        raise BundleError(f"the bundle holds {extra[0]}, which its manifest does not name")
    limits = {SOURCE: SOURCE_BYTES, RECORDS: RECORDS_BYTES}
    for file in named.files:
        content = files.read(file.path, limits.get(file.path, TICKET_BYTES))
        if len(content) != file.size or hashlib.sha256(content).hexdigest() != file.sha256:
            raise BundleError(f"{file.path} is not the file that the manifest names: its size or sha256 differs")


def _records(files: Container) -> Iterator[Record]:
    for number, line in enumerate(_text(files.read(RECORDS, RECORDS_BYTES), RECORDS).split("\n"), 1):
        try:
            if line:
                yield records.parse(line, f"{RECORDS}:{number}")
        except InputError as error:
            raise BundleError(str(error)) from None


def _text(content: bytes, what: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise BundleError(f"{what} is not UTF-8: {error.reason} at byte {error.start}") from None


def _write_zip(path: Path, files: Mapping[str, bytes]) -> None:
    """The same bytes for the same files: stored, in order of name, dated 1980."""
    part = path.with_name(f".{path.name}.part")
    try:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED, allowZip64=False) as archive:
            for name in sorted(files):
                info = zipfile.ZipInfo(name)
                info.create_system, info.external_attr = 3, 0o100644 << 16
                archive.writestr(info, files[name])
        part.replace(path)
    except (OSError, zipfile.LargeZipFile) as error:
        part.unlink(missing_ok=True)
        raise InputError(f"cannot write {path}: {error}; leave .zip out to write a folder") from None
