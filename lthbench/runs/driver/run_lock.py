"""One run at a time: the threads of a driver pass a baton, and hand it on while they wait for work."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lthbench.errors import MethodError
from lthbench.runs.workers.process_state import generators, restore


class RunLock:
    """Held by the thread that runs method code. While it is held, the global generators must not change."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._before: tuple[Any, ...] = ()

    def take(self) -> None:
        self._lock.acquire()
        self._before = generators()

    def give(self) -> None:
        """Hand it on. Raises MethodError, after putting them back, if a global generator was drawn from."""
        touched = generators() != self._before
        if touched:
            restore(self._before)
        self._lock.release()
        if touched:
            raise MethodError(
                "drew from a global random generator, so that its result would depend on its neighbours; "
                'write run.generator("a name") and pass it on'
            )

    @contextmanager
    def released(self) -> Iterator[None]:
        """Others may go on inside."""
        try:
            self.give()
            yield
        finally:
            self.take()
