"""Channels-last, but where a kernel of the CPU breaks on it."""

import pytest
import torch
from torch import nn

from lthbench.models import Model
from lthbench.training.numerics import memory_format

NARROW = nn.Sequential(nn.Conv2d(4, 8, 1, stride=2))


@pytest.mark.parametrize(
    ("module", "capability", "device", "expected"),
    [
        (NARROW, "AVX2", "cpu", torch.contiguous_format),
        (NARROW, "AVX512", "cpu", torch.channels_last),
        (NARROW, "AVX2", "cuda", torch.channels_last),
        (nn.Conv2d(8, 8, 1, stride=2), "AVX2", "cpu", torch.channels_last),
        (nn.Conv2d(4, 8, 1), "AVX2", "cpu", torch.channels_last),
        (nn.Conv2d(4, 8, 3, stride=2), "AVX2", "cpu", torch.channels_last),
    ],
)
def test_only_the_layer_that_breaks_stays_contiguous(
    monkeypatch: pytest.MonkeyPatch, module: nn.Module, capability: str, device: str, expected: torch.memory_format
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert memory_format(module, torch.device(device)) == expected


def test_it_concerns_the_narrow_residual_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    formats = [
        memory_format(Model(name, (1, 8, 8), 10, "all").build("cpu"), torch.device("cpu"))
        for name in ("resnet8-w0.25", "resnet20", "vgg11-w0.25")
    ]
    assert formats == [torch.contiguous_format, torch.channels_last, torch.channels_last]
