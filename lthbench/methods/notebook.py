"""The text of methods that are written in a notebook. Each cell is a text of its own, without a file."""

import inspect
import linecache
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

from lthbench import keys, source


def is_cell(function: Callable[..., Any]) -> bool:
    """Say whether a function was written in a cell: `linecache` knows its text, but there is no file."""
    path = _path(function)
    return bool(path) and not Path(path).is_file() and bool(linecache.getlines(path))


def digest(function: Callable[..., Any]) -> str:
    """Return a key of a function's cell, and of the functions, classes and plain values that it uses from other cells."""
    return keys.key("cell", source.digest_of(_text(function)), dict(_used(function, set())))


def _used(thing: Any, seen: set[str]) -> Iterator[tuple[str, Any]]:
    """Yield the name and the content of each variable of the notebook that a function or a class uses, directly or not."""
    for name, value in _variables(thing).items():
        if name in seen:
            continue
        seen.add(name)
        if value is None or isinstance(value, bool | int | float | str):
            yield name, value
        elif isinstance(value, FunctionType | type) and is_cell(value):
            yield name, source.digest_of(_text(value))
            yield from _used(value, seen)


def _variables(thing: Any) -> dict[str, Any]:
    functions = (
        [thing] if isinstance(thing, FunctionType) else [f for f in vars(thing).values() if inspect.isfunction(f)]
    )
    found: dict[str, Any] = {}
    for function in map(inspect.unwrap, functions):
        names = _names(function.__code__)
        found |= {name: value for name, value in function.__globals__.items() if name in names}
    return found


def _names(code: CodeType) -> set[str]:
    """Return the names that a code object uses, also in the functions inside it."""
    inner = [_names(each) for each in code.co_consts if isinstance(each, CodeType)]
    return set(code.co_names).union(*inner)


def _path(thing: Any) -> str:
    """Return the file name that Python noted for a function, or for the first method of a class."""
    if isinstance(thing, type):
        functions = [each for each in vars(thing).values() if isinstance(each, FunctionType)]
        return _path(functions[0]) if functions else ""
    code = getattr(inspect.unwrap(thing), "__code__", None)
    return code.co_filename if isinstance(code, CodeType) else ""


def _text(thing: Any) -> str:
    return "".join(linecache.getlines(_path(thing)))
