"""The `ray` executor: workers as actors of an existing Ray cluster, which places them, on nodes that come and go.

Workers run the same function as everywhere. Where every node sees the store's folder, they use it; where not, each node
has a store of its own, which is sent the entries that an operation starts from and answers with those that it leaves.
"""

import logging
import pickle
import socket
import threading
import uuid
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import torch

from lthbench import __version__
from lthbench.errors import ClusterLost, InputError, LthbenchError, MissingEntry
from lthbench.runs.files import writing
from lthbench.runs.node import NodeWorker, Site, clean, describe, library
from lthbench.runs.operations import Judgement, Operation
from lthbench.runs.place import Place
from lthbench.runs.pool import CLOSED, Handle, Lost, Pool
from lthbench.runs.pulse import BEAT, Pulse
from lthbench.runs.store import Store
from lthbench.runs.transfer import Transfer
from lthbench.runs.wire import pickled
from lthbench.runs.worker import Reply
from lthbench.training import numerics

log = logging.getLogger(__name__)

TRAINERS = 8  # workers that one evaluator serves
LOOK = 5.0  # seconds between two looks at the cluster: how large it is, whether its head is there
SILENCE = 6  # looks in a row at which it is not: Ray itself ends this process after a minute
SHARES = "sharing of the store's folder"
SEES_ALL = {"env_vars": {"RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES": "1"}}  # GPUs of its node, though it takes none


