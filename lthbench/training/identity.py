"""The identity of a rule or a probe, for keys: its name, version and fields, and its source if it is not part of
lthbench."""

import inspect
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from torch import Tensor

from lthbench import source
from lthbench.errors import MethodError
from lthbench.pruning.tensors import digest

_PACKAGE = Path(__file__).parent.parent
_METHODS = _PACKAGE / "baselines"  # their place in an installed package; a baseline counts as a method file there too


def identity(thing: Any) -> dict[str, Any]:
    """Return plain values that differ whenever the result may differ. Takes frozen dataclasses only."""
    kind = type(thing)
    if not (is_dataclass(thing) and kind.__dataclass_params__.frozen):
        raise MethodError(f"{kind.__name__} must be a frozen dataclass: its fields are its identity")
    hints = get_type_hints(kind)
    return {
        "name": kind.__qualname__,
        "version": getattr(kind, "version", 1),
        "fields": {f.name: _plain(getattr(thing, f.name), hints.get(f.name)) for f in fields(thing)},
        "sources": sources(kind),
    }


def by_author(thing: Any) -> bool:
    """Whether a rule or a probe, or one in its fields, is written outside lthbench."""
    if not is_dataclass(thing):
        return False
    return bool(sources(type(thing))) or any(by_author(getattr(thing, f.name)) for f in fields(thing))


def defined_at(thing: Any) -> str:
    """Return the file and line of a function or a class, as `mine.py:14`; its name where there is no text."""
    try:
        file, line = inspect.getsourcefile(thing), inspect.getsourcelines(thing)[1]
    except (OSError, TypeError):
        return str(getattr(thing, "__qualname__", thing))
    return f"{Path(str(file)).name}:{line}"


def sources(kind: type) -> list[str]:
    """Return digests of the files that define the class and its bases, outside lthbench, with what they import."""
    files = {Path(path): each.__module__ for each in inspect.getmro(kind) if (path := _file(each))}
    if written := [each.__name__ for each in inspect.getmro(kind) if each.__module__ == "__main__" and not _file(each)]:
        raise MethodError(
            f"{written[0]} is defined where its text cannot be read; write it in a .py file and import it"
        )
    own = [path for path in sorted(files) if _PACKAGE not in path.parents or path.parent == _METHODS]
    return [source.whole(path, files[path]) for path in own]


def _file(kind: type) -> str | None:
    try:
        return inspect.getsourcefile(kind) if kind.__module__ not in ("builtins", "typing") else None
    except (TypeError, OSError):
        return None


def _plain(value: Any, declared: Any) -> Any:
    if declared is float and isinstance(value, int | float):
        return float(value)
    if isinstance(value, Tensor):
        return digest({"": value})
    if isinstance(value, Mapping):
        return {name: _plain(item, None) for name, item in value.items()}
    return identity(value) if is_dataclass(value) else value
