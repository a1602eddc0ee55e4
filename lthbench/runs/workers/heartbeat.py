"""The watchdog by which a driver notices a worker that hangs: it is silent, or completes nothing."""

from lthbench.runs.workers.worker import Lost

BEAT = 1.0  # seconds between two signs of life
SILENCE = 120  # beats in a row that may be missed: the machine may swap, or the process may still import
STUCK = 7200  # beats without the end of a turn while an operation is running: no turn of a worker takes hours


class Heartbeat:
    """A watchdog that counts beats, not seconds, so that neither a stopped driver nor a clock that jumps sets it off."""

    def __init__(self) -> None:
        self._silent = self._stuck = 0
        self._turns = -1

    def missed(self) -> None:
        """Count a beat without an answer. Raises Lost after too many in a row."""
        self._silent += 1
        if self._silent >= SILENCE:
            raise Lost(f"it did not answer for {SILENCE * BEAT:g} s")

    def felt(self, turns: int, busy: bool) -> None:
        """Note that the worker lives and has completed `turns` turns. Raises Lost where it completes none for too long."""
        self._silent = 0
        self._stuck = self._stuck + 1 if busy and turns == self._turns else 0
        self._turns = turns
        if self._stuck >= STUCK:
            raise Lost(f"it completed nothing for {STUCK * BEAT:g} s")