class RayExecutor:
    """Operations on the cluster at `address`: a worker takes one CPU, and `share` of a GPU with as many lanes as fit there."""

    def __init__(self, place: Place, datasets: Mapping[str, Mapping[str, str]], address: str, share: float = 1.0):
        self._ray = library()
        device = torch.device(place.device)
        self._gpus = gpus_of(place, share)
        self._here: dict[str, Any] = {"lthbench": __version__, **numerics.build(device)}
        self._here |= {f"data set {name}": prints for name, prints in datasets.items()}
        self._attach(address)
        self.site = Site(place, f"token-{uuid.uuid4().hex}", tuple(datasets))
        with writing(place.store):
            place.store.mkdir(parents=True, exist_ok=True)
            (place.store / self.site.token).touch()
        try:
            self._check_nodes()
        except BaseException:
            self._leave()
            raise
        self.closed = threading.Event()
        self.transfer = Transfer(Store(place.store, numerics.build_key(device)), self._here[SHARES])
        self._trainers, self._evaluators = Pool(self._trainer, 1, place.slots), Pool(self._evaluator, 1)
        self._look()
        for always in (self._follow, self._listen):
            threading.Thread(target=always, daemon=True).start()

    @property
    def slots(self) -> int:
        """Operations at once, on the nodes that there are now."""
        return self._trainers.size * self._trainers.slots

    def submit(self, operation: Operation, remainder: float = 0.0) -> "Future[Reply]":
        """Ray places the workers; what an operation leaves is in the driver's store when the future is done."""
        pool = self._evaluators if isinstance(operation, Judgement) else self._trainers
        return pool.submit(operation, remainder)

    def close(self) -> None:
        """Leave the cluster; what is under way there is cancelled."""
        lost = self.closed.is_set()
        self._close()
        if not self._here[SHARES] and not lost:
            self._on_every_node(clean, self.site)
        self._leave()

    def _close(self, why: LthbenchError = CLOSED) -> None:
        if self.closed.is_set():
            return
        self.closed.set()
        self._trainers.close(why)
        self._evaluators.close(why)

    def _trainer(self, there: list[Handle]) -> "Actor":
        takes = {"num_cpus": 1, "num_gpus": self._gpus}
        return self._actor(frozenset({"train"}), self.site.place.slots, takes)

    def _evaluator(self, there: list[Handle]) -> "Actor":
        """Works beside the trainers and takes nothing from them, so that it has a place where they take all."""
        nodes = list(self._nodes())
        if not nodes:
            raise Lost("no node is there")
        takes = _nothing(nodes[len(there) % len(nodes)])
        return self._actor(frozenset({"train", "test"}), 1, takes)

    def _actor(self, splits: frozenset[str], slots: int, takes: Mapping[str, Any]) -> "Actor":
        remote = self._ray.remote(NodeWorker).options(max_concurrency=slots + 1, **takes)  # one answers beats
        return Actor(self, remote.remote(self.site, splits))

    def _nodes(self) -> dict[str, str]:
        """Addresses by id, of the nodes on which workers may be."""
        kind = "GPU" if self._gpus else "CPU"
        return {
            n["NodeID"]: n["NodeManagerAddress"] for n in self._ray.nodes() if n["Alive"] and n["Resources"].get(kind)
        }

    def _look(self) -> None:
        """As many workers as the cluster has room for now."""
        total = self._ray.cluster_resources()
        room = total.get("GPU", 0) / self._gpus if self._gpus else total.get("CPU", 0)
        self._trainers.resize(max(1, int(room)))
        self._evaluators.resize(-(-self._trainers.size // TRAINERS))

    def _follow(self) -> None:
        """Let the workers be as many as the cluster has room for, as it grows and shrinks."""
        while not self.closed.wait(LOOK):
            try:
                self._look()
            except Exception as error:  # Ray's own, of many kinds
                log.warning("the cluster does not say how large it is: %s", " ".join(str(error).split())[:200])

    def _listen(self) -> None:
        """Stop all that waits when the head is gone. Whoever asks Ray then may wait long, so Ray is not asked."""
        head, silent = self._ray.get_runtime_context().gcs_address, 0
        while silent < SILENCE:
            if self.closed.wait(LOOK):
                return
            silent = 0 if _answers(head) else silent + 1
        self._close(
            ClusterLost(
                f"the head of the Ray cluster, {head}, has not answered for {SILENCE * LOOK:g} s; what is finished is "
                "kept: start the cluster again and type the same command to go on"
            )
        )

    def differs(self, name: str, node: Mapping[str, Any] | LthbenchError) -> str:
        """Why a node cannot take part, or ''."""
        if isinstance(node, LthbenchError):
            return f"node {name}: {node}"
        for what, mine in self._here.items():
            if node[what] != mine:
                return f"node {name} differs in {what}: {node[what]!r} there, {mine!r} here; make them equal"
        return ""

    def _check_nodes(self) -> None:
        """InputError where a node differs from the driver in version, numerics or data."""
        found = self._on_every_node(describe, self.site)
        shared = all(isinstance(node, LthbenchError) or node[SHARES] for node in found.values())
        if not shared:  # then no node uses the folder
            (self.site.place.store / self.site.token).unlink(missing_ok=True)
        self._here[SHARES] = shared
        for name, node in found.items():
            if why := self.differs(name, node if isinstance(node, LthbenchError) else {**node, SHARES: shared}):
                raise InputError(why)

    def _on_every_node(self, work: Any, *args: Any) -> dict[str, Any]:
        nodes, task = self._nodes(), self._ray.remote(max_calls=1)(work)
        asked = [task.options(**_nothing(node)).remote(*args) for node in nodes]
        found = {}
        for node, ref in zip(nodes, asked, strict=True):
            name = f"{nodes[node]} ({node[:8]})"
            try:
                found[name] = self._ray.get(ref)
            except self._ray.exceptions.RayError:
                log.warning("node %s is gone", name)
        return found

    def _attach(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        try:
            if host and port.isdigit() and "/" not in address:
                _connect(address)  # Ray itself tries for minutes
            self._ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, ValueError, RuntimeError) as error:
            raise InputError(f"no Ray cluster at {address}: {' '.join(str(error).split())[:200]}") from None

    def _leave(self) -> None:
        (self.site.place.store / self.site.token).unlink(missing_ok=True)
        self._ray.shutdown()


class Actor(Handle):
    """A worker on a node, which Ray has chosen."""

    def __init__(self, executor: RayExecutor, actor: Any):
        self._ray, self._executor, self._actor = library(), executor, actor
        self.dead = False
        name, node = self._answer(actor.ready.remote())
        self.node = name
        if why := executor.differs(name[:8], node):
            self.end()
            raise Lost(why)

    def ask(self, operation: Operation) -> Reply:
        transfer = self._executor.transfer
        files, message = pickle.loads(pickled(operation))
        modules = {Path(file).name: Path(file).read_bytes() for file in files}
        needed = {name: self._ray.put(content) for name, content in transfer.needed(operation, self.node).items()}
        reply, left = self._answer(self._actor.perform.remote(modules, message, needed), beating=True)
        transfer.settle(self.node, left)
        if isinstance(reply, Lost):
            self.end()
        if isinstance(reply, MissingEntry):
            transfer.forget(self.node)
        if isinstance(reply, Exception):
            raise reply
        return reply

    def near(self, operation: Operation) -> bool:
        return self._executor.transfer.near(operation, self.node)

    def end(self) -> None:
        self.dead = True
        threading.Thread(target=self._kill, daemon=True).start()  # which waits for a head that is gone

    def _kill(self) -> None:
        try:
            self._ray.kill(self._actor)
        except Exception as error:
            log.debug("a lost worker cannot be ended: %s", error)

    def _answer(self, asked: Any, beating: bool = False) -> Any:
        """Wait for an answer of the actor. Raises Lost when it is gone, hangs, or the executor closes."""
        pulse = Pulse()
        try:
            while not self._ray.wait([asked], timeout=BEAT)[0]:
                if self._executor.closed.is_set():
                    raise Lost("the executor was closed")
                if beating:
                    self._feel(pulse)
            return self._ray.get(asked)
        except Exception as error:  # Ray's own, of many kinds: the process or the node is gone
            self.end()
            raise Lost(" ".join(str(error).split())[:200]) from None

    def _feel(self, pulse: Pulse) -> None:
        try:
            pulse.felt(self._ray.get(self._actor.beat.remote(), timeout=BEAT), busy=True)
        except self._ray.exceptions.GetTimeoutError:
            pulse.missed()


def gpus_of(place: Place, share: float) -> float:
    """GPUs of one worker."""
    if torch.device(place.device).type != "cuda":
        return 0.0
    return place.gpus if place.gpus > 1 else share


def _nothing(node: str) -> dict[str, Any]:
    """Options of what runs on a node and takes nothing of it."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as On

    return {"num_cpus": 0, "num_gpus": 0, "runtime_env": SEES_ALL, "scheduling_strategy": On(node_id=node, soft=False)}


def _connect(address: str) -> None:
    """OSError where nobody listens there."""
    host, _, port = address.rpartition(":")
    socket.create_connection((host, int(port)), timeout=LOOK).close()


def _answers(address: str) -> bool:
    try:
        _connect(address)
    except OSError:
        return False
    return True
