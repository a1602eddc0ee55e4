"""The program that computes the steps of a training. It is chosen here, and named in the environment that bounds bits."""

import importlib.util
import os
import shutil
import sysconfig
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from pathlib import Path
from subprocess import CalledProcessError

import torch
from torch import nn

from lthbench.errors import InputError, MethodError, unknown
from lthbench.models.norm_act import computed_by
from lthbench.training.kernels.forward import Forward, by_torch

PROGRAMS = ("reference", "fused", "compiled")
VARIABLE = "LTHBENCH_PROGRAM"
COMPILERS = ("triton", "torch._dynamo", "torch._inductor")  # where their errors are defined


def program(device: torch.device) -> str:
    """Return the name of the program for a device.

    `reference` is torch's own operations, and the only one on a CPU. `fused` has kernels of our own in Triton. It is the
    default on CUDA where Triton can build them. `compiled` is the forward and backward pass by torch.compile. The
    environment variable LTHBENCH_PROGRAM names another one than the default.
    """
    if device.type != "cuda":
        return "reference"
    named = os.environ.get(VARIABLE) or ("fused" if buildable() else "reference")
    if named not in PROGRAMS:
        raise InputError(f"{VARIABLE}: {unknown('program', named, PROGRAMS)}")
    return named


def forward(module: nn.Module, device: torch.device) -> Forward:
    """Return the forward pass of a module in training, by the program for a device."""
    if program(device) != "compiled":
        return by_torch(module)
    from lthbench.training.kernels.compiled import compiled  # takes seconds to import

    return compiled(by_torch(module))


@contextmanager
def computing(device: torch.device) -> Iterator[None]:
    """Compute a training by the program for a device inside the context, in this thread."""
    named = program(device)
    if named == "reference":
        yield
        return
    with _normalising() if named == "fused" else nullcontext(), _explained(named):
        yield


def _normalising() -> AbstractContextManager[None]:
    from lthbench.training.kernels.norm_act import norm_act  # Triton exists on CUDA alone

    return computed_by(norm_act)


@contextmanager
def _explained(named: str) -> Iterator[None]:
    """Say in one line that the kernels of a program cannot be built or started here, and what to do."""
    try:
        yield
    except Exception as error:
        if not _of_compiler(error):
            raise
        why = str(error).strip().partition("\n")[0] or type(error).__name__
        raise MethodError(
            f"the {named} program of a training cannot be built here ({why}); set {VARIABLE}=reference for torch's own kernels"
        ) from error


def _of_compiler(error: Exception) -> bool:
    by_c = isinstance(error, CalledProcessError)  # of the C file that starts a kernel
    return by_c or type(error).__module__.startswith(COMPILERS) or str(error).startswith("Triton Error")


@cache
def buildable() -> bool:
    """Tell whether Triton can build kernels here: it compiles a C file that starts them."""
    compiler = any(shutil.which(name) for name in (os.environ.get("CC") or "cc", "gcc", "clang"))
    headers = Path(sysconfig.get_paths()["include"], "Python.h").exists()
    return importlib.util.find_spec("triton") is not None and compiler and headers
