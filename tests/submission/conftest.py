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
from lthbench.suite import suite as suites

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
def published_smoke(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The suite `smoke` on two seeds, which is faster than three."""
    path = tmp_path_factory.mktemp("suites") / "smoke.toml"
    path.write_text((suites.FOLDER / "smoke.toml").read_text().replace("seeds = 3", "seeds = 2"))
    return path


@pytest.fixture(autouse=True)
def _two_seeds(published_smoke: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _publish(published_smoke, monkeypatch)


def _publish(path: Path, patch: pytest.MonkeyPatch) -> None:
    """Let the name of a suite mean the one in this file."""
    find = suites._find
    patch.setattr(suites, "_find", lambda asked: path if asked == path.stem else find(asked))


@pytest.fixture(scope="session")
def author(tmp_path_factory: pytest.TempPathFactory, data_folder: Path, published_smoke: Path) -> Path:
    """An author's folder: mine.py, runs/smoke with both of its methods, and the bundles of both."""
    with pytest.MonkeyPatch.context() as patch:
        _publish(published_smoke, patch)
        return _authored(tmp_path_factory.mktemp("author"), data_folder)


def _authored(folder: Path, data_folder: Path) -> Path:
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
