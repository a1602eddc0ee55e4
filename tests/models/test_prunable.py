"""Named sets of prunable weights, and patterns beside them."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from lthbench.errors import InputError
from lthbench.models import PRUNABLE, Model
from lthbench.models.prunable import dense_kinds, prunable_names
from tests.models.zoo import LIBRARY, OWN, model


def dense_weights(name: str, which: str) -> set[str]:
    """The linear and convolution weights that a set leaves out."""
    return model(name).prunable_shapes.keys() - model(name, prunable=which).prunable_shapes.keys()


@pytest.mark.parametrize("name", ["resnet20", "resnet18", "vgg11", "mobilenet-v1", "mobilenet-v2", "timm:resnet10t"])
def test_all_is_every_convolution_and_linear_layer_and_nothing_else(name: str) -> None:
    m = model(name)
    assert all(len(shape) > 1 for shape in m.prunable_shapes.values())
    assert all(len(shape) == 1 for n, shape in m.shapes.items() if n not in m.prunable_shapes)


@pytest.mark.parametrize(
    ("name", "first"),
    [("resnet20", "conv1"), ("resnet18", "conv1"), ("vgg11", "stages.0.0.conv"), ("timm:resnet10t", "conv1.0")],
)
def test_the_papers_sets_of_convolutional_networks(name: str, first: str) -> None:
    last, residual = {"fc.weight"}, "resnet" in name
    if name == "timm:resnet10t":
        assert dense_weights(name, "ma2021") == {"conv1.0.weight", *last}
    assert dense_weights(name, "ma2021") == {f"{first}.weight", *last}
    assert dense_weights(name, "liu2021") == {f"{first}.weight"}
    assert dense_weights(name, "chen2021") == (set() if residual else last)


def test_the_shortcuts_are_in_all_sets() -> None:
    for which in PRUNABLE:
        chosen = model("resnet20", prunable=which).prunable_shapes
        assert {"stages.1.0.shortcut.0.weight", "stages.2.0.shortcut.0.weight"} <= chosen.keys()
        assert "stages.1.0.shortcut.1.weight" not in chosen


def test_networks_without_a_convolution() -> None:
    assert dense_weights("mlp-30-20", "liu2021") == set()
    assert dense_weights("mlp-30-20", "chen2021") == {"out.weight"}
    assert model("mlp-30-20", prunable="ma2021").prunable_count == 0


def test_a_library_says_what_its_classifier_is() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.head, self.distilled = nn.Conv2d(1, 2, 3), nn.Linear(2, 3), nn.Linear(2, 3)
            self.last = nn.Conv2d(2, 2, 1)

        def get_classifier(self) -> tuple[nn.Module, nn.Module]:
            return self.head, self.distilled

    assert prunable_names("chen2021", Two(), resnet=False) == {"stem.weight", "last.weight"}
    assert prunable_names("ma2021", Two(), resnet=False) == {"last.weight"}


def test_a_convolution_can_be_the_classifier() -> None:
    assert dense_weights("torchvision:squeezenet1_1", "ma2021") == {"features.0.weight", "classifier.1.weight"}


def test_the_identity_is_of_the_tensors_and_not_of_what_is_prunable() -> None:
    m = model("resnet20")
    assert all(replace(m, prunable=which).identity == m.identity for which in PRUNABLE)
    assert replace(m, prunable=("*conv*", "fc.weight"), dense=("*",)).identity == m.identity


def test_patterns_can_say_what_a_name_says() -> None:
    patterns = ("conv1.weight", "stages.*.conv?.weight", "stages.*.shortcut.0.weight", "fc.weight")
    dense = ("*.bias", "bn1.weight", "stages.*.bn?.weight", "*.shortcut.1.weight")
    assert model("resnet20").prunable_shapes == Model("resnet20", (3, 32, 32), 10, patterns, dense).prunable_shapes


def test_patterns_that_take_in_a_normalisation_are_refused() -> None:
    with pytest.raises(
        InputError, match=r"takes in bn1.weight, which belongs to a normalisation; .*prunable = \"all\""
    ):
        _ = Model("resnet20", (3, 32, 32), 10, ("*.weight",), ("*.bias",)).shapes


def test_an_unknown_set_has_a_suggestion() -> None:
    with pytest.raises(InputError, match="Did you mean 'ma2021'"):
        _ = model("resnet20", prunable="ma2020").shapes


def test_a_named_set_beside_patterns_is_refused() -> None:
    with pytest.raises(InputError, match="leave dense out"):
        _ = model("resnet20", dense=("*.bias",)).shapes


@pytest.mark.parametrize("name", [*OWN, *LIBRARY, "torchvision:vit_b_32", "timm:mixer_s32_224"])
@pytest.mark.parametrize("which", PRUNABLE)
def test_every_parameter_is_prunable_or_has_a_kind(name: str, which: str) -> None:
    m = model(name, (3, 64, 64), prunable=which)
    assert m.dense_kinds.total() + m.prunable_count == sum(shape.numel() for shape in m.shapes.values())


def test_what_stays_dense_is_said_by_kind() -> None:
    class Parts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.token = nn.Linear(4, 4), nn.Parameter(torch.zeros(3))
            self.attention, self.recurrent = nn.MultiheadAttention(4, 2), nn.LSTM(4, 5)
            self.norm, self.table = nn.LayerNorm(4), nn.Embedding(2, 3)
            self.same, self.strange = self.first, nn.Parameter(torch.zeros(2))

    found = dense_kinds(Parts(), frozenset({"attention.out_proj.weight"}))
    recurrent = 4 * 5 * (4 + 5) + 2 * 4 * 5
    assert found == {"recurrent": recurrent, "normalisation": 8, "embeddings": 6 + 3, "biases": 12 + 4 + 4, "others": 2,
                     "linear and convolution weights outside the set": 16 + 3 * 16}  # fmt: skip
    assert list(found.values()) == sorted(found.values(), reverse=True)
