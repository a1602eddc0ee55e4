"""Kernels of our own on a GPU: they agree with torch's operations, and give the same bits every time.

The GPU on paper computes no numbers; on a CPU, tests/training/kernels runs them through Triton's interpreter.
"""

import copy
import os

import pytest
import torch
from torch import Tensor, nn

from lthbench.models.norm_act import NormAct, one_by_one
from lthbench.training import feed as feeds
from lthbench.training.augment import AUGMENTATIONS
from lthbench.training.kernels.program import buildable
from tests.gpu.trainings import feed

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available() or "PAPER_SO" in os.environ, reason="needs the numbers of a GPU"),
    pytest.mark.skipif(not buildable(), reason="Triton cannot build kernels here"),
]

SHAPES = [(128, 16, 32, 32), (128, 64, 8, 8), (7, 320, 4, 4), (3, 5, 7, 9)]
NEAR = 1e-3  # to a kink: far more than a rounding, and few values of a normal distribution
LAYERS = [(False, ""), (False, "relu"), (False, "relu6"), (True, ""), (True, "relu")]


def computed(by: NormAct, shape: tuple[int, ...], adds: bool, activation: str, dtype: torch.dtype) -> list[Tensor]:
    """Output, gradients and running statistics of a layer on the same inputs. No gradient comes to a value at a kink."""
    g = torch.Generator("cuda").manual_seed(0)
    maps, shortcut, grad = (
        torch.randn(shape, generator=g, device="cuda").to(dtype).contiguous(memory_format=torch.channels_last)
        for _ in range(3)
    )
    bn = nn.BatchNorm2d(shape[1], device="cuda").to(torch.float64 if dtype == torch.float64 else torch.float32)
    nn.init.constant_(bn.weight, 4.0)  # so that relu6 cuts off
    grad[at_kink(bn, maps, shortcut if adds else None, activation)] = 0
    given = [maps.requires_grad_(), *([shortcut.requires_grad_()] if adds else [])]
    out = by(bn, maps, shortcut if adds else None, activation)
    return [out, *torch.autograd.grad(out, [*given, bn.weight, bn.bias], grad), *bn.buffers()]


def at_kink(bn: nn.Module, maps: Tensor, shortcut: Tensor | None, activation: str) -> Tensor:
    """Tell where a value is so close to a kink of the activation that rounding decides on its side."""
    with torch.no_grad():
        before = one_by_one(
            copy.deepcopy(bn).double(), maps.double(), None if shortcut is None else shortcut.double(), ""
        )
    kinks = {"": (), "relu": (0.0,), "relu6": (0.0, 6.0)}[activation]
    return torch.stack([torch.zeros_like(before, dtype=torch.bool), *((before - k).abs() < NEAR for k in kinks)]).any(0)


def close(ours: Tensor, exact: Tensor, digit: float) -> bool:
    """Tell whether all values agree."""
    return float((ours.double() - exact).abs().max()) <= digit * float(exact.abs().max().clamp(min=1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
@pytest.mark.parametrize(("adds", "activation"), LAYERS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_normalisation_is_that_of_torch(
    shape: tuple[int, ...], adds: bool, activation: str, dtype: torch.dtype
) -> None:
    from lthbench.training.kernels.norm_act import norm_act

    ours, again = (computed(norm_act, shape, adds, activation, dtype) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(ours, again, strict=True))

    def wide(bn: nn.Module, maps: Tensor, shortcut: Tensor | None, activation: str) -> Tensor:
        return one_by_one(bn.double(), maps.double(), None if shortcut is None else shortcut.double(), activation).to(
            dtype
        )

    exact = computed(wide, shape, adds, activation, dtype)
    assert all(
        close(a.detach(), b.detach().double(), 2e-5 if a.dtype == torch.float32 else 2**-7)
        for a, b in zip(ours, exact, strict=True)
    )


def test_a_batch_from_bytes_has_the_bits_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    crop, data, index = AUGMENTATIONS["crop-flip"], feed(24), torch.arange(24)
    draws = {name: t.cuda() for name, t in crop.draw(24, 32, 32, torch.Generator().manual_seed(0)).items()}
    images, _ = data.augmented(index, crop, draws)
    monkeypatch.setattr(feeds, "program", lambda device: "reference")
    assert torch.equal(images, data.augmented(index, crop, draws)[0])
