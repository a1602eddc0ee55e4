"""A bundle's files, read from a folder or a zip without unpacking it: nothing is ever written.

A zip holds its members stored, not compressed, so that it is as large as what it holds. Links, devices, odd names and
whatever the manifest does not name are refused before a byte of them is read.
"""

import os
import stat
import struct
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from lthbench.errors import InputError
from lthbench.submission.bundle.manifest import BundleError, plain_path, shown

MEMBERS = 60_010
DEPTH = 4  # folders inside folders
DIRECTORY = 20_000_000  # bytes of a zip's list of members
_END = struct.Struct("<4s4H2LH")  # end of a zip's list: signature, disks, counts, size, offset, comment


class Container(ABC):
    """Files by path, with their sizes."""

    sizes: dict[str, int]

    def read(self, path: str, most: int) -> bytes:
        """A file whole. BundleError where it is not there or holds more than `most` bytes."""
        if path not in self.sizes:
            raise BundleError(f"the bundle has no {path}")
        if self.sizes[path] > most:
            raise BundleError(f"{path} has {self.sizes[path]:,} bytes; at most {most:,} are read")
        content = self._read(path)
        if len(content) != self.sizes[path]:
            raise BundleError(f"{path} is cut off, or changed while it was read")
        return content

    @abstractmethod
    def _read(self, path: str) -> bytes: ...


class Folder(Container):
    """Regular files below a folder."""

    def __init__(self, root: Path):
        self.root = root
        self.sizes = {}
        for path, size in _walk(root, "", 0):
            self.sizes[path] = size
            if len(self.sizes) > MEMBERS:
                raise BundleError(f"the bundle holds more than {MEMBERS:,} files")

    def _read(self, path: str) -> bytes:
        try:
            handle = os.open(self.root / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(handle, "rb") as file:
                if not stat.S_ISREG(os.fstat(handle).st_mode):
                    raise BundleError(f"{path} is no regular file")
                return file.read(self.sizes[path] + 1)
        except OSError as error:
            raise BundleError(f"cannot read {path}: {error.strerror}") from None


class Zip(Container):
    """Stored members of a zip."""

    def __init__(self, file: BinaryIO):
        self._zip = _opened(file)
        for info in self._zip.infolist():
            _check_member(info)
        self._infos = {info.filename: info for info in self._zip.infolist()}
        if len(self._infos) < len(self._zip.infolist()):
            raise BundleError("two members of the zip have one name")
        self.sizes = {name: info.file_size for name, info in self._infos.items()}
        if sum(self.sizes.values()) > os.fstat(file.fileno()).st_size:
            raise BundleError("the members of the zip overlap: they are larger than the file")

    def _read(self, path: str) -> bytes:
        with _zip_damage(path), self._zip.open(self._infos[path]) as member:
            return member.read(self.sizes[path] + 1)


@contextmanager
def opened(path: Path) -> Iterator[Container]:
    """The files of a bundle, a folder or a zip. BundleError where it is neither, or holds what no bundle may."""
    if path.is_symlink():
        raise BundleError(f"{path} is a link; give the bundle itself")
    if path.is_dir():
        yield Folder(path)
    elif path.is_file():
        with path.open("rb") as file:
            yield Zip(file)
    else:
        raise InputError(f"there is no bundle {path}; lthbench submit RESULTS --method M --out {path} makes one")


def _walk(root: Path, below: str, depth: int) -> Iterator[tuple[str, int]]:
    with os.scandir(root / below) as entries:
        for entry in entries:
            path = f"{below}/{entry.name}" if below else entry.name
            _check_path(path)
            if entry.is_symlink():
                raise BundleError(f"{path} is a link; a bundle holds files alone")
            if entry.is_dir():
                if depth == DEPTH:
                    raise BundleError(f"{path}: folders lie more than {DEPTH} deep")
                yield from _walk(root, path, depth + 1)
            elif entry.is_file():
                yield path, entry.stat(follow_symlinks=False).st_size
            else:
                raise BundleError(f"{path} is no regular file")


def _check_path(path: str) -> None:
    try:
        plain_path(path)
    except ValueError as error:
        raise BundleError(str(error)) from None


def _opened(file: BinaryIO) -> zipfile.ZipFile:
    """A zip whose list of members was looked at before it is read."""
    size = os.fstat(file.fileno()).st_size
    file.seek(max(0, size - _END.size))
    tail = file.read(_END.size)
    if len(tail) < _END.size or not tail.startswith(b"PK\x05\x06"):
        raise BundleError("this is no zip, or its end is cut off, or it carries a comment")
    _, _, _, _, count, directory, offset, _ = _END.unpack(tail)
    if count > MEMBERS or directory > DIRECTORY or offset + directory + _END.size != size:
        raise BundleError(
            f"the zip's list of members is not a bundle's ({count:,} members, {directory:,} bytes); "
            f"what exceeds {MEMBERS:,} files or 4 GB is handed in as a folder"
        )
    with _zip_damage("the zip"):
        return zipfile.ZipFile(file)


def _check_member(info: zipfile.ZipInfo) -> None:
    """Raises BundleError unless a member is a plain stored file."""
    _check_path(info.orig_filename)
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise BundleError(f"{info.filename} is a link or no regular file; a bundle holds files alone")
    if info.flag_bits & 1:
        raise BundleError(f"{info.filename} is encrypted")
    if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
        raise BundleError(
            f"{info.filename} is compressed; members are stored as they are: write the zip with lthbench submit"
        )


@contextmanager
def _zip_damage(what: str) -> Iterator[None]:
    try:
        yield
    except (
        zipfile.BadZipFile,
        NotImplementedError,
        RuntimeError,
        EOFError,
        ValueError,
        OSError,
        struct.error,
    ) as error:
        raise BundleError(f"{what} is damaged: {shown(str(error))}") from None
