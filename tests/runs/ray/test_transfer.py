"""Nodes that do not share a folder give the results of one machine, learning curves included. Without Ray."""

import pickle
import tempfile
import threading
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lthbench import Network, Run
from lthbench.data import DataHome
from lthbench.methods.internals.operations import Judgement, Operation
from lthbench.runs.ray import executor, node
from lthbench.runs.ray.node import ClusterConfig, NodeWorker
from lthbench.runs.ray.transfer import Transfer
from lthbench.runs.store.store import Store
from lthbench.runs.workers.serialization import pickled
from lthbench.runs.workers.worker import Reply
from lthbench.runs.workers.worker_config import WorkerConfig
from lthbench.training import numerics
from tests.runs.helpers import CPU, TINY, Outcome, dense, drive, method, rewind, tiny

TRAIN, ALL = frozenset({"train"}), frozenset({"train", "test"})


class Nodes:
    """An executor on two nodes in this process. An operation goes to the one that lacks the state that it starts from."""

    slots = 1

    def __init__(self, config: WorkerConfig, *_: object):
        self.transfer = Transfer(Store(config.store, numerics.environment_key(CPU)), shared=False)
        clusters = [ClusterConfig(config, f"token-{name}", ()) for name in ("a", "b")]
        self.nodes = {c.token: (NodeWorker(c, TRAIN), NodeWorker(c, ALL)) for c in clusters}
        self.one_at_a_time = threading.Lock()

    def submit(self, operation: Operation, remainder: float = 0.0) -> "Future[Reply]":
        future: Future[Reply] = Future()
        with self.one_at_a_time:
            name = min(self.nodes, key=lambda name: self.transfer.near(operation, name))
            worker = self.nodes[name][isinstance(operation, Judgement)]
            _, message = pickle.loads(pickled(operation))
            reply, left = worker.perform({}, message, self.transfer.needed(operation, name), alone=True)
            self.transfer.settle(name, left)
        if isinstance(reply, Exception):
            future.set_exception(reply)
        else:
            future.set_result(reply)
        return future

    def close(self) -> None:
        """Leave the nodes as they are."""


def worsening(run: Run) -> Network:
    """Train in two parts, at a rate that grows until the network is lost: the validation loss is least in the first."""
    recipe = run.recipe.replace(lr=3.0, warmup=1.0, drops=())
    return run.train(run.train(run.init(), until=1, recipe=recipe), recipe=recipe)


METHODS = [method(dense, track="dense"), method(rewind), method(worsening, track="dense")]


def curves(outcome: Outcome) -> dict[Any, Any]:
    return {record.run_id: record.provenance.curve for record in outcome.records}


@pytest.mark.parametrize("watch", [None, 3])
def test_without_a_shared_folder_a_record_has_its_curve(
    watch: int | None, tmp_path: Path, home: DataHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = tiny(sparsities=(0.5,), seeds=1, recipe=TINY.recipe.replace(watch=watch))
    here = drive(suite, METHODS, tmp_path / "here", home)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nodes"))
    monkeypatch.setattr(node, "library", lambda: SimpleNamespace(get=lambda content: content))
    monkeypatch.setattr(executor, "RayExecutor", Nodes)
    there = drive(suite, METHODS, tmp_path / "there", home, executor="ray")
    assert there.results == here.results
    assert curves(there) == curves(here) and None not in curves(here).values()
    assert there.broker.counts == here.broker.counts
    if watch:
        assert here.of("worsening")[0].early_stop.step == 6 and here.of("dense")[0].early_stop.step == 20
