"""How a driver notices that a worker hangs: one that is stopped says nothing, one that is stuck gets nothing done."""

from lthbench.runs.workers.pool import Lost

BEAT = 1.0  # seconds between two signs of life
SILENCE = 120  # beats in a row that may be missed: the machine may swap, the process may still import
STUCK = 7200  # beats without a turn's end while something is in hand: no turn of a worker takes hours


class Heartbeat:
    """Counts beats, not seconds: while the driver itself is stopped, and by a clock that jumps, nothing is counted."""

    def __init__(self) -> None:
        self._silent = self._stuck = 0
        self._turns = -1

    def missed(self) -> None:
        """A beat has passed and nothing was heard. Raises Lost."""
        self._silent += 1
        if self._silent >= SILENCE:
            raise Lost(f"it said nothing for {SILENCE * BEAT:g} s")

    def felt(self, turns: int, busy: bool) -> None:
        """It lives, and has had so many turns. Raises Lost."""
        self._silent = 0
        self._stuck = self._stuck + 1 if busy and turns == self._turns else 0
        self._turns = turns
        if self._stuck >= STUCK:
            raise Lost(f"it got nothing done for {STUCK * BEAT:g} s")
