"""Stems for small images."""

import pytest
import torch
from torch import nn

from lthbench.errors import InputError
from lthbench.models import Model
from lthbench.models.stem import with_stem
from lthbench.pruning.tensors import digest
from tests.models.zoo import CIFAR, DIGITS, TINY, model


def first_map(m: Model, layer: str) -> tuple[int, ...]:
    """The size of the map that a layer is given."""
    module, seen = m.module(), []
    module.get_submodule(layer).register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape[2:])))
    module(torch.empty(2, *m.shape, device="meta"))
    return seen[0]


@pytest.mark.parametrize(
    ("name", "block"),
    [
        *((f"{prefix}resnet18", "layer1") for prefix in ("", "torchvision:", "timm:")),
        ("torchvision:densenet121", "features.denseblock1"),
        ("torchvision:googlenet", "conv2"),
        ("timm:resnetv2_18", "stages"),
    ],
)
def test_small_images_reach_the_first_block_whole(name: str, block: str) -> None:
    assert first_map(model(name, stem="cifar"), block) == (32, 32)
    assert first_map(model(name, TINY, stem="tiny-imagenet"), block) == (32, 32)
    assert first_map(model(name, (3, 224, 224), stem=""), block) == (56, 56)


def test_the_first_convolution_is_3x3_with_as_many_channels() -> None:
    m = model("timm:resnet18", DIGITS, stem="cifar")
    assert m.shapes["conv1.weight"] == (64, 1, 3, 3)
    assert m.shapes["fc.weight"] == (10, 512)
    first = m.module().conv1
    assert (first.in_channels, first.kernel_size, first.stride, first.padding) == (1, (3, 3), (1, 1), (1, 1))


def test_a_deep_stem_loses_its_first_stride_and_its_pooling() -> None:
    module = model("timm:resnet18d", stem="cifar").module()
    assert [layer.stride for layer in module.conv1 if isinstance(layer, nn.Conv2d)] == [(1, 1)] * 3
    assert isinstance(module.maxpool, nn.Identity)


def test_poolings_behind_the_stem_stay() -> None:
    pools = [l for l in model("torchvision:googlenet", stem="cifar").module().modules() if isinstance(l, nn.MaxPool2d)]
    assert len(pools) == 12  # thirteen in all


def test_ours_is_torchvisions() -> None:
    ours, theirs = (model(name, stem="cifar").build("cpu") for name in ("resnet18", "torchvision:resnet18"))
    theirs.load_state_dict(ours.state_dict())
    images = torch.randn(2, *CIFAR, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert digest({"": ours.eval()(images)}) == digest({"": theirs.eval()(images)})
    assert str(model("resnet50", stem="").module()).replace("Scaled", "ResNet") == str(
        model("torchvision:resnet50", stem="").module()
    )


@pytest.mark.parametrize(
    ("name", "stem", "why"),
    [
        ("resnet20", "cifar", "leave the stem out"),
        ("vgg16", "cifar", "leave the stem out"),
        ("torchvision:mobilenet_v2", "tiny-imagenet", "leave the stem out"),
        ("mlp-30", "cifar", "no convolution"),
        ("timm:nf_seresnet26", "cifar", "ScaledStdConv2d, which cannot be replaced"),
        ("timm:vit_tiny_patch16_224", "cifar", "with stem 'cifar' cannot take images of 3x32x32"),
        ("resnet18", "cifr", "Did you mean 'cifar'"),
    ],
)
def test_a_stem_that_does_not_fit_is_refused_in_one_line(name: str, stem: str, why: str) -> None:
    with pytest.raises(InputError, match=why) as error:
        _ = model(name, stem=stem).shapes
    assert name in str(error.value) and "\n" not in str(error.value)


def test_the_identity_has_the_stem_only_where_there_is_one() -> None:
    assert "stem" not in model("resnet18", stem="").identity
    assert model("resnet18").identity == model("resnet18", stem="").identity | {"stem": "cifar"}


def test_a_pooling_beside_a_stride_of_one_is_no_stem() -> None:
    module = nn.Sequential(nn.Conv2d(1, 4, 5), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3))
    assert isinstance(with_stem(module, "cifar")[1], nn.MaxPool2d)


def test_a_pooling_inside_a_block_is_no_stem() -> None:
    module = nn.Sequential(nn.Conv2d(1, 4, 3, stride=2), nn.Sequential(nn.Conv2d(4, 4, 3), nn.MaxPool2d(2)))
    assert isinstance(with_stem(module, "cifar")[1][1], nn.MaxPool2d)
