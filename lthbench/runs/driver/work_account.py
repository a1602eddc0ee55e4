"""What one run computed: the method's own code, by the clock and by the meter, and what workers computed for it."""

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

    The method's code counts from `resume` to `pause`: by the clock of its thread, and in `own` what networks saw and what
    was multiplied. Operations count what workers computed now: nothing where the store had it.
    """

    own: Meter = field(default_factory=Meter)

    _seconds: dict[str, float] = field(default_factory=dict)
    _seen: dict[str, int] = field(default_factory=dict)
    _since: float | None = None
    _counting: ExitStack = field(default_factory=ExitStack)

    def resume(self) -> None:
        """Count from now on as the method's own."""
        self._since = time.thread_time()
        self._counting = ExitStack()
        self._counting.enter_context(metered(self.own))

    def pause(self) -> None:
        """Stop counting as the method's own."""
        if self._since is not None:
            self._counting.close()
            self._add(OWN, time.thread_time() - self._since)
            self._since = None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Count nothing inside: what happens there is lthbench's own work."""
        counting = self._since is not None
        self.pause()
        try:
            yield
        finally:
            if counting:
                self.resume()

    def add(self, kind: str, work: Work) -> None:
        """Add what a worker computed."""
        if work.how == "computed" and kind in ("train", "measure", "validate"):
            self._add(kind, work.cpu)
            self._seen[kind] = self._seen.get(kind, 0) + work.seen

    @property
    def seconds(self) -> dict[str, float]:
        """CPU seconds by kind, in milliseconds' resolution."""
        return {kind: round(seconds, 3) for kind, seconds in sorted(self._seconds.items())}

    @property
    def seen(self) -> dict[str, int]:
        """Examples that networks saw in workers, by kind."""
        return dict(sorted(self._seen.items()))

    def _add(self, kind: str, seconds: float) -> None:
        self._seconds[kind] = self._seconds.get(kind, 0.0) + seconds
