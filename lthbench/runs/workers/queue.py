"""The queue of operations that wait for a worker: the longest remainder first."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from lthbench.methods.internals.operations import Operation

_order = count()


@dataclass
class Waiting:
    """A waiting operation, and the number of workers that were lost in it. `alone`: beside others it had no memory."""

    operation: Operation
    remainder: float
    future: "Future[Any]" = field(default_factory=Future)
    lost: int = 0
    alone: bool = False
    order: int = field(default_factory=lambda: next(_order))


class Queue:
    """A queue ordered by remainder, then by request. A worker that is near an operation's entries gets it first."""

    def __init__(self) -> None:
        self._waiting: list[Waiting] = []
        self._changed = threading.Condition()
        self.closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, one: Waiting) -> None:
        with self._changed:
            self._waiting.append(one)
            self._changed.notify_all()  # a thread that wakes may have to stop instead

    def wait(self) -> bool:
        """Wait until an operation waits. Returns False when the queue is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self.closed)
            return not self.closed

    def take(self, near: Callable[[Operation], bool] = lambda operation: False) -> Waiting | None:
        """Return the next operation; None where another worker was faster."""
        with self._changed:
            if not self._waiting:
                return None
            first = min(self._waiting, key=lambda w: (not near(w.operation), -w.remainder, w.order))
            self._waiting.remove(first)
            return first

    def close(self) -> list[Waiting]:
        """Close the queue and wake all waiting threads. Returns the operations that were not taken."""
        with self._changed:
            self.closed = True
            left, self._waiting = self._waiting, []
            self._changed.notify_all()
            return left
