"""Load a Python file that a user names, as a module."""

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from lthbench.errors import InputError


def execute(path: Path, name: str) -> ModuleType:
    """Execute a file as the module `name`, as Python does a script: it may import the modules beside it.

    InputError for a file that does not load, which leaves no module behind.
    """
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with _beside(path.resolve().parent):
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        if isinstance(error, InputError):
            raise
        words = f"{type(error).__name__}: {error}".removesuffix(": ")
        raise InputError(f"{path} does not load: {words}") from error
    return module


@contextmanager
def _beside(folder: Path) -> Iterator[None]:
    """Let a file import the modules that lie beside it."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
