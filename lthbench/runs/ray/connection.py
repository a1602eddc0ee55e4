"""The connection to an existing Ray cluster: its nodes, functions that run on each of them, and a watch on its head."""

import logging
import os
import socket
import threading
from typing import Any

from lthbench.errors import ClusterLost, InputError
from lthbench.runs.ray.node import library

log = logging.getLogger(__name__)

LOOK = 5.0  # seconds between two looks at the size and the head of the cluster
SILENCE = 6  # looks in a row without an answer of the head; Ray itself ends this process after a minute
SEES_ALL = {"env_vars": {"RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES": "1"}}  # all GPUs of its node


class Connection:
    """A connection to the cluster at `address`. It uses the nodes that have a `kind` of device, GPU or CPU.

    InputError where no cluster answers.
    """

    def __init__(self, address: str, kind: str):
        self.ray, self.kind = library(), kind
        found = address
        try:
            found = _found(address)
            if _host_and_port(found):
                _connect(found)  # Ray itself tries for minutes
            self.ray.init(address=found, log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, ValueError, RuntimeError) as error:
            said = " ".join(str(error).split())[:200]
            where = address if found == address else f"{found}, which {address!r} stands for here"
            raise InputError(f"no Ray cluster at {where}: {said}; start one, or give --address HOST:PORT") from None
        self._head = self.ray.get_runtime_context().gcs_address

    @property
    def devices(self) -> float:
        """Return the number of devices of all present nodes."""
        return float(self.ray.cluster_resources().get(self.kind, 0))

    @property
    def nodes(self) -> dict[str, str]:
        """Return the addresses of the present nodes by id."""
        living = (node for node in self.ray.nodes() if node["Alive"] and node["Resources"].get(self.kind))
        return {node["NodeID"]: node["NodeManagerAddress"] for node in living}

    def everywhere(self, work: Any, *args: Any) -> dict[str, Any]:
        """Run a function on every node. Returns its values by the nodes' names."""
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
        """Wait until the head is gone. Returns None if `closed` comes first. Ray is not asked, as it may answer late."""
        silent = 0
        while silent < SILENCE:
            if closed.wait(LOOK):
                return None
            silent = 0 if _answers(self._head) else silent + 1
        return ClusterLost(
            f"the head of the Ray cluster, {self._head}, has not answered for {SILENCE * LOOK:g} s; finished work is "
            "kept: start the cluster again and run the same command to go on"
        )


def beside(node: str) -> dict[str, Any]:
    """Return the options of a task that takes no device of its node, so that it can always start."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as On

    return {"num_cpus": 0, "num_gpus": 0, "runtime_env": SEES_ALL, "scheduling_strategy": On(node_id=node, soft=False)}


def _found(address: str) -> str:
    """Return the address that Ray takes for `auto`: from $RAY_ADDRESS, a local process, or Ray's temporary folder."""
    if address != "auto":
        return address
    try:
        from ray._private.services import get_ray_address_from_environment
    except ImportError:  # another version of Ray, which looks for itself
        return os.environ.get("RAY_ADDRESS") or address
    return str(get_ray_address_from_environment(address, None))


def _host_and_port(address: str) -> tuple[str, int] | None:
    """Read HOST:PORT, also behind ray://. None for another text."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    return (host.strip("[]"), int(port)) if host and port.isdigit() and "/" not in host else None


def _connect(address: str) -> None:
    """Connect once. OSError where no process listens at the address."""
    endpoint = _host_and_port(address)
    if endpoint:
        socket.create_connection(endpoint, timeout=LOOK).close()


def _answers(address: str) -> bool:
    """Say whether a process listens at the address."""
    try:
        _connect(address)
    except OSError:
        return False
    return True
