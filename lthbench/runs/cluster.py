"""The `ray` executor: operations as tasks of an existing Ray cluster, which places, retries and survives lost nodes.

Workers run the same function as everywhere. Where every node sees the store's folder, they use it; where not, each node
has a store of its own, which is sent the entries that an operation starts from and answers with those that it leaves.
"""

import logging
import pickle
import shutil
import socket
import tempfile
import uuid
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Any

import torch

from lthbench import __version__, registry
from lthbench.data import DataHome, default_folder, prepare
from lthbench.errors import InputError, LthbenchError
from lthbench.pruning.lineage import Trained
from lthbench.runs.operations import Judgement, Operation, Train, sources
from lthbench.runs.place import Place
from lthbench.runs.pool import WorkerDied
from lthbench.runs.store import Store, write_whole
from lthbench.runs.wire import foreign, pickled
from lthbench.runs.worker import Reply, Worker
from lthbench.training import numerics

log = logging.getLogger(__name__)

TRAINERS = 8  # that one evaluator serves
RETRIES = 3  # of an operation whose node or process was lost
Entries = Mapping[str, bytes]
"""Store entries as files, by their path in the store."""


def library() -> Any:
    """Ray. InputError where it is not installed."""
    try:
        import ray
    except ImportError:
        raise InputError("the ray executor needs Ray; type: pip install 'lthbench[cluster]'") from None
    return ray


@dataclass(frozen=True)
class Site:
    """What every task of a driver needs: where things lie on a node, and what has to be equal there."""

    place: Place
    token: str  # names the driver's store: a node that finds it under `place.store` shares the folder
    datasets: tuple[str, ...]

    def on_this_node(self) -> "Site":
        """With the folders of the node that asks."""
        data = self.place.data if self.place.data.is_dir() else default_folder()
        store = self.place.store if self.shares else self.scratch / "store"
        return replace(self, place=replace(self.place, store=store, data=data))

    @property
    def shares(self) -> bool:
        """Whether this node sees the driver's store."""
        return (self.place.store / self.token).exists()

    @property
    def scratch(self) -> Path:
        """A folder on this node that ends with the driver."""
        return Path(tempfile.gettempdir()) / f"lthbench-{self.token}"


