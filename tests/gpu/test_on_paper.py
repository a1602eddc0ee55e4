"""The GPU path, run on the GPU on paper: the tests that need a device, and those that look into its books."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
ON_PAPER = "tests/gpu/on_paper"
DEVICE = (
    "tests/training/gpu", "tests/training/test_trainer.py", "tests/training/test_shards.py",
    "tests/runs/workers/test_process_state.py",
)  # fmt: skip
GPUS = {"PAPER_GPUS": "2"}


@pytest.mark.timeout(900)  # half a minute of CPU, in one process
def test_the_gpu_path_runs_on_paper(paper: dict[str, str]) -> None:
    """They share one process; the test that breaks its context is the last one."""
    plugins = ["-p", "tests.gpu.paper.plugin", "-p", "no:cacheprovider", "-p", "no:xdist"]
    command = [sys.executable, "-m", "pytest", *plugins, "-m", "cuda", *DEVICE, ON_PAPER]
    done = subprocess.run(command, env=paper | GPUS, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
