"""The handle of a worker on a node of a Ray cluster."""

import logging
import pickle
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lthbench.errors import LthbenchError, MissingEntry
from lthbench.methods.internals.operations import Operation
from lthbench.runs.ray.node import library
from lthbench.runs.ray.transfer import Transfer
from lthbench.runs.workers.heartbeat import BEAT, Heartbeat
from lthbench.runs.workers.pool import Handle
from lthbench.runs.workers.serialization import pickled
from lthbench.runs.workers.worker import Lost, Reply, Retired

log = logging.getLogger(__name__)

Differs = Callable[[str, Mapping[str, Any] | LthbenchError], str]
"""A function of a node's name and description, or of the error in describing it. Returns why it cannot take part, or ""."""


class Actor(Handle):
    """A worker on a node that Ray has chosen.

    `closed`: set when no caller waits for the worker any more. `differs`: returns why a node cannot take part.
    """

    def __init__(self, actor: Any, transfer: Transfer, closed: threading.Event, differs: Differs):
        self._ray, self._actor = library(), actor
        self._transfer, self._closed = transfer, closed
        self.dead = self._retired = False
        self.node, described = self._answer(actor.ready.remote())
        if why := differs(self.node[:8], described):
            self.end()
            raise Lost(why)

    def ask(self, operation: Operation, alone: bool = False) -> Reply:
        files, message = pickle.loads(pickled(operation))
        modules = {Path(file).name: Path(file).read_bytes() for file in files}
        needed = {name: self._ray.put(content) for name, content in self._transfer.needed(operation, self.node).items()}
        reply, left = self._answer(self._actor.perform.remote(modules, message, needed, alone), beating=True)
        self._transfer.settle(self.node, left)
        if isinstance(reply, Lost):
            self._retired = isinstance(reply, Retired)
            self.end()
        if isinstance(reply, MissingEntry):
            self._transfer.forget(self.node)
        if isinstance(reply, Exception):
            raise reply
        return reply

    def near(self, operation: Operation) -> bool:
        return self._transfer.near(operation, self.node)

    def end(self) -> None:
        self.dead = True
        threading.Thread(target=self._kill, daemon=True).start()  # Ray waits for a head that is gone

    def _kill(self) -> None:
        try:
            self._ray.kill(self._actor)
        except Exception as error:
            log.debug("a lost worker cannot be ended: %s", error)

    def _answer(self, asked: Any, beating: bool = False) -> Any:
        """Wait for an answer of the actor. Raises Lost when the actor is gone or hangs, or the executor closes."""
        heartbeat = Heartbeat()
        try:
            while not self._ray.wait([asked], timeout=BEAT)[0]:
                if self._closed.is_set():
                    raise Lost("the executor was closed")
                if beating:
                    self._feel(heartbeat)
            return self._ray.get(asked)
        except Exception as error:  # Ray's own, of many kinds: the process or the node is gone
            self.end()
            raise (Retired if self._retired else Lost)(" ".join(str(error).split())[:200]) from None

    def _feel(self, heartbeat: Heartbeat) -> None:
        try:
            heartbeat.felt(self._ray.get(self._actor.beat.remote(), timeout=BEAT), busy=True)
        except self._ray.exceptions.GetTimeoutError:
            heartbeat.missed()
