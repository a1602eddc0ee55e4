"""A watch over steps on a CPU: it finds what a CUDA graph could not hold, and the author's line that asks for it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from lthbench.training.step import Step

WAITS = {
    "_local_scalar_dense": "asks for a value",
    "is_nonzero": "asks for a value",
    "equal": "asks for a value",
    "nonzero": "asks which elements are not zero",
    "masked_select": "selects by a mask",
    "lift_fresh": "makes a tensor of a Python number",
}
"""What makes a GPU wait for the host inside a step, by operation."""


class _Watch(TorchDispatchMode):
    """A mode that notes the lines of a file from which a step waits for the host."""

    def __init__(self, file: Path, found: dict[str, None]):
        super().__init__()
        self._file, self._found = str(file), found

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if (why := _why(func, args)) and (line := _line(self._file)):
            self._found[f"line {line} {why}"] = None
        return func(*args, **(kwargs or {}))


@contextmanager
def watching_steps(file: Path | None) -> Iterator[dict[str, None]]:
    """Watch all steps of this process meanwhile. Yields what a file's code does in them that no CUDA graph can hold."""
    found: dict[str, None] = {}
    step = Step.__call__

    def watched(self: Step, images: Tensor, labels: Tensor, rate: Tensor) -> None:
        with _Watch(file, found):  # type: ignore[arg-type]
            step(self, images, labels, rate)

    if file:
        Step.__call__ = watched  # type: ignore[method-assign]
    try:
        yield found
    finally:
        Step.__call__ = step  # type: ignore[method-assign]


def _why(func: Any, args: Any) -> str:
    name = func._schema.name.removeprefix("aten::")
    if name in ("index", "index_put_", "index_put") and any(_is_mask(index) for index in args[1]):
        return "selects by a mask"
    return WAITS.get(name, "")


def _is_mask(index: Any) -> bool:
    return isinstance(index, Tensor) and index.dtype in (torch.bool, torch.uint8)


def _line(file: str) -> int:
    """Return the line of a file that is being executed inside the step; 0 where none is."""
    frame = sys._getframe(2)
    while frame.f_code.co_filename not in (file, __file__):
        frame = frame.f_back  # type: ignore[assignment]
    return frame.f_lineno if frame.f_code.co_filename == file else 0
