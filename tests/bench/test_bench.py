"""`lthbench speed`, from the command line to the hours of a plan, and the trainings that it times."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from lthbench.bench import step
from lthbench.bench.subject import Subject
from lthbench.cli import main
from lthbench.data import DataHome
from lthbench.methods.internals.context import RunContext
from lthbench.methods.run import Run
from lthbench.pruning.state import initial_state
from lthbench.runs.plan.planned_run import PlannedRun
from lthbench.runs.plan.planner import Planner
from lthbench.runs.store.store import Store
from lthbench.runs.workers.worker import Worker
from lthbench.training.trainer import Trainer

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
    assert found["program"] == "reference" and sum(found["shares"].values()) == pytest.approx(1)
    assert found["epoch"] == 1297 and found["ratio"] > 0 and [s["lanes"] for s in found["speeds"]] == [2]

    plan = ("plan", "smoke", "--method", "dense", "--only", "--data", tmp_path, "--device", "cpu", "--json")
    one, two = (json.loads(lthbench(*plan, "--gpus", n, "--price-per-hour", 1e6).stdout) for n in (1, 2))
    assert one["workloads"][0]["by"] == "speed of mlp-32/digits, 2 side by side, augmentation crop-flip"
    assert one["workloads"][0]["device hours"] == two["workloads"][0]["device hours"] > 0
    assert 0 <= two["hours"] <= one["hours"]  # rounded to three decimals
    assert one["price"] > 0


def test_a_measurement_that_is_cut_keeps_what_it_has_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And each number of trainings side by side begins at the rate of the one before it."""
    known = []

    def cut(subject: Subject, count: int, least: float, rate: float) -> float:
        known.append(rate)
        if count == 4:
            raise KeyboardInterrupt
        return 10.0 * count

    monkeypatch.setattr("lthbench.bench.together.epochs_per_second", cut)
    words = ("mlp-8/synthetic", "--lanes", 1, "--lanes", 2, "--lanes", 4, "--seconds", 0.001, "--data", tmp_path)
    assert lthbench("speed", *words, "--device", "cpu").exit_code != 0
    [path] = (tmp_path / ".bench").rglob("*.json")
    found = json.loads(path.read_text())
    assert [speed["epochs_per_second"] for speed in found["speeds"]] == [10, 20]
    assert known == [1 / found["ours"], 10, 20]


def test_the_parts_of_a_step_are_those_of_its_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch, the forward pass and the kernels of a part are those of the whole step."""
    ours, inside = subject(tmp_path, "mlp-8/synthetic"), []
    feed = Worker(Store(tmp_path, "bench"), ours.home, CPU).feed(ours.setting.split, "train")
    t = ours.trajectory()
    trainer = Trainer(t, initial_state(t.start.root), 0, feed)

    @contextmanager
    def computing(device: torch.device) -> Iterator[None]:
        inside.append("begins")
        yield
        inside.append("ends")

    augmented, forward = feed.augmented, trainer.step.forward
    monkeypatch.setattr(step, "computing", computing)
    monkeypatch.setattr(feed, "augmented", lambda *given: (inside.append("augmented"), augmented(*given))[1])
    monkeypatch.setattr(trainer.step, "forward", lambda *given: (inside.append("forward"), forward(*given))[1])
    step._upto("backward", trainer, 2)
    assert inside == ["begins", "augmented", "forward", "augmented", "forward", "ends"]


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
