"""Workers on one GPU take no more than it has, whatever they share it by; evaluators are spread over all GPUs."""

from pathlib import Path
from typing import Any

import pytest
import torch

from lthbench.runs.ray import executor as ray_executor
from lthbench.runs.ray.executor import RayExecutor
from lthbench.runs.ray.node import ClusterConfig, NodeWorker
from lthbench.runs.workers import executors
from lthbench.runs.workers.executors import LocalExecutor
from lthbench.runs.workers.worker.capacity import Capacity
from lthbench.runs.workers.worker_config import WorkerConfig
from lthbench.training.gpu.settings import GPU_SETTINGS

GB = 1 << 30
HERE = WorkerConfig(Path(), Path(), "cuda")


class Started:
    """A process that is not there."""

    dead = False

    def __init__(self, context: object, config: WorkerConfig, splits: object) -> None:
        self.config = config


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Pretend that there are so many GPUs of one kind, with 80 GB each."""

    def are(count: int, free: int = 80 * GB) -> None:
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda i: "H100")
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 80 * GB))
        monkeypatch.setattr(executors, "Process", Started)

    return are


def started(pool: Any, count: int) -> list[WorkerConfig]:
    return [pool._started().config for _ in range(count)]


def bytes_of(config: WorkerConfig) -> int:
    return Capacity.on(torch.device(config.device), config.share).capacity


@pytest.mark.parametrize(("count", "workers"), [(1, 1), (1, 2), (1, 5), (2, 2), (2, 3), (4, 8)])
def test_workers_on_one_gpu_take_no_more_than_it_has(gpus: Any, count: int, workers: int) -> None:
    gpus(count)
    taken: dict[str, int] = {}
    for config in started(LocalExecutor(HERE, workers, "fork")._trainers, workers):
        taken[config.device] = taken.get(config.device, 0) + bytes_of(config)
    assert len(taken) == min(count, workers)
    assert max(taken.values()) <= GPU_SETTINGS.share * 80 * GB


def test_a_share_of_a_gpu_is_a_part_of_the_whole_of_it_and_never_more_than_is_free(gpus: Any) -> None:
    gpus(1)
    half, whole = (bytes_of(WorkerConfig(Path(), Path(), "cuda", share=share)) for share in (0.5, 1.0))
    assert half == pytest.approx(whole / 2) and whole == pytest.approx(GPU_SETTINGS.share * 80 * GB)
    gpus(1, free=10 * GB)  # others hold the rest
    assert bytes_of(WorkerConfig(Path(), Path(), "cuda", share=0.5)) == int(GPU_SETTINGS.share * 10 * GB)


def test_evaluators_are_spread_over_the_gpus(gpus: Any) -> None:
    gpus(8)
    pool = LocalExecutor(HERE, 8, "fork")._evaluators
    there = started(pool, pool.size)
    assert pool.size == 8 // executors.TRAINERS_ON_GPU
    assert len({config.device for config in there}) == pool.size
    assert {config.lanes for config in there} == {1}


def test_a_node_takes_the_next_gpu_in_turn(gpus: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gpus(2)
    monkeypatch.setattr(WorkerConfig, "worker", lambda self, splits: self.device)
    config = ClusterConfig(HERE, "token", ())
    devices = [NodeWorker(config, frozenset({"test"}), turn).worker for turn in range(4)]
    assert devices == ["cuda:0", "cuda:1", "cuda:0", "cuda:1"]


class Cluster:
    """Two nodes that are not there, with eight GPUs in all."""

    devices = 8.0

    def __init__(self, *_: object) -> None:
        self.nodes = {"a": "address", "b": "address"}

    def everywhere(self, work: Any, config: Any) -> dict[str, Any]:
        return {}


def test_the_workers_of_a_cluster_get_their_share(gpus: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gpus(1)
    monkeypatch.setattr(ray_executor, "Connection", Cluster)
    monkeypatch.setattr(RayExecutor, "_check_nodes", lambda self: self._here.update({ray_executor.SHARES: True}))
    monkeypatch.setattr(ray_executor.numerics, "environment", lambda device: {})
    for always in ("_follow", "_listen"):
        monkeypatch.setattr(RayExecutor, always, lambda self: None)
    asked: list[tuple[Any, ...]] = []
    monkeypatch.setattr(RayExecutor, "_actor", lambda self, *given: asked.append(given) or given)
    monkeypatch.setattr(ray_executor, "beside", lambda node: {"node": node})
    config = WorkerConfig(tmp_path / "store", tmp_path, "cuda")
    found = RayExecutor(config, {}, "auto", share=0.25)
    assert found.cluster_config.worker.share == 0.25 == found.cluster_config.here.share
    assert found._trainers.size == 32
    found._trainer([])
    assert asked.pop()[2]["num_gpus"] == 0.25
    for there in range(4):
        found._evaluator([None] * there)  # type: ignore[list-item]
    assert [(given[2]["node"], given[3]) for given in asked] == [("a", 0), ("b", 0), ("a", 1), ("b", 1)]
