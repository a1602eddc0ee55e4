"""The number of lanes that is asked for reaches the worker, and is refused where a GPU has too few streams."""

import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from lthbench.cli import main
from lthbench.data import DataHome
from lthbench.errors import InputError, MethodError
from lthbench.methods.internals.operations import Train
from lthbench.runs.workers import executors
from lthbench.runs.workers.worker.training import train
from lthbench.runs.workers.worker_config import WorkerConfig
from lthbench.training.gpu import graph_trainer
from lthbench.training.gpu.settings import STREAMS
from lthbench.training.trainer import Trainer
from tests.helpers import trajectory
from tests.runs.helpers import TINY, chance, dense, drive, method, ticket


def test_more_lanes_than_streams_are_refused_in_one_line() -> None:
    with pytest.raises(InputError, match="40 lanes were asked for; a GPU has streams for 32: write 32 or less"):
        WorkerConfig(Path(), Path(), "cuda", lanes=40)
    assert WorkerConfig(Path(), Path(), "cuda", lanes=STREAMS).slots == STREAMS
    assert WorkerConfig(Path(), Path(), "cpu", lanes=40).slots == 40  # no streams there


def test_the_option_reaches_the_configuration_of_a_worker(
    data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[WorkerConfig] = []

    def seen(self: object, config: WorkerConfig, workers: int, start: str = "") -> None:
        asked.append(config)
        raise InputError("enough")

    monkeypatch.setattr(executors.LocalExecutor, "__init__", seen)
    words = ["run", "smoke", "--lanes", "3", "--device", "cpu", "--data", str(data_folder), "--out", str(tmp_path)]
    CliRunner().invoke(main, words)
    assert [config.lanes for config in asked] == [3]


@pytest.mark.parametrize("lanes", [1, 3])
def test_so_many_trainings_are_under_way_at_once(
    tmp_path: Path, home: DataHome, monkeypatch: pytest.MonkeyPatch, lanes: int
) -> None:
    """Every training waits for `lanes` of them to have begun; a worker with fewer would wait for ever."""
    met, peak = threading.Barrier(lanes), tmp_path / "peak"
    inside, lock = [0], threading.Lock()

    class Meeting(Trainer):
        def run(self, *args: object) -> int:
            with lock:
                inside[0] += 1
                with peak.open("a") as file:
                    file.write(f"{inside[0]}\n")
            try:
                met.wait(30)
                return super().run(*args)  # type: ignore[arg-type]
            finally:
                with lock:
                    inside[0] -= 1

    monkeypatch.setattr(graph_trainer, "trainer", Meeting)
    methods = [method(dense, track="dense"), method(chance), method(ticket)]
    one = TINY.model_copy(update={"sparsities": (0.5,), "seeds": 3})
    ended = drive(one, methods[:2] if lanes > 1 else methods[:1], tmp_path / "out", home, executor="local", lanes=lanes)
    assert {record.result.status for record in ended.records} == {"ok"}
    assert max(map(int, peak.read_text().split())) == lanes


def test_the_bound_on_a_training_has_every_slot_of_its_optimizer() -> None:
    bounds: list[int] = []

    class Full:
        """A capacity that notes what a training asks for, and has none."""

        def taken(self, kind: object, most: int, alone: bool) -> object:
            bounds.append(most)
            raise MethodError("full")

    for optimizer in ("sgd", "adam", "adamw"):
        with pytest.raises(MethodError, match="full"):
            train(SimpleNamespace(capacity=Full()), Train(trajectory(optimizer=optimizer), 0, (9,)), alone=False)  # type: ignore[arg-type]
    weights = sum(shape.numel() for shape in trajectory().model.shapes.values())
    assert [most - bounds[0] for most in bounds] == [0, 4 * weights, 4 * weights]