class RayExecutor:
    """Operations as tasks on the cluster at `address`; a task takes one CPU, or `share` of a GPU."""

    def __init__(self, place: Place, datasets: Mapping[str, Mapping[str, str]], address: str, share: float = 1.0):
        self._ray = library()
        self.store = Store(place.store, numerics.build_key(torch.device(place.device)))
        self.store.root.mkdir(parents=True, exist_ok=True)
        self._attach(address)
        self.site = Site(place, f"token-{uuid.uuid4().hex}", tuple(datasets))
        (place.store / self.site.token).touch()
        try:
            self._check_nodes(datasets)
        except BaseException:
            self._leave()
            raise
        gpu, total = torch.device(place.device).type == "cuda", self._ray.cluster_resources()
        self.slots = max(1, int(total.get("GPU", 0) / share if gpu else total.get("CPU", 1)))
        self._trainer = self._ray.remote(_train).options(num_cpus=1, num_gpus=share * gpu, max_retries=RETRIES)
        apart = self._ray.remote(_Evaluator).options(
            num_cpus=0, num_gpus=share * gpu, max_restarts=-1, max_task_retries=RETRIES
        )
        self._evaluators = cycle([apart.remote() for _ in range(-(-self.slots // TRAINERS))])

    def submit(self, operation: Operation, remainder: float = 0.0) -> "Future[Reply]":
        """Ray places it; what it leaves is in the driver's store when the future is done."""
        future: Future[Reply] = Future()
        try:
            files, message = pickle.loads(pickled(operation))
            modules = {Path(file).name: Path(file).read_bytes() for file in files}
            needed = (
                {} if self._shared else {name: self._ray.put(data) for name, data in self._needed(operation).items()}
            )
        except Exception as error:
            future.set_exception(error)
            return future
        task = next(self._evaluators).perform if isinstance(operation, Judgement) else self._trainer
        asked = task.remote(self.site, modules, message, needed)
        asked.future().add_done_callback(lambda done: self._settle(done, future))
        return future

    def close(self) -> None:
        """Leave the cluster; what is under way there is cancelled."""
        if not self._shared:
            self._on_every_node(_clean, self.site)
        self._leave()

    def _leave(self) -> None:
        (self.site.place.store / self.site.token).unlink(missing_ok=True)
        self._ray.shutdown()

    def _attach(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        try:
            if host and port.isdigit() and "/" not in address:
                socket.create_connection((host, int(port)), timeout=10).close()  # Ray itself tries for minutes
            self._ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, ValueError, RuntimeError) as error:
            raise InputError(f"no Ray cluster at {address}: {' '.join(str(error).split())[:200]}") from None

    def _check_nodes(self, datasets: Mapping[str, Mapping[str, str]]) -> None:
        """InputError where a node differs from the driver in version, numerics or data."""
        device = torch.device(self.site.place.device)
        here = {"lthbench": __version__, **numerics.build(device)}
        found = self._on_every_node(_describe, self.site)
        for name, node in found.items():
            if isinstance(node, LthbenchError):
                raise InputError(f"node {name}: {node}")
            for what, mine in [*here.items(), *((f"data set {d}", prints) for d, prints in datasets.items())]:
                if node[what] != mine:
                    raise InputError(
                        f"node {name} differs in {what}: {node[what]!r} there, {mine!r} here; make them equal"
                    )
        self._shared = all(node["shares"] for node in found.values())

    def _on_every_node(self, work: Any, *args: Any) -> dict[str, Any]:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as On

        nodes = {n["NodeID"]: n["NodeManagerAddress"] for n in self._ray.nodes() if n["Alive"]}
        task = self._ray.remote(work)
        asked = [
            task.options(num_cpus=0, scheduling_strategy=On(node_id=node, soft=False)).remote(*args) for node in nodes
        ]
        return {f"{nodes[node]} ({node[:8]})": self._ray.get(ref) for node, ref in zip(nodes, asked, strict=True)}

    def _needed(self, operation: Operation) -> Entries:
        """The entries that an operation starts from."""
        lineages = sources(operation)
        names = [("tensors", edit.digest) for lineage in lineages for edit in lineage.edits]
        names += [("states", lineage.root.key) for lineage in lineages if isinstance(lineage.root, Trained)]
        paths = [self.store.path(kind, key) for kind, key in names]
        return {str(path.relative_to(self.store.root)): path.read_bytes() for path in paths if path.exists()}

    def _settle(self, done: "Future[Any]", future: "Future[Reply]") -> None:
        try:
            reply, entries = done.result()
            for name, content in entries.items():
                write_whole(self.store.root / name, content)
        except LthbenchError as error:
            future.set_exception(error)
        except Exception as error:  # Ray's own: the node or the process was lost too often, or the driver leaves
            future.set_exception(WorkerDied(f"the cluster could not do this operation ({type(error).__name__})"))
        else:
            future.set_exception(reply) if isinstance(reply, Exception) else future.set_result(reply)


Answer = tuple[Reply | LthbenchError, Entries]
"""The reply to an operation or why there is none, and the entries that it left and the driver's store lacks."""


def _train(site: Site, *message: Any) -> Answer:
    """A task of the cluster: any operation but an evaluation."""
    return _perform(site, _worker(site, frozenset({"train"})), *message)


class _Evaluator:
    """An actor of the cluster: evaluations, in a process that never does anything else."""

    def perform(self, site: Site, *message: Any) -> Answer:
        return _perform(site, _worker(site, frozenset({"train", "test"})), *message)


def _perform(
    site: Site, worker: Worker, modules: Mapping[str, bytes], message: bytes, needed: Mapping[str, Any]
) -> Answer:
    root = worker.store.root
    try:
        for name in needed.keys():  # noqa: SIM118
            if not (root / name).exists():
                write_whole(root / name, library().get(needed[name]))
        for name, content in modules.items():
            write_whole(site.scratch / name, content)
            registry.load(site.scratch / name)
        operation = pickle.loads(message)
        reply = worker.perform(operation)
    except LthbenchError as error:
        return error, {}
    except Exception as error:
        return foreign(error), {}
    left = {} if site.shares else {str(p.relative_to(root)): p.read_bytes() for p in _left(worker.store, operation)}
    return reply, left


def _left(store: Store, operation: Operation) -> Iterable[Path]:
    """The entries that an operation leaves."""
    if isinstance(operation, Train):
        return [store.path("states", operation.trajectory.state(stop).key) for stop in operation.stops]
    return [store.path("values", operation.key)]


@cache
def _worker(site: Site, splits: frozenset[str]) -> Worker:
    """The worker of this process, with its data packed on this node."""
    there = site.on_this_node().place
    for name in site.datasets:
        prepare(DataHome(there.data), name)
    return there.worker(splits)


def _describe(site: Site) -> dict[str, Any] | LthbenchError:
    """What has to be equal on every node. Packs data that is not there."""
    try:
        there = site.on_this_node().place
        home = DataHome(there.data)
        prints = {f"data set {name}": prepare(home, name).fingerprints for name in site.datasets}
    except LthbenchError as error:
        return error
    numerics.set_up(torch.device(there.device))
    return {"lthbench": __version__, "shares": site.shares, **numerics.build(torch.device(there.device)), **prints}


def _clean(site: Site) -> None:
    shutil.rmtree(site.scratch, ignore_errors=True)
