"""The program that computes the steps of a training. It is chosen here, and named in the environment that bounds bits."""

import importlib.util
import os
import shutil
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from subprocess import CalledProcessError

import torch

from lthbench.errors import InputError, MethodError, unknown
from lthbench.models.norm_act import computed_by

PROGRAMS = ("reference", "fused")
VARIABLE = "LTHBENCH_PROGRAM"


def program(device: torch.device) -> str:
    """Return the name of the program for a device.

    `reference` is torch's own operations, and the only one on a CPU. `fused` has kernels of our own in Triton. It is the
    default on CUDA where Triton can build them. The environment variable LTHBENCH_PROGRAM names another one.
    """
    if device.type != "cuda":
        return "reference"
    named = os.environ.get(VARIABLE) or ("fused" if buildable() else "reference")
    if named not in PROGRAMS:
        raise InputError(f"{VARIABLE}: {unknown('program', named, PROGRAMS)}")
    return named


@contextmanager
def computing(device: torch.device) -> Iterator[None]:
    """Compute the normalisations of a training by the program for a device inside the context, in this thread."""
    if program(device) != "fused":
        yield
        return
    from lthbench.training.kernels.norm_act import norm_act  # Triton exists on CUDA alone

    with computed_by(norm_act), _explained():
        yield


@contextmanager
def _explained() -> Iterator[None]:
    """Say in one line that Triton cannot build or start a kernel here, and what to do."""
    try:
        yield
    except Exception as error:
        if not _of_triton(error):
            raise
        why = str(error).partition("\n")[0] or type(error).__name__
        raise MethodError(
            f"Triton cannot build the kernels of a training here ({why}); set {VARIABLE}=reference to train with torch's own"
        ) from error


def _of_triton(error: Exception) -> bool:
    by_compiler = isinstance(error, CalledProcessError)  # of the C file that starts a kernel
    return by_compiler or type(error).__module__.partition(".")[0] == "triton" or str(error).startswith("Triton Error")


@cache
def buildable() -> bool:
    """Tell whether Triton can build kernels here: it compiles a C file that starts them."""
    compiler = any(shutil.which(name) for name in (os.environ.get("CC") or "cc", "gcc", "clang"))
    headers = Path(sysconfig.get_paths()["include"], "Python.h").exists()
    return importlib.util.find_spec("triton") is not None and compiler and headers
