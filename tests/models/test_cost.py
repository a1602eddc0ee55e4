"""Multiplications: by hand, and against torch's own counter."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from lthbench.models import Model
from lthbench.models.cost import multiplications
from tests.models.zoo import CIFAR, DIGITS, MNIST, model


def full(m: Model) -> dict[str, torch.Tensor]:
    return {name: torch.ones(shape, dtype=torch.bool) for name, shape in m.prunable_shapes.items()}


def test_a_residual_network_by_hand() -> None:
    stages = [(16, 16, 32), (16, 32, 16), (32, 64, 8)]  # channels in, channels out, side
    blocks = sum(9 * (c * d + 5 * d * d) * side**2 for c, d, side in stages)
    shortcuts = sum(c * d * side**2 for c, d, side in stages[1:])
    by_hand = 9 * 3 * 16 * 32**2 + blocks + shortcuts + 64 * 10
    assert multiplications(model("resnet20"), {}) == (by_hand, by_hand) == (40_813_184, 40_813_184)


def test_a_depthwise_convolution_multiplies_each_channel_once() -> None:
    m = model("mobilenet-v1", DIGITS)
    mask = full(m)
    mask["stages.1.0.depthwise.conv.weight"][:3] = False  # 64 channels of 9, stride 2: 4 x 4 positions
    mask["stages.1.0.pointwise.conv.weight"][0, 0] = False
    remaining, dense = multiplications(m, mask)
    assert dense - remaining == 3 * 9 * 16 + 16


def test_linear_layers_count_once_and_convolutions_at_every_position() -> None:
    by_hand = 25 * 6 * 28**2 + 25 * 6 * 16 * 10**2 + 400 * 120 + 120 * 84 + 84 * 10
    assert multiplications(model("lenet5", MNIST), {})[1] == by_hand


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        *((name, CIFAR) for name in ("mlp-30-20", "conv6", "vgg13", "mobilenet-v1", "mobilenet-v2", "resnet50")),
        ("resnet32-w2", (3, 17, 23)),
        ("timm:resnext50_32x4d", (3, 64, 64)),  # grouped
        ("timm:swin_tiny_patch4_window7_224", (3, 64, 64)),  # windows
        ("timm:beit_base_patch16_224", (3, 64, 64)),  # weights that another module multiplies with
        ("torchvision:vit_b_32", (3, 64, 64)),  # torch's own attention
        ("torchvision:convnext_tiny", (3, 64, 64)),  # linear layers at every pixel
    ],
)
def test_it_is_what_torch_counts(name: str, shape: tuple[int, int, int]) -> None:
    m = model(name, shape)
    with FlopCounterMode(display=False) as counter:
        m.module().eval()(torch.empty(1, *shape, device="meta"))
    counts = counter.get_flop_counts()["Global"]
    products = sum(n for what, n in counts.items() if not any(word in str(what) for word in ("bmm", "attention")))
    assert multiplications(m, full(m)) == (products // 2, products // 2)


def test_what_is_masked_is_not_counted() -> None:
    m = model("resnet14", DIGITS)
    nothing = {name: torch.zeros_like(kept) for name, kept in full(m).items()}
    assert multiplications(m, nothing)[0] == 0
