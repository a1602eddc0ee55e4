"""The number of trainings that share a process: as many as its GPU has memory for, or a given number."""

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

import torch

from lthbench.runs.workers.process_state import FairLock
from lthbench.training.gpu.settings import GPU_SETTINGS


class Capacity:
    """A capacity that trainings take parts of: lanes of size 1 or, where sizes are `measured`, bytes.

    The bytes of a training are not known before one of its kind has been seen. Until then the first one runs alone.
    """

    def __init__(self, capacity: int, measured: bool = False):
        self.capacity, self.measured = capacity, measured
        self._least = capacity // GPU_SETTINGS.most if measured else 1
        self._sizes: dict[Hashable, int] = {}
        self._used, self._shrunk = 0, False
        self._door, self._changed = FairLock(), threading.Condition()

    @classmethod
    def on(cls, device: torch.device) -> "Capacity":
        """Return a capacity that is a share of the free memory of a GPU."""
        return cls(int(GPU_SETTINGS.share * torch.cuda.mem_get_info(device)[0]), measured=True)

    def knows(self, kind: Hashable) -> bool:
        """Say whether the size of such a training is known."""
        return not self.measured or kind in self._sizes

    @contextmanager
    def taken(self, kind: Hashable, alone: bool = False) -> Iterator[Callable[[int], None]]:
        """Take capacity for a training of this kind, first come, first served.

        A training that starts `alone`, or whose size is not known, first takes all. Yields a function to call with the
        training's size once its memory is taken; 0 where the size is known.
        """
        held = 0

        def fits() -> bool:
            return not self._used or self._used + self._size(kind, alone) <= self.capacity

        def settle(size: int) -> None:
            nonlocal held
            with self._changed:
                self._sizes[kind] = max(size, self._least, self._sizes.get(kind, 0))
                settled = self._size(kind, alone=False)
                self._used += settled - held
                held = settled
                self._changed.notify_all()

        with self._door, self._changed:
            self._changed.wait_for(fits)
            held = self._size(kind, alone)
            self._used += held
        try:
            yield settle
        finally:
            with self._changed:
                self._used -= held
                self._changed.notify_all()

    def shrink(self) -> bool:
        """Limit the trainings at once to the present number, as one more found no memory. True when this first means fewer."""
        with self._changed:
            if not self._used:
                return False
            self.capacity = min(self.capacity, self._used)
            first, self._shrunk = not self._shrunk, True
            return first

    def _size(self, kind: Hashable, alone: bool) -> int:
        if alone:
            return self.capacity
        return self._sizes.get(kind, self.capacity) if self.measured else 1
