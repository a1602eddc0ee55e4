"""Kernels on a CPU, by Triton's interpreter, which tests/conftest.py chooses where there is no GPU. On one they are compiled."""

import pytest
import torch


@pytest.fixture(autouse=True)
def interpreted() -> None:
    if torch.cuda.is_available():
        pytest.skip("on a GPU, tests/training/gpu/test_kernels.py runs the kernels")
