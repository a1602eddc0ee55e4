"""Build the GPU on paper, and run Python on it: `python -m tests.gpu.paper.build FOLDER` writes FOLDER/run.

torch's own C++ runs: allocator, streams, autograd threads, captures, graphs, plans. Copies are real, kernels do nothing,
and calls that a capture forbids are refused and noted. Control flow, memory and kernel counts are those of a GPU;
numbers mean nothing.
"""

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

HERE = Path(__file__).parent
LIBRARIES = ("cu13", "cudnn", "cusparselt", "nccl", "nvshmem")


def _site() -> Path:
    return Path(sysconfig.get_paths()["purelib"]) / "nvidia"


def why_not() -> str:
    """Return why the GPU on paper cannot be built here; "" if it can."""
    if not (shutil.which("g++") and shutil.which("gcc")):
        return "no C++ compiler"
    if not (_site() / "cu13" / "include").is_dir():
        return "no build of torch for CUDA 13"
    return ""


def built(folder: Path) -> dict[str, str]:
    """Build into a folder. Returns the environment in which Python sees a GPU."""
    (folder / "lib").mkdir(parents=True, exist_ok=True)
    driver, paper = folder / "lib" / "libcuda.so.1", folder / "paper.so"
    includes = [f"-I{HERE}", *(f"-I{_site() / name / 'include'}" for name in ("cu13", "cudnn"))]
    flags = ["-O1", "-std=c++17", "-shared", "-fPIC", "-fpermissive", "-w"]
    subprocess.run(["gcc", "-w", "-shared", "-fPIC", "-o", str(driver), str(HERE / "driver.c")], check=True)
    subprocess.run(["g++", *flags, *includes, str(HERE / "paper.cpp"), "-o", str(paper)], check=True)
    libraries = [str(folder / "lib"), *(str(_site() / name / "lib") for name in LIBRARIES)]
    return {
        "LD_PRELOAD": str(paper),
        "LD_LIBRARY_PATH": os.pathsep.join(libraries),
        "PAPER_SO": str(paper),
        "TRITON_LIBCUDA_PATH": str(folder / "lib"),
        "TRITON_INTERPRET": "0",
        "TORCHINDUCTOR_USE_STATIC_CUDA_LAUNCHER": "0",  # Triton's own one, which the driver here knows
        "TORCHINDUCTOR_COMPILE_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }


def main(folder: Path) -> None:
    """Write a Python that sees the GPU on paper: FOLDER/run."""
    variables = " ".join(f"{name}={shlex.quote(value)}" for name, value in built(folder).items())
    run = folder / "run"
    run.write_text(f'#!/bin/sh\nexec env {variables} {shlex.quote(sys.executable)} "$@"\n')
    run.chmod(0o755)
    print(run)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
