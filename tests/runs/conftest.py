"""What all tests of runs share: the packed digits, and a registry of their own."""

import functools
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from lthbench.data import DataHome
from lthbench.methods import registry
from lthbench.methods.run import Run
from tests.runs.helpers import METHODS, TINY, Outcome, drive, open_run


@pytest.fixture(autouse=True)
def _denormals() -> Iterator[None]:
    """A driver has this process flush denormal numbers to zero, for good; other tests want them."""
    yield
    torch.set_flush_denormal(False)


@pytest.fixture(autouse=True)
def _fork_is_meant() -> Iterator[None]:
    """Python 3.12 warns where a process with threads forks. Here that is the point: the child starts warm."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r".*multi-threaded.*fork", DeprecationWarning)
        yield


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    registry.load_all()  # a file is loaded once in a process
    monkeypatch.setattr(registry, "METHODS", dict(registry.METHODS))


@pytest.fixture(scope="session")
def home(data_folder: Path) -> DataHome:
    """The packed digits, as a process with method code may read them."""
    return DataHome(data_folder)


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory, home: DataHome) -> Outcome:
    """Every method on every cell, in one process, never disturbed."""
    done = drive(TINY, METHODS, tmp_path_factory.mktemp("whole"), home)
    assert {record.result.status for record in done.records} == {"ok"}
    return done


@pytest.fixture
def run(tmp_path: Path, home: DataHome) -> Iterator[Run]:
    """One Run with real trainings behind it."""
    with open_run(tmp_path, home) as run:
        yield run


def _fresh_locks() -> None:
    """The cached_property of Python 3.11 has one lock for all instances, which a fork may find held by another thread."""
    for module in [m for name, m in sys.modules.items() if name.startswith("lthbench")]:
        for kind in [k for k in vars(module).values() if isinstance(k, type)]:
            for value in vars(kind).values():
                if isinstance(value, functools.cached_property) and hasattr(value, "lock"):
                    value.lock = threading.RLock()


os.register_at_fork(after_in_child=_fresh_locks)
