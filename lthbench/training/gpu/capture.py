"""The capture of a program as a CUDA graph, and the rehearsal that finds out beforehand whether it can be captured."""

import gc
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

warnings.filterwarnings("ignore", "Synchronization debug mode is a prototype feature")


class InvalidCapture(Exception):
    """The error that a capture was invalidated. The process is spoilt: generators and allocator may go on capturing."""


@contextmanager
def refusing_waits() -> Iterator[None]:
    """Raise RuntimeError where the code inside waits for the device, which would invalidate a capture.

    The mode holds for all threads of the process. Whoever waits outside of a turn waits for an event, which it allows.
    """
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)


def captured(program: Callable[[], None], stream: torch.cuda.Stream, pool: Any) -> torch.cuda.CUDAGraph:
    """Capture a program on a stream, with a memory pool. InvalidCapture where the capture fails half-way.

    Unlike `torch.cuda.graph`, it does not wait for the device and does not give cached memory back.
    """
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.stream(stream), _no_collection():
        graph.capture_begin(pool=pool, capture_error_mode="thread_local")
        try:
            program()
        finally:
            _end(graph)
    return graph


def _end(graph: torch.cuda.CUDAGraph) -> None:
    try:
        graph.capture_end()
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        raise InvalidCapture(str(error).partition("\n")[0]) from error


@contextmanager
def _no_collection() -> Iterator[None]:
    """Collect no garbage meanwhile: it could hold another graph, whose end must not fall into a capture."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
