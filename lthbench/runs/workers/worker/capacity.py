"""The number of trainings that share a process: as many as its GPU has memory for, or a given number."""

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

import torch

from lthbench.models import Model
from lthbench.models.cost import activations
from lthbench.runs.workers.process_state import FairLock
from lthbench.training.gpu.settings import GPU_SETTINGS


class Capacity:
    """A capacity that trainings take parts of: lanes of size 1 or, where sizes are `measured`, bytes.

    The bytes of a training are known once one of its kind has been prepared. Until then an upper bound stands for them.
    `inside` counts the trainings that have taken their memory.
    """

    def __init__(self, capacity: int, measured: bool = False):
        self.capacity, self.measured = capacity, measured
        self._least = capacity // GPU_SETTINGS.most if measured else 1
        self._sizes: dict[Hashable, int] = {}
        self._used = self.inside = 0
        self._door, self._changed = FairLock(), threading.Condition()

    @classmethod
    def on(cls, device: torch.device, share: float = 1.0) -> "Capacity":
        """Return the capacity of a worker that has a share of a GPU: a part of its share of the free memory."""
        free, total = torch.cuda.mem_get_info(device)
        return cls(int(GPU_SETTINGS.share * min(free, share * total)), measured=True)

    @contextmanager
    def taken(self, kind: Hashable, most: int = 0, alone: bool = False) -> Iterator[Callable[[int], None]]:
        """Take capacity for a training of this kind, first come, first served.

        `most`: the most bytes that it can take. One that starts `alone`, or needs more than there is, first takes all.
        Yields a function to call with the training's bytes once its memory is taken; 0 where only the bound is known.
        """
        held, prepared = 0, False

        def fits() -> bool:
            return not self._used or self._used + self._size(kind, most, alone) <= self.capacity

        def settle(size: int) -> None:
            nonlocal held, prepared
            with self._changed:
                self.inside += not prepared
                prepared = True
                if size:
                    self._sizes[kind] = max(size, self._least, self._sizes.get(kind, 0))
                settled = self._size(kind, most, alone=False)
                self._used += settled - held
                held = settled
                self._changed.notify_all()

        with self._door, self._changed:
            self._changed.wait_for(fits)
            held = self._size(kind, most, alone)
            self._used += held
        try:
            yield settle
        finally:
            with self._changed:
                self._used -= held
                self.inside -= prepared
                self._changed.notify_all()

    def _size(self, kind: Hashable, most: int, alone: bool) -> int:
        if alone:
            return self.capacity
        return self._sizes.get(kind, max(most, self._least)) if self.measured else 1


def most_bytes(model: Model, batch: int, slots: int = 1) -> int:
    """Return an upper bound on the bytes of a training, or of a probe, on batches of this size on a GPU.

    A step holds each activation four times at most: the layer's output, the normalised one, the rectified one, and a
    gradient. The rehearsal and the graphs of a training have their own. Of each weight there are five: itself, its
    gradient, mask, a copy in the precision, and one during the rehearsal. Then there are the optimizer's `slots`; a probe
    has its sum instead. All have four bytes at most.
    """
    weights = sum(shape.numel() for shape in model.shapes.values())
    return 4 * (2 * 4 * activations(model) * batch + (5 + slots) * weights)
