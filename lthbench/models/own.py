"""Models of the user's own: `FILE.py:NAME` names a class or a function in a file that lies beside the suite.

Only a suite names such a file. From then on the code is part of the model's name, `net.py:Net@4f2a91c07d3b`, in every key
and in every process; a process builds it where the file has been registered, and nowhere else.
"""

import re
import sys
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from types import ModuleType

from torch import nn

from lthbench import loading, source
from lthbench.errors import InputError, unknown
from lthbench.models.called import called
from lthbench.models.renamed import PREFIX

DIGITS = 12  # of the digest of a file's code, in the name of a model
WRITTEN = re.compile(r"(?P<path>[^:@]*\.py):(?P<name>[A-Za-z_]\w*)")
NAMED = rf"(?P<file>[^/:@]+\.py):(?P<name>[A-Za-z_]\w*)@(?P<digest>[0-9a-f]{{{DIGITS}}})"

_files: dict[str, Path] = {}  # by name and digest: net.py@4f2a91c07d3b
_helpers: dict[str, str] = {}  # digest of each module of a user's own beside a file, as it was loaded


def is_written(text: str) -> bool:
    """Tell whether a model is written as FILE.py:NAME."""
    return bool(WRITTEN.fullmatch(text))


def short(text: str) -> str:
    """Return FILE.py:NAME without the folder. Other names stay as they are."""
    return text.rpartition("/")[2] if is_written(text) else text


def register_beside(text: str, folder: Path, pinned: str) -> str:
    """Register the file of a model that a suite in `folder` names, and return its digest. `pinned` is what the suite says.

    InputError where the file is not there, or is another one. With a pinned digest it may be absent until it is built.
    """
    path = folder / text.partition(":")[0]
    if not path.is_file() and pinned:
        return pinned
    if not path.is_file():
        raise InputError(f"model = {text!r}: there is no file {path}; it lies beside the suite")
    digest = register(path)
    if pinned not in ("", digest):
        raise InputError(f"model = {text!r}: {path} has the digest {digest}, the suite says {pinned}")
    return digest


def register(path: Path) -> str:
    """Register a file, and return the digest of its code. InputError for a file that cannot be read."""
    try:
        digest = source.whole(path)
    except (OSError, SyntaxError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the file of models {path}: {error}") from None
    _files[_key(path.name, digest)] = path.resolve()
    return digest


def named(text: str, digest: str) -> str:
    """Return the whole name of a model that is written as FILE.py:NAME."""
    return f"{short(text)}@{digest[:DIGITS]}"


def contents(names: Iterable[str]) -> dict[str, bytes]:
    """Return the files of models, by their whole names, with the modules that they import: contents by relative path.

    `register_kept` takes the folder that they are written to. Other models are passed over.
    """
    matches = (re.fullmatch(NAMED, name.removeprefix(PREFIX)) for name in names)
    keys = dict.fromkeys(_key(match["file"], match["digest"]) for match in matches if match)
    return {f"{key}/{inside}": file.read_bytes() for key in keys for inside, file in _with_own(_files[key]).items()}


def register_kept(folder: Path) -> None:
    """Register the files of a folder that `contents` were written to."""
    for place in sorted(folder.glob("*.py@*")):
        if (path := place / place.name.partition("@")[0]).is_file():
            register(path)


def build(name: str, shape: tuple[int, int, int], classes: int, width: float) -> nn.Module:
    """Return `FILE.py:NAME@DIGEST`. InputError where no suite has named the file, or where it holds no such model."""
    match = re.fullmatch(NAMED, name)
    path = match and _files.get(_key(match["file"], match["digest"]))
    if not match or not path:
        raise InputError(
            "its code is not here; a model in a file is named by a suite as FILE.py:NAME, and lies beside it"
        )
    module = _loaded(path, match["digest"])
    there = {n for n, thing in vars(module).items() if getattr(thing, "__module__", "") == module.__name__}
    if match["name"] not in there:
        raise InputError(unknown(f"model in {path.name}", match["name"], there))
    return called(getattr(module, match["name"]), shape, classes, width)


def _key(file: str, digest: str) -> str:
    return f"{file}@{digest[:DIGITS]}"


@lru_cache(maxsize=64)
def _loaded(path: Path, digest: str) -> ModuleType:
    """Return the module of a file. InputError where its code has changed since it was registered."""
    if source.whole(path)[:DIGITS] != digest:
        raise InputError(f"{path} has changed since the suite was read; type the command again")
    _forget_changed(path)
    return loading.execute(path, f"lthbench_model_{path.stem}_{digest}")


def _forget_changed(path: Path) -> None:
    """Drop the modules beside a file that were loaded in another version, so that its own are loaded."""
    for name, file in source.own_modules(path).items():
        digest = source.digest(file)
        if _helpers.get(name, digest) != digest:
            sys.modules.pop(name, None)
        _helpers[name] = digest


def _with_own(path: Path) -> dict[str, Path]:
    """Return a file and the modules of a user's own that it imports, by the path that each would have beside the file."""
    found = {path.name: path}
    for name, file in source.own_modules(path).items():
        place = name.replace(".", "/")
        found[f"{place}/{file.name}" if file.name == "__init__.py" else f"{place}.py"] = file
    return found
