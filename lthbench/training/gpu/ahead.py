"""How far the host may run ahead of a device: what it has queued stays in memory until the device comes to it."""

from collections import deque

import torch

MOST = 2  # lots of steps in the queue


class Ahead:
    """The ends of the lots of steps that a training has queued on its stream."""

    def __init__(self) -> None:
        self._ends: deque[torch.cuda.Event] = deque()

    def queued(self, stream: torch.cuda.Stream) -> None:
        """Note that a lot of steps is in the queue."""
        self._ends.append(stream.record_event(torch.cuda.Event(blocking=True)))

    def wait(self) -> None:
        """Wait until there is room for another lot. Outside of a turn, and for an event: see GraphTrainer._wait."""
        while len(self._ends) >= MOST:
            self._ends.popleft().synchronize()
