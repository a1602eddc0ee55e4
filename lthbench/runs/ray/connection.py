"""The connection to an existing Ray cluster: its nodes, what is done on each of them, whether its head is there."""

import logging
import socket
import threading
from typing import Any

from lthbench.errors import ClusterLost, InputError
from lthbench.runs.ray.node import library

log = logging.getLogger(__name__)

LOOK = 5.0  # seconds between two looks at the cluster: how large it is, whether its head is there
SILENCE = 6  # looks in a row at which it is not: Ray itself ends this process after a minute
SEES_ALL = {"env_vars": {"RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES": "1"}}  # GPUs of its node, though it takes none


class Connection:
    """To the cluster at `address`, of which the nodes that have a `kind` of device, GPU or CPU, are used. InputError where
    there is none."""

    def __init__(self, address: str, kind: str):
        self.ray, self.kind = library(), kind
        host, _, port = address.rpartition(":")
        try:
            if host and port.isdigit() and "/" not in address:
                _connect(address)  # Ray itself tries for minutes
            self.ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, ValueError, RuntimeError) as error:
            raise InputError(f"no Ray cluster at {address}: {' '.join(str(error).split())[:200]}") from None
        self._head = self.ray.get_runtime_context().gcs_address

    @property
    def devices(self) -> float:
        """Those of all nodes that there are now."""
        return float(self.ray.cluster_resources().get(self.kind, 0))

    @property
    def nodes(self) -> dict[str, str]:
        """Addresses by id, of the nodes that there are now."""
        living = (node for node in self.ray.nodes() if node["Alive"] and node["Resources"].get(self.kind))
        return {node["NodeID"]: node["NodeManagerAddress"] for node in living}

    def everywhere(self, work: Any, *args: Any) -> dict[str, Any]:
        """What a function returns on every node, by its name."""
        nodes, task = self.nodes, self.ray.remote(max_calls=1)(work)
        asked = [task.options(**beside(node)).remote(*args) for node in nodes]
        found = {}
        for node, ref in zip(nodes, asked, strict=True):
            name = f"{nodes[node]} ({node[:8]})"
            try:
                found[name] = self.ray.get(ref)
            except self.ray.exceptions.RayError:
                log.warning("node %s is gone", name)
        return found

    def loss(self, closed: threading.Event) -> ClusterLost | None:
        """Wait until the head is gone; None if `closed` comes first. Ray is not asked: its answer may take long then."""
        silent = 0
        while silent < SILENCE:
            if closed.wait(LOOK):
                return None
            silent = 0 if _answers(self._head) else silent + 1
        return ClusterLost(
            f"the head of the Ray cluster, {self._head}, has not answered for {SILENCE * LOOK:g} s; what is finished is "
            "kept: start the cluster again and type the same command to go on"
        )


def beside(node: str) -> dict[str, Any]:
    """Options of what works on a node beside others and takes nothing from them, so that there is always room for it."""
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
