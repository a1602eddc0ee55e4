"""Triton's interpreter, which runs the kernels on a CPU. It is chosen when they are imported, and asked for at every call."""

from contextlib import suppress

import pytest

with pytest.MonkeyPatch.context() as patch, suppress(ImportError):
    patch.setenv("TRITON_INTERPRET", "1")
    import lthbench.training.kernels.images
    import lthbench.training.kernels.normalised  # noqa: F401


@pytest.fixture(autouse=True)
def interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_INTERPRET", "1")
