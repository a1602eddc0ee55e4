"""Tests of the batch counters that a recorded step leaves alone."""

import torch
from torch import Tensor, nn

from lthbench.training.gpu.counters import Counters


def counted(module: nn.Module) -> list[int]:
    return [int(t) for name, t in module.named_buffers() if name.endswith("num_batches_tracked")]


def test_counters_stand_still_where_they_only_count_and_are_added_later() -> None:
    twice, needed = nn.BatchNorm1d(3), nn.BatchNorm1d(3, momentum=None)
    module = nn.Sequential(twice, needed, twice)
    counters, images = Counters(module), torch.randn(4, 3)
    kept: list[Tensor] = counters.values
    with counters.stopped():
        module(images)
    assert counted(module) == [0, 1]
    assert all(a is b for a, b in zip(kept, counters.values, strict=True))
    counters.add([torch.tensor(2)], steps=5)
    assert counted(module) == [10, 1]
