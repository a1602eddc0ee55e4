"""The code that runs on the nodes of a Ray cluster: a worker in an actor, with the node's packed data and a store."""

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from lthbench._version import __version__
from lthbench.data import DataHome, default_folder, prepare
from lthbench.errors import InputError, LthbenchError, MissingEntry
from lthbench.methods import registry
from lthbench.methods.internals.operations import Operation, Train
from lthbench.runs.store.curve import Curve
from lthbench.runs.store.files import write_whole
from lthbench.runs.store.store import Store
from lthbench.runs.workers.failure import failure
from lthbench.runs.workers.serialization import operation_of
from lthbench.runs.workers.worker import Reply
from lthbench.runs.workers.worker_config import WorkerConfig
from lthbench.training import numerics

Entries = Mapping[str, bytes]
"""Store entries as files, by their path in the store."""

Answer = tuple[Reply | Exception, Entries]
"""The reply to an operation, or an error, and the entries left by it that the driver's store lacks."""


def library() -> Any:
    """Return the library Ray. InputError where it is not installed."""
    os.environ.setdefault(
        "RAY_ENABLE_AUTO_CONNECT", "0"
    )  # a thread that asks too late must not start a cluster of its own
    try:
        import ray
    except ImportError:
        raise InputError("the ray executor needs Ray; type: pip install 'lthbench[cluster]'") from None
    return ray


@dataclass(frozen=True)
class ClusterConfig:
    """The configuration of a driver's workers: the folders on a node, and the properties that must be equal there."""

    worker: WorkerConfig
    token: str  # marks the driver's store: a node that finds it under `worker.store` shares the folder
    datasets: tuple[str, ...]
    models: Entries = field(default_factory=dict)  # files that hold models of the suite, by their path in a folder

    @property
    def here(self) -> WorkerConfig:
        """Return the worker's configuration with the folders of this node."""
        data = self.worker.data if self.worker.data.is_dir() else default_folder()
        store = self.worker.store if self.shares else self.scratch / "store"
        return replace(self.worker, store=store, data=data, models=self.scratch / "models")

    @property
    def shares(self) -> bool:
        """Say whether this node sees the driver's store."""
        return (self.worker.store / self.token).exists()

    @property
    def scratch(self) -> Path:
        """Return a folder on this node that is removed when the driver ends."""
        return Path(tempfile.gettempdir()) / f"lthbench-{self.token}"


def describe(cluster_config: ClusterConfig) -> dict[str, Any] | LthbenchError:
    """Return the properties that must be equal on every node. Packs data that is not packed yet."""
    device = torch.device(cluster_config.here.device)
    numerics.set_up(device)
    try:
        home = DataHome(cluster_config.here.data)
        prints = {f"data set {name}": prepare(home, name).fingerprints for name in cluster_config.datasets}
    except LthbenchError as error:
        return error
    return {
        "lthbench": __version__,
        "sharing of the store's folder": cluster_config.shares,
        **numerics.environment(device),
        **prints,
    }


def clean(cluster_config: ClusterConfig) -> None:
    """Remove the driver's files from this node."""
    shutil.rmtree(cluster_config.scratch, ignore_errors=True)


class NodeWorker:
    """A worker in an actor. Ray places the actor; its operations are lost with it.

    Of the devices that it sees it takes the first, or the next one in its `turn`.
    """

    def __init__(self, cluster_config: ClusterConfig, splits: frozenset[str], turn: int = 0):
        self.cluster_config = cluster_config
        for name, content in cluster_config.models.items():
            write_whole(cluster_config.scratch / "models" / name, content)
        each = cluster_config.here.each()  # on the devices that Ray gave to this process
        self.worker = each[turn % len(each)].worker(splits)

    def ready(self) -> tuple[str, dict[str, Any] | LthbenchError]:
        """Return the node of the worker, and the node's description."""
        return library().get_runtime_context().get_node_id(), describe(self.cluster_config)

    def beat(self) -> int:
        """Return the number of completed turns, as a sign of life."""
        return self.worker.turns.served

    def perform(self, modules: Entries, message: bytes, needed: Mapping[str, Any], alone: bool) -> Answer:
        """Do an operation, after storing the method files and store entries that this node lacks."""
        numerics.set_up(self.worker.device)
        try:
            with self.worker.turns:
                operation = self._operation(modules, message, needed)
            reply = self.worker.perform(operation, alone)
        except Exception as error:
            return failure(self.worker, error), {}
        root = self.worker.store.root
        left = [] if self.cluster_config.shares else _left(self.worker.store, operation)
        return reply, {str(path.relative_to(root)): path.read_bytes() for path in left}

    def _operation(self, modules: Entries, message: bytes, needed: Mapping[str, Any]) -> Operation:
        for name, content in needed.items():
            if not (path := self.worker.store.root / name).exists():
                write_whole(path, library().get(content))
        for name, source in modules.items():
            write_whole(self.cluster_config.scratch / name, source)
            registry.load(self.cluster_config.scratch / name)
        return operation_of(message, evaluates="test" in self.worker.home.splits)


def _left(store: Store, operation: Operation) -> Iterable[Path]:
    """Return the entries that an operation leaves."""
    if not isinstance(operation, Train):
        return [store.path("values", operation.key)]
    trajectory, stops = operation.trajectory, operation.stops
    least = [curve.least.step for curve in _curves(store, operation) if curve.least]
    beside = [store.path("states", trajectory.state(step).key) for step in least if step not in stops]
    beside += [store.path("curves", trajectory.curve(stop)) for stop in stops]
    states = [store.path("states", trajectory.state(stop).key) for stop in stops]
    return [*states, *(path for path in dict.fromkeys(beside) if path.exists())]


def _curves(store: Store, operation: Train) -> Iterator[Curve]:
    """Yield the learning curves up to the stops of a training, as far as there are any."""
    for stop in operation.stops:
        with suppress(MissingEntry):
            yield store.read_curve(operation.trajectory.curve(stop))
