"""The books of the GPU on paper: what was called, launched, captured and refused in this process."""

import ctypes
import os
from collections import Counter

_lib = ctypes.CDLL(os.environ["PAPER_SO"])
for _name in ("paper_trouble", "paper_calls", "paper_kernels", "paper_graph"):
    getattr(_lib, _name).restype = ctypes.c_char_p
_lib.paper_used.restype = ctypes.c_long
_lib.paper_waited.restype = ctypes.c_double
_lib.paper_limit.argtypes = [ctypes.c_long]
_lib.paper_slow.argtypes = [ctypes.c_double]


def clear() -> None:
    """Begin new books. Memory and graphs that are alive stay."""
    _lib.paper_reset()


def trouble() -> set[str]:
    """Return what a device would have refused, or what would have gone wrong on it."""
    return {line.partition(" [thread")[0] for line in _lib.paper_trouble().decode().splitlines()}


def graphs() -> list[list[str]]:
    """Return the nodes of all graphs that were captured, by the names of their kernels."""
    return [_lib.paper_graph(i).decode().splitlines() for i in range(_lib.paper_graphs())]


def calls() -> Counter[str]:
    """Count the calls of the runtime by name."""
    lines = (line.split("\t", 1) for line in _lib.paper_calls().decode().splitlines())
    return Counter({name: int(count) for count, name in lines})


def used() -> int:
    """Return the bytes of the device that are taken."""
    return int(_lib.paper_used())


def limit(size: int) -> None:
    """Set the memory of the device, in bytes."""
    _lib.paper_limit(size)


def slow(nanoseconds: float) -> None:
    """Let each kernel of a graph take this time."""
    _lib.paper_slow(nanoseconds)


def waited() -> float:
    """Return the seconds that this thread has waited for kernels."""
    return float(_lib.paper_waited())


def break_context() -> None:
    """Break the context of this process for good, as an illegal address does."""
    _lib.paper_break()
