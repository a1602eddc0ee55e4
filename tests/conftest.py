"""Fixtures that all tests share."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

from lthbench.data import DataHome, prepare
from lthbench.methods import registry
from lthbench.training import numerics
from tests.processes import end_forked

torch.set_num_threads(1)
if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # before anything imports Triton, which then runs kernels on a CPU
signal.signal(
    signal.SIGINT, signal.default_int_handler
)  # a run in the background of a shell ignores it, and all its children

settings.register_profile(
    "lthbench",
    derandomize=True,
    max_examples=40,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("lthbench")


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with packed `digits`, one for all workers of a test run. Tests only read it."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "packed-data"
    prepare(DataHome(folder), "digits")
    return folder


@pytest.fixture(scope="session")
def data_home(data_folder: Path) -> DataHome:
    """What a process that evaluates may read: both splits."""
    return DataHome(data_folder, frozenset({"train", "test"}))


@pytest.fixture(scope="session", autouse=True)
def _baselines_are_loaded() -> None:
    """A file is loaded once in a process: before any test has a registry of its own."""
    registry.load_all()


@pytest.fixture(autouse=True)
def _numerics_of_a_gpu(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that needs a device computes as a worker there does."""
    if request.node.get_closest_marker("cuda") and torch.cuda.is_available():
        with numerics.one_thread(torch.device("cuda")):
            yield
    else:
        yield


@pytest.fixture(autouse=True)
def _no_child_outlives_its_test() -> Iterator[None]:
    yield
    end_forked()
