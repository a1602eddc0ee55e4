"""The GPU path, run on the GPU on paper: each file of `on_paper`, and the tests that need a device, in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
DEVICE = ("tests/training/gpu", "tests/training/test_trainer.py")


def on_paper(paper: dict[str, str], *arguments: str) -> None:
    """Run pytest on the GPU on paper. Fails with what it prints."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "tests.gpu.paper.plugin",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
    ]
    done = subprocess.run([*command, *arguments], env=paper, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


@pytest.mark.parametrize("file", sorted(path.name for path in (HERE / "on_paper").glob("test_*.py")))
def test_the_gpu_path_runs_on_paper(file: str, paper: dict[str, str]) -> None:
    on_paper(paper, str(HERE / "on_paper" / file))


def test_the_tests_that_need_a_device_run_on_paper(paper: dict[str, str]) -> None:
    on_paper(paper, "-m", "cuda", *DEVICE)
