"""The lock that lets one run's thread execute at a time. A thread releases it while it waits for work."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lthbench.errors import MethodError
from lthbench.runs.workers.process_state import generators, restore


class RunLock:
    """A lock held by the thread that runs method code. While it is held, the global generators must not change."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._before: tuple[Any, ...] = ()

    def take(self) -> None:
        self._lock.acquire()
        self._before = generators()

    def give(self) -> None:
        """Release the lock. If a global generator was drawn from, restores its state and raises MethodError."""
        touched = generators() != self._before
        if touched:
            restore(self._before)
        self._lock.release()
        if touched:
            raise MethodError(
                "drew from a global random generator, so its result would depend on other runs; "
                'write run.generator("a name") and pass it on'
            )

    @contextmanager
    def released(self) -> Iterator[None]:
        """Release the lock inside the context, so that other threads go on."""
        try:
            self.give()
            yield
        finally:
            self.take()
