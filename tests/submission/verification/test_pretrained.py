"""Bundles of a suite with a pretrained start: an honest one passes, another start and copied seeds do not."""

import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor

from lthbench.models import initial_tensors
from lthbench.models.checkpoint import Checkpoint, write
from lthbench.runs.driver.job import Job
from lthbench.submission.bundle.submit import submit
from lthbench.submission.verification.verify import Options, verify
from lthbench.suite import Suite
from tests.models.zoo import DIGITS, model
from tests.submission.forge import Forgery

SUITE = """
name = "started"
version = "0.1"
methods = ["dense"]
learning_rates = [0.001]
sparsities = [0.5]
seeds = 2
budget = "2T"
validation = 130
duels = []
tickets = []
recipe = { epochs = 1, batch = 64 }
[[workload]]
model = "mlp-16"
dataset = "digits"
start = "start.safetensors"
"""
METHOD = '''"""Tickets from the start. Nobody, nowhere. Cost: 2T epochs."""

from lthbench import Network, Run, magnitude, method


@method("from-start", cost="2T", cite="")
def from_start(run: Run) -> Network:
    init = run.init()
    dense = run.train(init, order=1)
    return run.train(init.masked(run.select(magnitude(dense))))
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, data_folder: Path) -> Path:
    """A suite, its start, and a bundle of two seeds whose networks have hardly left the start."""
    folder = tmp_path_factory.mktemp("started")
    write(Checkpoint(initial_tensors(model("mlp-16", DIGITS), "kaiming-normal", 9, 0)), folder / "start.safetensors")
    (folder / "suite.toml").write_text(SUITE)
    (folder / "mine.py").write_text(METHOD)
    job = Job.make(Suite.read(folder / "suite.toml"), [str(folder / "mine.py")], data_folder, only=True, device="cpu")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r".*multi-threaded.*fork", DeprecationWarning)
        job.driver(folder / "run", executor="serial", start="fork", keep="finals").run()
    submit(folder / "run", str(folder / "mine.py"), ["A. Author"], "", "MIT", folder / "bundle")
    return folder


def failed(folder: Path, bundle: Path, data_folder: Path) -> dict[str, str]:
    """The findings that fail, by check."""
    report = verify(bundle, Options(data=data_folder, suite=str(folder / "suite.toml")))
    return {f.check: f.found for level in report.levels for f in level.findings if not f.passed}


def test_seeds_that_hardly_left_one_start_pass(folder: Path, data_folder: Path) -> None:
    assert failed(folder, folder / "bundle", data_folder) == {}
    origin = Forgery.of(folder / "bundle").manifest["tickets"][0]["origin"]
    assert origin["kind"] == "pretrained"


def test_weights_that_are_not_the_workloads_start_are_refused(folder: Path, data_folder: Path, tmp_path: Path) -> None:
    def other(tensors: dict[str, Tensor]) -> None:
        tensors["start/out.weight"] = tensors["start/out.weight"] * 1.0001

    forgery = Forgery.of(folder / "bundle")
    forgery.tensors(other)
    forgery.rehash()
    found = failed(folder, forgery.write(tmp_path / "forged"), data_folder)
    assert "its start weights are not the start" in found["start"]


def test_a_start_of_another_digest_is_refused(folder: Path, data_folder: Path, tmp_path: Path) -> None:
    forgery = Forgery.of(folder / "bundle")
    forgery.manifest["tickets"][0]["origin"]["start"] = "0" * 32
    found = failed(folder, forgery.write(tmp_path / "forged"), data_folder)
    assert "its start weights are not the workload's start" in found["start"]


def test_a_seed_that_is_almost_another_one_is_refused(folder: Path, data_folder: Path, tmp_path: Path) -> None:
    forgery = Forgery.of(folder / "bundle")
    g = torch.Generator().manual_seed(0)

    def almost(tensors: dict[str, Tensor]) -> None:
        for name in [n for n in tensors if n.startswith("values/") and n.endswith("weight")]:
            tensors[name] = tensors[name] + 1e-7 * torch.randn(tensors[name].shape, generator=g)

    forgery.files[forgery.tickets[1]] = forgery.files[forgery.tickets[0]]
    forgery.tensors(almost, 1)
    forgery.rehash()
    found = failed(folder, forgery.write(tmp_path / "forged"), data_folder)
    assert "has the weights of" in found["likeness"]
