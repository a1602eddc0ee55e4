"""What went wrong in a method, in words."""

import inspect
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lthbench.errors import LthbenchError


def in_one_line(error: BaseException) -> str:
    """What went wrong; with the kind of error, where it is not one of lthbench's own."""
    said = " ".join(str(error).split())
    return said if isinstance(error, LthbenchError) else f"{type(error).__name__}: {said}"


def place(error: BaseException, function: Callable[..., Any]) -> str:
    """The innermost line of the method's file that an error came through: `mine.py:9`; nothing where there is none."""
    file = inspect.getfile(inspect.unwrap(function))
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f"{Path(file).name}:{lines[-1]}" if lines else ""
