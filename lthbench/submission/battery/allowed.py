"""The rules of a submitted source, read from a method file before any of it runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lthbench import source
from lthbench.errors import InputError
from lthbench.submission.bundle import source_rules


def refused(file: Path) -> list[str]:
    """Return what a bundle may not hold of a method file and of its own modules, as `mine.py:9 imports os: …`.

    InputError for a file that does not load.
    """
    with _loading(file):
        sources = {file.name: _read(file)}
        own = source.own_modules(file)
    for name, module in own.items():
        with _loading(module):
            sources[f"{name}.py"] = _read(module)
    return list(source_rules.problems(sources))


def _read(file: Path) -> str:
    source.parsed(source.read(file))
    return source_rules.text_of(file.read_bytes())


@contextmanager
def _loading(file: Path) -> Iterator[None]:
    """Turn errors of reading and parsing a file into an InputError that names it."""
    try:
        yield
    except SyntaxError as error:
        where = f"line {error.lineno}: " if error.lineno else ""
        raise InputError(f"{file} does not load: {where}{error.msg}") from error
    except OSError as error:
        raise InputError(f"{file} does not load: {error.strerror or error}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise InputError(f"{file} does not load: {error}") from error
