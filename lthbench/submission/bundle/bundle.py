"""A bundle: a manifest, the method's source, records, and for every run a ticket with its final values.

    manifest.json  method.py  records.jsonl  tickets/<number>.safetensors

and the modules beside it that the method imports,

in a folder, or in a zip with stored members whose bytes depend on the content alone.
"""

import hashlib
import re
import zipfile
from collections.abc import Collection, Iterator, Mapping
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
from lthbench.submission.bundle import container, manifest, source_rules, tensors
from lthbench.submission.bundle.container import Container
from lthbench.submission.bundle.manifest import NAME, RECORDS, SOURCE, BundleError, File, Manifest, Ticket

MANIFEST_BYTES = 20_000_000
RECORDS_BYTES = 100_000_000
LINE_BYTES = 1_000_000  # of one record
LINE_ITEMS = 20_000  # commas in one record: what memory it takes grows with them
RECORDS_ITEMS = 2_000_000
TICKET_BYTES = 2_000_000_000


@dataclass(frozen=True)
class Bundle:
    """A bundle whose files are those of its manifest, byte for byte. `digest` is the sha256 of the manifest, which names
    the sha256 of everything else."""

    manifest: Manifest
    records: tuple[Record, ...]
    sources: Mapping[str, str]  # by file: method.py, then its helpers
    container: Container
    digest: str

    @property
    def source(self) -> str:
        return self.sources[SOURCE]

    def final(self, ticket: Ticket, models: Collection[str] = ()) -> final_network.FinalNetwork:
        """Return the final network of a run. BundleError where its tensors are not those of its model, or where that is
        neither one of lthbench's own nor one of `models`, which the caller trusts."""
        path, model = ticket.file.path, ticket.model.model
        if model.name not in models:
            check_own(model)
        content = self.container.read(path, min(TICKET_BYTES, largest(model)))
        _check_hash(ticket.file, content)
        return final(model, ticket.origin.model_dump(exclude_none=True), content, path)


@contextmanager
def opened(path: Path) -> Iterator[Bundle]:
    """Open a bundle in a folder or a zip. BundleError for the first thing that is wrong with its files."""
    with container.opened(path) as files:
        content = files.read(NAME, MANIFEST_BYTES)
        named = manifest.parse(content)
        _check_names(named, files)
        sources = {f.path: _text(_read(f, files, source_rules.FILE), f.path) for f in (named.source, *named.helpers)}
        lines = _read(named.records, files, RECORDS_BYTES)
        _check_tickets(named, files)
        digest = hashlib.sha256(content).hexdigest()
        yield Bundle(named, tuple(_records(lines)), sources, files, digest)


def check_own(model: Model) -> None:
    """Raise BundleError unless a model is one that lthbench itself builds, of a size that it builds at once."""
    if ":" in model.name or re.search(r"\d{6}", model.name) or len(re.findall(r"\d+", model.name)) > 20:
        raise BundleError(f"its model {model.name} is not one of lthbench's own models of a like size")


def largest(model: Model) -> int:
    """Return the bytes that a ticket of a model may have: mask, values, start weights, buffers and a header."""
    held = sum(shape.numel() for shape in model.shapes.values())
    held += 2 * sum(buffer.numel() for buffer in model.module().buffers())
    return tensors.HEADER + 8 + 9 * held + 1000 * len(model.shapes)


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
    """Load the final network that a safetensors file holds, after a look at the names and shapes of its tensors."""
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
    """Return type and shape of every tensor of a ticket; no shape where the mask says how many values there are."""
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


def _check_names(named: Manifest, files: Container) -> None:
    """Raise BundleError unless the bundle holds the files that its manifest names, with their sizes, and no others."""
    if extra := sorted(files.sizes.keys() - {NAME, *(file.path for file in named.files)}):
        raise BundleError(f"the bundle holds {extra[0]}, which its manifest does not name")
    for file in named.files:
        if file.path not in files.sizes:
            raise BundleError(f"the bundle has no {file.path}")
        if files.sizes[file.path] != file.size:
            raise BundleError(f"{file.path} is not the file that the manifest names: its size differs")


def _check_tickets(named: Manifest, files: Container) -> None:
    for ticket in named.tickets:
        if files.sha256(ticket.file.path, TICKET_BYTES) != ticket.file.sha256:
            raise BundleError(f"{ticket.file.path} is not the file that the manifest names: its sha256 differs")


def _read(file: File, files: Container, most: int) -> bytes:
    content = files.read(file.path, most)
    _check_hash(file, content)
    return content


def _check_hash(file: File, content: bytes) -> None:
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise BundleError(f"{file.path} is not the file that the manifest names: its sha256 differs")


def _records(content: bytes) -> Iterator[Record]:
    if content.count(b",") > RECORDS_ITEMS:
        raise BundleError(f"{RECORDS} holds more than {RECORDS_ITEMS:,} items")
    _text(content, RECORDS)
    for number, line in enumerate(content.split(b"\n"), 1):
        if len(line) > LINE_BYTES or line.count(b",") > LINE_ITEMS:
            raise BundleError(f"{RECORDS}:{number}: holds more than {LINE_BYTES:,} bytes or {LINE_ITEMS:,} items")
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
    """Write a zip that has the same bytes for the same files: stored, in order of name, dated 1980."""
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
