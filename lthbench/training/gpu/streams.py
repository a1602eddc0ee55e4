"""The streams of a GPU, each lent to one training at a time.

`torch.cuda.Stream()` makes no stream: it hands out the 32 of a pool in turn. Two trainings on one stream would record
each other's work, and the end of one would take the other's workspaces away.
"""

import threading
from functools import cache

import torch

from lthbench.training.augment import Augmentation
from lthbench.training.feed import Feed
from lthbench.training.gpu.settings import STREAMS


class Streams:
    """The distinct streams of a device that no training holds."""

    def __init__(self, device: torch.device):
        made = [torch.cuda.Stream(device) for _ in range(STREAMS)]
        self._free = list({stream.cuda_stream: stream for stream in made}.values())
        self._lock = threading.Lock()

    def take(self) -> torch.cuda.Stream:
        """Take a stream that nothing else uses. RuntimeError where all are taken."""
        with self._lock:
            if not self._free:
                raise RuntimeError(f"all {STREAMS} streams of the device are in use; train fewer networks at once")
            return self._free.pop()

    def give_back(self, stream: torch.cuda.Stream) -> None:
        """Give a stream back, once nothing of the training is left that was recorded on it."""
        with self._lock:
            self._free.append(stream)


def streams(device: torch.device) -> Streams:
    """Return the streams of a device, the same ones for the whole process."""
    return _streams(torch.cuda.current_device() if device.index is None else device.index)


def taken(feed: Feed, augment: Augmentation) -> torch.cuda.Stream | None:
    """Take a stream on CUDA, which waits on the device until the data has arrived. None on other devices."""
    if feed.device.type != "cuda":
        return None
    feed.load(augment)
    stream = streams(feed.device).take()
    stream.wait_stream(torch.cuda.current_stream(feed.device))
    return stream


@cache
def _streams(index: int) -> Streams:
    return Streams(torch.device("cuda", index))
