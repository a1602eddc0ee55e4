"""One honest bundle, made as an author makes it; tests only read it."""

import shutil
import warnings
from pathlib import Path

import pytest
import torch

from lthbench.methods import registry
from lthbench.runs.driver.job import Job
from lthbench.submission.bundle.submit import submit
from lthbench.suite import Suite

METHOD = '''"""Tickets from another draw of the order. Nobody, nowhere. Cost: 2T epochs."""

from lthbench import Network, Run, magnitude, method


@method("mine", cost="2T", at_zero="dense", cite="")
def mine(run: Run) -> Network:
    init = run.init()
    dense = run.train(init, order=1)
    run.note(kept=1.0)
    return run.train(init.masked(run.select(magnitude(dense))))


@method("rewound", cost="2T", cite="")
def rewound(run: Run) -> Network:
    early = run.train(run.init(), until=1)
    dense = run.train(early, until=run.epochs - 1)
    return run.train(early.masked(run.select(magnitude(dense))))
'''


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "METHODS", dict(registry.METHODS))


@pytest.fixture(autouse=True)
def _denormals():  # type: ignore[no-untyped-def]
    yield
    torch.set_flush_denormal(False)


@pytest.fixture(scope="session")
def author(tmp_path_factory: pytest.TempPathFactory, data_folder: Path) -> Path:
    """An author's folder: mine.py, runs/smoke with both of its methods, and the bundles of both."""
    folder = tmp_path_factory.mktemp("author")
    (folder / "mine.py").write_text(METHOD)
    known = dict(registry.METHODS)
    names = [f"{folder / 'mine.py'}:{name}" for name in ("mine", "rewound")]
    job = Job.make(Suite.read("smoke"), names, data_folder, only=True, device="cpu")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r".*multi-threaded.*fork", DeprecationWarning)
        job.driver(folder / "runs/smoke", executor="serial", start="fork", keep="finals").run()
    for name, out in (("mine", "good"), ("rewound", "rewound.zip")):
        submit(
            folder / "runs/smoke",
            f"{folder / 'mine.py'}:{name}",
            ["A. Author"],
            "arXiv:2102.11068",
            "MIT",
            folder / out,
        )
    registry.METHODS.clear()
    registry.METHODS.update(known)
    return folder


@pytest.fixture(scope="session")
def good(author: Path) -> Path:
    """The bundle of `mine`, a folder."""
    return author / "good"


@pytest.fixture(scope="session")
def rewound(author: Path) -> Path:
    """The bundle of `rewound`, a zip: its tickets carry start weights."""
    return author / "rewound.zip"


@pytest.fixture
def leaderboard(author: Path, tmp_path: Path) -> Path:
    """A leaderboard with a row of `rewound` that lthbench's own run gave."""
    folder = tmp_path / "leaderboard"
    (folder / "results/smoke").mkdir(parents=True)
    shutil.copy(author / "runs/smoke/records/rewound.jsonl", folder / "results/smoke")
    return folder
