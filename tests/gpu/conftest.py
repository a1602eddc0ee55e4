"""The GPU on paper, built once for a test run."""

import os

import pytest

from tests.gpu.paper.build import built, why_not


@pytest.fixture(scope="session")
def paper(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment in which Python sees the GPU on paper."""
    if reason := why_not():
        pytest.skip(f"the GPU on paper needs it: {reason}")
    return os.environ | built(tmp_path_factory.mktemp("paper"))
