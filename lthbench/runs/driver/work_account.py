"""The account of one run's work: the method's own code, by clock and meter, and the work that workers did for it."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from lthbench.runs.driver.broker import Work
from lthbench.training.metering.meter import Meter, metered

OWN = "method"  # the account of the method's own code


@dataclass
class WorkAccount:
    """CPU seconds and examples by kind of operation: train, measure, validate; `method` is the method's own code.

    The method's code counts from `resume` to `pause`, by the clock of its thread. `own` counts the examples that its
    networks saw, and its multiplications. Operations count the work of workers; an entry found in the store costs nothing.
    """

    own: Meter = field(default_factory=Meter)

    _seconds: dict[str, float] = field(default_factory=dict)
    _seen: dict[str, int] = field(default_factory=dict)
    _since: float | None = None
    _counting: ExitStack = field(default_factory=ExitStack)

    def resume(self) -> None:
        """Start counting work as the method's own."""
        self._since = time.thread_time()
        self._counting = ExitStack()
        self._counting.enter_context(metered(self.own))

    def pause(self) -> None:
        """Stop counting work as the method's own."""
        if self._since is not None:
            self._counting.close()
            self._add(OWN, time.thread_time() - self._since)
            self._since = None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Count nothing inside the context, where lthbench works itself."""
        counting = self._since is not None
        self.pause()
        try:
            yield
        finally:
            if counting:
                self.resume()

    def add(self, kind: str, work: Work) -> None:
        """Add the work of a worker."""
        if work.how == "computed" and kind in ("train", "measure", "validate"):
            self._add(kind, work.cpu)
            self._seen[kind] = self._seen.get(kind, 0) + work.seen

    @property
    def seconds(self) -> dict[str, float]:
        """Return CPU seconds by kind, rounded to milliseconds."""
        return {kind: round(seconds, 3) for kind, seconds in sorted(self._seconds.items())}

    @property
    def seen(self) -> dict[str, int]:
        """Return the examples that networks saw in workers, by kind."""
        return dict(sorted(self._seen.items()))

    def _add(self, kind: str, seconds: float) -> None:
        self._seconds[kind] = self._seconds.get(kind, 0.0) + seconds
