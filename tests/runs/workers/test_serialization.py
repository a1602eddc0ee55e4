"""Which exceptions of a worker are for want of memory: these are tried again elsewhere, others fail their run."""

import os
import resource

import pytest
import torch

from lthbench.runs.workers.serialization import out_of_memory
from tests.processes import forked, status_of


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        SystemError("error return without exception set"),
        OSError(12, "Cannot allocate memory", "x.py"),
        ImportError("_lsprof.so: failed to map segment from shared object"),
        RuntimeError("could not create a primitive"),
        torch.OutOfMemoryError(
            "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.11 GiB"
        ),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 120 bytes."),
    ],
    ids=lambda error: type(error).__name__,
)
def test_memory_has_many_voices(error: Exception) -> None:
    assert out_of_memory(error)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        ImportError("No module named 'x'"),
        OSError(2, "No such"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_other_errors_are_the_methods(error: Exception) -> None:
    assert not out_of_memory(error)


def test_what_torch_says_in_a_process_without_memory() -> None:
    def starved() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (1, resource.RLIM_INFINITY))
        try:
            torch.randn(1 << 24)
        except Exception as error:
            os._exit(0 if out_of_memory(error) else 2)

    assert status_of(forked(starved)) == 0
