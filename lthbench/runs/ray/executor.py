"""The `ray` executor: workers as actors of an existing Ray cluster. Ray chooses their nodes, which come and go.

Workers run the same function as under every executor. Where every node sees the store's folder, they use it. Otherwise each
node has its own store: it receives the entries that an operation starts from, and sends back those that the operation
leaves.
"""

import logging
import threading
import uuid
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import torch

from lthbench._version import __version__
from lthbench.errors import InputError, LthbenchError
from lthbench.methods.internals.operations import Judgement, Operation
from lthbench.runs.ray import connection
from lthbench.runs.ray.actor import Actor
from lthbench.runs.ray.connection import Connection, beside
from lthbench.runs.ray.node import ClusterConfig, NodeWorker, clean, describe
from lthbench.runs.ray.transfer import Transfer
from lthbench.runs.store.files import contents_below, writing
from lthbench.runs.store.store import Store
from lthbench.runs.workers.executors import evaluators
from lthbench.runs.workers.pool import CLOSED, Handle, Pool
from lthbench.runs.workers.worker import Lost, Reply
from lthbench.runs.workers.worker_config import WorkerConfig
from lthbench.training import numerics

log = logging.getLogger(__name__)

SHARES = "sharing of the store's folder"


class RayExecutor:
    """An executor on the cluster at `address`. A worker takes one CPU, and `share` of a GPU with as many lanes as fit."""

    def __init__(
        self, config: WorkerConfig, datasets: Mapping[str, Mapping[str, str]], address: str, share: float = 1.0
    ):
        device, self._gpus = torch.device(config.device), gpus_of(config, share)
        self._here: dict[str, Any] = {"lthbench": __version__, **numerics.environment(device)}
        self._here |= {f"data set {name}": prints for name, prints in datasets.items()}
        self._cluster = Connection(address, "GPU" if self._gpus else "CPU")
        models = contents_below(config.models) if config.models else {}
        shared = replace(config, share=share)
        self.cluster_config = ClusterConfig(shared, f"token-{uuid.uuid4().hex}", tuple(datasets), models)
        with writing(config.store):
            config.store.mkdir(parents=True, exist_ok=True)
            (config.store / self.cluster_config.token).touch()
        try:
            self._check_nodes()
        except BaseException:
            self._leave()
            raise
        self._closed = threading.Event()
        self._transfer = Transfer(Store(config.store, numerics.environment_key(device)), self._here[SHARES])
        self._trainers, self._evaluators = Pool(self._trainer, 1, config.slots), Pool(self._evaluator, 1)
        self._look()
        for always in (self._follow, self._listen):
            threading.Thread(target=always, daemon=True).start()

    @property
    def slots(self) -> int:
        """Return the number of operations at once on the present nodes."""
        return self._trainers.size * self._trainers.slots

    def submit(self, operation: Operation, remainder: float = 0.0) -> "Future[Reply]":
        """Submit an operation. Its entries are in the driver's store when the future is done. Ray places the workers."""
        pool = self._evaluators if isinstance(operation, Judgement) else self._trainers
        return pool.submit(operation, remainder)

    def close(self) -> None:
        """Leave the cluster. Running operations are cancelled."""
        lost = self._closed.is_set()
        self._close()
        if not self._here[SHARES] and not lost:
            self._cluster.everywhere(clean, self.cluster_config)
        self._leave()

    def _close(self, why: LthbenchError = CLOSED) -> None:
        if self._closed.is_set():
            return
        self._closed.set()
        self._trainers.close(why)
        self._evaluators.close(why)

    def _leave(self) -> None:
        (self.cluster_config.worker.store / self.cluster_config.token).unlink(missing_ok=True)
        self._cluster.ray.shutdown()

    def _trainer(self, there: list[Handle]) -> Actor:
        takes = {"num_cpus": 1, "num_gpus": self._gpus}
        return self._actor(frozenset({"train"}), self.cluster_config.worker.slots, takes)

    def _evaluator(self, there: list[Handle]) -> Actor:
        nodes = list(self._cluster.nodes)
        if not nodes:
            raise Lost("no node is there")
        turn, node = divmod(len(there), len(nodes))
        return self._actor(frozenset({"train", "test"}), 1, beside(nodes[node]), turn)

    def _actor(self, splits: frozenset[str], slots: int, takes: Mapping[str, Any], turn: int = 0) -> Actor:
        remote = self._cluster.ray.remote(NodeWorker).options(max_concurrency=slots + 1, **takes)  # one for heartbeats
        return Actor(remote.remote(self.cluster_config, splits, turn), self._transfer, self._closed, self._differs)

    def _look(self) -> None:
        """Set the number of workers to what the cluster can hold now."""
        self._trainers.resize(max(1, int(self._cluster.devices / (self._gpus or 1))))
        self._evaluators.resize(evaluators(self.cluster_config.worker, self._trainers.size))

    def _follow(self) -> None:
        """Adjust the number of workers as the cluster grows and shrinks."""
        while not self._closed.wait(connection.LOOK):
            try:
                self._look()
            except Exception as error:  # Ray's own, of many kinds
                log.warning("the size of the cluster cannot be read: %s", " ".join(str(error).split())[:200])

    def _listen(self) -> None:
        """Stop all waiting when the head is gone."""
        if loss := self._cluster.loss(self._closed):
            self._close(loss)

    def _differs(self, name: str, node: Mapping[str, Any] | LthbenchError) -> str:
        """Return why a node cannot take part, or ""."""
        if isinstance(node, LthbenchError):
            return f"node {name}: {node}"
        for what, mine in self._here.items():
            if node[what] != mine:
                return f"node {name} differs in {what}: {node[what]!r} there, {mine!r} here; make them equal"
        return ""

    def _check_nodes(self) -> None:
        """Raise InputError where a node differs from the driver in version, numerics or data."""
        found = self._cluster.everywhere(describe, self.cluster_config)
        if not found:
            raise InputError(
                f"no node of the Ray cluster has a {self._cluster.kind}; start one, or choose another --device"
            )
        shared = all(isinstance(node, LthbenchError) or node[SHARES] for node in found.values())
        if not shared:  # so no node uses the folder
            (self.cluster_config.worker.store / self.cluster_config.token).unlink(missing_ok=True)
        self._here[SHARES] = shared
        for name, node in found.items():
            if why := self._differs(name, node if isinstance(node, LthbenchError) else {**node, SHARES: shared}):
                raise InputError(why)


def gpus_of(config: WorkerConfig, share: float) -> float:
    """Return the GPUs of one worker."""
    if torch.device(config.device).type != "cuda":
        return 0.0
    return config.gpus if config.gpus > 1 else share
