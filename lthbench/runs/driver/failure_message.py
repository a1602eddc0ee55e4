"""Messages about the failure of a method."""

import inspect
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lthbench.errors import LthbenchError


def in_one_line(error: BaseException) -> str:
    """Return the message of an error in one line, with the kind of error unless it is one of lthbench's own."""
    said = " ".join(str(error).split())
    return said if isinstance(error, LthbenchError) else f"{type(error).__name__}: {said}"


def location(error: BaseException, function: Callable[..., Any]) -> str:
    """Return the innermost line of the method's file that an error came through: `mine.py:9`; "" where there is none."""
    file = inspect.getfile(inspect.unwrap(function))
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f"{Path(file).name}:{lines[-1]}" if lines else ""
