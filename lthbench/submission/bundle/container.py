"""A bundle's files, read from a folder or a zip without unpacking it: nothing is ever written.

A zip holds its members stored, not compressed, so that it is as large as what it holds. Links, devices, odd names and
whatever the manifest does not name are refused before a byte of them is read, and so are files that are larger than the
disk that they take, and files that are too large together.
"""

import hashlib
import os
import stat
import struct
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, BinaryIO

from lthbench.errors import InputError
from lthbench.submission.bundle.manifest import TICKETS, BundleError
from lthbench.submission.bundle.plain import plain_path, shown

MEMBERS = TICKETS + 10
DEPTH = 4  # folders inside folders
DIRECTORY = 8_000_000  # bytes of a zip's list of members
TOTAL = 8_000_000_000  # bytes of all files together
BLOCK = 1 << 20  # bytes that are hashed at once
HOLES = 8  # a file may be so many times as large as the disk that it takes, on disks that compress
_END = struct.Struct("<4s4H2LH")  # end of a zip's list: signature, disks, counts, size, offset, comment
_LOCATOR = 20  # bytes of the pointer to a zip64 end, which stands before it


class Container(ABC):
    """Files by path, with their sizes."""

    sizes: dict[str, int]

    def read(self, path: str, most: int) -> bytes:
        """Read a file whole. BundleError where it is not there or holds more than `most` bytes."""
        size = self._size(path, most)
        with self._opened(path) as file:
            content = file.read(size + 1)
        if len(content) != size:
            raise BundleError(f"{path} is cut off, or changed while it was read")
        return content

    def sha256(self, path: str, most: int) -> str:
        """Hash a file, a block at a time. BundleError as for `read`."""
        left, found = self._size(path, most), hashlib.sha256()
        with self._opened(path) as file:
            while block := file.read(BLOCK):
                found.update(block)
                left -= len(block)
                if left < 0:
                    break
        if left:
            raise BundleError(f"{path} is cut off, or changed while it was read")
        return found.hexdigest()

    def _size(self, path: str, most: int) -> int:
        if path not in self.sizes:
            raise BundleError(f"the bundle has no {path}")
        if self.sizes[path] > most:
            raise BundleError(f"{path} has {self.sizes[path]:,} bytes; at most {most:,} are read")
        return self.sizes[path]

    def _check_total(self) -> None:
        if (total := sum(self.sizes.values())) > TOTAL:
            raise BundleError(f"the files of the bundle have {total:,} bytes; at most {TOTAL:,} are read")

    @abstractmethod
    def _opened(self, path: str) -> AbstractContextManager[IO[bytes]]: ...


class Folder(Container):
    """Regular files below a folder."""

    def __init__(self, root: Path):
        self.root = root
        self.sizes = {}
        for number, (path, size) in enumerate(_walk(root, "", 0), 1):
            if number > MEMBERS:
                raise BundleError(f"the bundle holds more than {MEMBERS:,} files and folders")
            if size is not None:
                self.sizes[path] = size
        self._check_total()

    @contextmanager
    def _opened(self, path: str) -> Iterator[IO[bytes]]:
        try:
            handle = os.open(self.root / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(handle, "rb") as file:
                if not stat.S_ISREG(os.fstat(handle).st_mode):
                    raise BundleError(f"{path} is not a regular file")
                yield file
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
        self._check_total()

    @contextmanager
    def _opened(self, path: str) -> Iterator[IO[bytes]]:
        with _zip_damage(path), self._zip.open(self._infos[path]) as member:
            yield member


@contextmanager
def opened(path: Path) -> Iterator[Container]:
    """Open the files of a bundle, a folder or a zip. BundleError where it is neither, or holds what no bundle may."""
    if path.is_symlink():
        raise BundleError(f"{path} is a link; give the bundle itself")
    if path.is_dir():
        yield Folder(path)
    elif path.is_file():
        with path.open("rb") as file:
            _check_holes(path.name, os.fstat(file.fileno()))
            yield Zip(file)
    else:
        there = shown(str(path))
        raise InputError(f"there is no bundle {there}; lthbench submit RESULTS --method M --out {there} makes one")


def _walk(root: Path, below: str, depth: int) -> Iterator[tuple[str, int | None]]:
    """Yield every file with its size, and every folder with None."""
    with os.scandir(root / below) as entries:
        for entry in entries:
            path = f"{below}/{entry.name}" if below else entry.name
            _check_path(path)
            if entry.is_symlink():
                raise BundleError(f"{path} is a link; a bundle holds files alone")
            if entry.is_dir():
                if depth == DEPTH:
                    raise BundleError(f"{path}: folders lie more than {DEPTH} deep")
                yield path, None
                yield from _walk(root, path, depth + 1)
            elif entry.is_file():
                described = entry.stat(follow_symlinks=False)
                _check_holes(path, described)
                yield path, described.st_size
            else:
                raise BundleError(f"{path} is not a regular file")


def _check_path(path: str) -> None:
    try:
        plain_path(path)
    except ValueError as error:
        raise BundleError(str(error)) from None


def _check_holes(path: str, described: os.stat_result) -> None:
    """Refuse a file that claims far more bytes than lie on the disk."""
    taken = HOLES * 512 * getattr(described, "st_blocks", described.st_size)
    if described.st_size > max(BLOCK, taken):
        raise BundleError(
            f"{path} has {described.st_size:,} bytes and takes {taken // HOLES:,} on the disk: it has holes"
        )


def _opened(file: BinaryIO) -> zipfile.ZipFile:
    """Open a zip whose list of members was looked at before it is read."""
    size = os.fstat(file.fileno()).st_size
    file.seek(max(0, size - _END.size - _LOCATOR))
    tail = file.read(_LOCATOR + _END.size)
    end = tail[-_END.size :]
    if len(end) < _END.size or not end.startswith(b"PK\x05\x06"):
        raise BundleError("this is not a zip, or its end is cut off, or it carries a comment")
    if tail.startswith(b"PK\x06\x07"):
        raise BundleError("the zip has a second end for more than 4 GB; what is that large is handed in as a folder")
    _, disk, first, here, count, directory, offset, _ = _END.unpack(end)
    whole = disk == first == 0 and here == count and offset + directory + _END.size == size
    if count > MEMBERS or directory > DIRECTORY or not whole:
        raise BundleError(
            f"the zip's list of members is not a bundle's ({count:,} members, {directory:,} bytes); "
            f"what exceeds {MEMBERS:,} files or 4 GB is handed in as a folder"
        )
    with _zip_damage("the zip"):
        archive = zipfile.ZipFile(file)
    if len(archive.infolist()) != count:
        raise BundleError(f"the zip lists {len(archive.infolist()):,} members, its end says {count:,}")
    return archive


def _check_member(info: zipfile.ZipInfo) -> None:
    """Raise BundleError unless a member is a plain stored file."""
    _check_path(info.orig_filename)
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise BundleError(f"{info.filename} is a link or not a regular file; a bundle holds files alone")
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
        raise BundleError(f"{what} is damaged: {error}") from None
