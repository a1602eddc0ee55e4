"""`lthbench speed`, from the command line to the hours of a plan, and the trainings that it times."""

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from lthbench.bench.subject import Subject
from lthbench.cli import main
from lthbench.data import DataHome
from lthbench.methods.internals.context import RunContext
from lthbench.methods.run import Run
from lthbench.runs.plan.planned_run import PlannedRun
from lthbench.runs.plan.planner import Planner

CPU = torch.device("cpu")


def lthbench(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def subject(scratch: Path, name: str, data: Path | None = None) -> Subject:
    return Subject(name, "", 64, "fp32", "none", CPU, data or scratch, scratch)


def test_a_workload_is_timed_and_then_a_plan_says_hours_and_money(tmp_path: Path, data_folder: Path) -> None:
    (tmp_path / "digits").symlink_to(data_folder / "digits")
    words = ("mlp-32/digits", "--batch", 64, "--lanes", 2, "--seconds", 0.01, "--data", tmp_path, "--device", "cpu")
    done = lthbench("speed", *words)
    assert done.exit_code == 0, done.output
    assert "2 processes of one thread" in done.output and "plain PyTorch loop" in done.output
    [path] = (tmp_path / ".bench").rglob("*.json")
    found = json.loads(path.read_text())
    assert found["epoch"] == 1297 and found["ratio"] > 0 and [s["lanes"] for s in found["speeds"]] == [2]

    plan = ("plan", "smoke", "--method", "dense", "--only", "--data", tmp_path, "--device", "cpu", "--json")
    one, two = (json.loads(lthbench(*plan, "--gpus", n, "--price-per-hour", 1e6).stdout) for n in (1, 2))
    assert one["workloads"][0]["by"] == "speed of mlp-32/digits, 2 side by side, augmentation crop-flip"
    assert one["workloads"][0]["device hours"] == two["workloads"][0]["device hours"] > 0
    assert 0 <= two["hours"] <= one["hours"]  # rounded to three decimals
    assert one["price"] > 0


def test_it_trains_what_a_run_would_train(tmp_path: Path, data_folder: Path) -> None:
    ours = subject(tmp_path, "mlp-32/digits", data_folder)
    planned = PlannedRun(None, ours.setting.cell)  # type: ignore[arg-type]
    run = Run(RunContext(ours.setting, Planner(planned)))
    run.train(run.init())
    assert [step.trajectory for step in planned.steps] == [ours.trajectory().key]
    assert len({ours.trajectory(order).key for order in range(5)}) == 5


def test_random_images_need_no_data(tmp_path: Path) -> None:
    ours = subject(tmp_path, "resnet20/synthetic")
    assert ours.model.shape == (3, 32, 32)
    assert ours.home == DataHome(tmp_path) and len(ours.home.load("synthetic", "train")) == ours.setting.n_train


@pytest.mark.parametrize("name", ["resnet20", "/digits", "resnet20/"])
def test_what_is_no_workload_is_refused(name: str, tmp_path: Path) -> None:
    done = lthbench("speed", name, "--data", tmp_path)
    assert done.exit_code == 2 and "write MODEL/DATASET" in done.output


def test_data_that_is_missing_says_what_to_type(tmp_path: Path) -> None:
    done = lthbench("speed", "resnet20/cifar10", "--data", tmp_path)
    assert done.exit_code == 2 and "type: lthbench data get cifar10" in done.output
