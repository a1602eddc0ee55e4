"""The weights that `prunable = "all"` leaves dense, in every family of timm and torchvision, and why."""

from collections import defaultdict
from collections.abc import Iterable

import pytest
import timm
import torch
from torch import nn
from torchvision import models as torchvision

from lthbench.models import Model
from lthbench.models.cost import uses
from lthbench.models.prunable import OTHERS, OUTSIDE, dense_kinds, prunable_names

WHY = {  # matrices that stay dense although they belong to no normalisation, by a part of their name
    "class_token": "starts every sequence; nothing is multiplied with it",
    "cls_token": "starts every sequence; nothing is multiplied with it",
    "reg_token": "joins every sequence; nothing is multiplied with it",
    "pos": "is added to every token",
    "relative_position_bias_table": "is added to the attention",
    "attention_biases": "is added to the attention",
    "height_rel": "is looked up by position",
    "width_rel": "is looked up by position",
    "layer_scale": "one factor for each channel, with axes of length 1",
    "gamma": "one factor for each channel, with axes of length 1",
    "gain": "one factor for each channel, with axes of length 1",
    "alpha": "one factor for each channel",
    "temperature": "one factor for each head",
    "logit_scale": "one factor for each head",
    "w_g": "one factor for each channel, with an axis of length 1",
    "weight_hh": "recurrent: Frankle and Carbin's sets have none",
    "weight_ih": "recurrent: Frankle and Carbin's sets have none",
    "upsampling": "a transposed convolution",
}

TRANSFORMERS = ("timm:test_vit", "timm:beit_base_patch16_224", "timm:levit_128s", "timm:xcit_nano_12_p8_224")


def _by_file(names: Iterable[str], entry: object) -> list[str]:
    """The shortest name of every file of a library, where one file defines one family."""
    families = defaultdict(list)
    for name in names:
        families[entry(name).__module__].append(name)  # type: ignore[operator]
    return [min(of, key=lambda name: (not name.startswith("test_"), len(name))) for of in families.values()]


def _timm() -> list[str]:
    return [f"timm:{name}" for name in _by_file(timm.list_models(), timm.models.model_entrypoint)]


def _torchvision() -> list[str]:
    names = torchvision.list_models(module=torchvision)
    return [f"torchvision:{name}" for name in _by_file(names, torchvision.get_model_builder)]


def _unexplained(name: str) -> list[str]:
    """The parameters of two or more axes that stay dense for no reason that is written here."""
    module = Model(name, (3, 224, 224), 10, "all").module()
    prunable = prunable_names("all", module, resnet=False)
    left = [n for n, p in module.named_parameters() if n not in prunable and p.dim() > 1]
    return [n for n in left if not any(part in n for part in WHY)]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [*_torchvision(), *TRANSFORMERS])
def test_no_weight_is_left_out_without_a_reason(name: str) -> None:
    assert _unexplained(name) == []


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", _timm())
def test_no_weight_of_timm_is_left_out_without_a_reason(name: str) -> None:
    assert _unexplained(name) == []


@pytest.mark.parametrize("name", ["torchvision:vit_b_16", *TRANSFORMERS])
def test_what_stays_dense_has_a_kind(name: str) -> None:
    kinds = Model(name, (3, 224, 224), 10, "all").dense_kinds
    assert OUTSIDE not in kinds and OTHERS not in kinds


def test_all_projections_of_torchs_attention_are_prunable() -> None:
    m = Model("torchvision:vit_b_16", (3, 224, 224), 1000, "all")
    blocks, patches, classifier = 12 * 12 * 768**2, 3 * 16**2 * 768, 768 * 1000
    assert m.prunable_count == blocks + patches + classifier
    assert m.prunable_shapes.keys() == uses(m).keys()


@pytest.mark.parametrize(("sides", "names"), [({}, {"in_proj_weight"}),
                                              ({"kdim": 3, "vdim": 5}, {"q_proj_weight", "k_proj_weight", "v_proj_weight"})])  # fmt: skip
def test_either_form_of_torchs_attention_counts_by_the_set(sides: dict[str, int], names: set[str]) -> None:
    module = nn.Sequential(nn.Conv2d(1, 4, 1), nn.MultiheadAttention(4, 2, **sides), nn.Linear(4, 2))
    attention = {f"1.{name}" for name in names} | {"1.out_proj.weight"}
    everything = {"0.weight", "2.weight"} | attention
    sets = {
        "all": everything,
        "liu2021": everything - {"0.weight"},
        "chen2021": everything - {"2.weight"},
        "ma2021": set(),
    }
    for which, expected in sets.items():
        assert prunable_names(which, module, resnet=False) == expected
    assert dense_kinds(module, frozenset(everything)) == {"biases": 4 + 3 * 4 + 4 + 2}


def test_removed_projections_reach_the_products_as_zeros() -> None:
    module = nn.MultiheadAttention(4, 2)
    with torch.no_grad():
        module.in_proj_weight[8:] = 0  # of the values
        module.in_proj_bias.zero_()
        tokens = torch.randn(3, 1, 4)
        assert torch.equal(module(tokens, tokens, tokens)[0], module.out_proj.bias.expand(3, 1, 4))
