"""What holds for every family: sizes, names, narrowing, a short training, and no draw from a global generator."""

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lthbench.errors import InputError
from lthbench.models import FAMILIES, PRUNABLE, Model
from lthbench.pruning.state import initial_state, module_of
from tests.models.zoo import CIFAR, DIGITS, LIBRARY, MNIST, OWN, TINY, leaves_generators_alone, model, trained

EVERY = [model(name) for name in OWN + LIBRARY] + [model("lenet5", MNIST)]
SMALL = [model(f"{name}-w0.5", DIGITS) for name in OWN] + [model("lenet5-w0.5", MNIST)]
NAMED = pytest.mark.parametrize("m", EVERY, ids=lambda m: m.name)


def test_every_family_is_in_these_tests() -> None:
    own = {
        name for name in FAMILIES if ":" not in name and "…" not in name and "NAME" not in name and "WIDTH" not in name
    }
    assert own == {m.name for m in EVERY if ":" not in m.name and not m.name.startswith(("mlp", "vit"))}


@NAMED
def test_images_become_logits(m: Model) -> None:
    assert m.module()(torch.empty(2, *m.shape, device="meta")).shape == (2, 10)
    assert not m.module().state_dict() or all(t.is_meta for t in m.module().state_dict().values())


@pytest.mark.parametrize("m", SMALL, ids=lambda m: m.name)
def test_two_steps_of_training_leave_finite_weights_that_moved(m: Model) -> None:
    before, after = trained(m)
    assert all(t.isfinite().all() for t in (*after.params.values(), *after.buffers.values()))
    moved = [name for name in m.prunable_shapes if not torch.equal(before.params[name], after.params[name])]
    assert moved == list(m.prunable_shapes)


@pytest.mark.parametrize("name", ["resnet20", "vgg16", "mobilenet-v1", "mobilenet-v2", "resnet50", "conv8"])
@pytest.mark.parametrize("shape", [TINY, (2, 9, 7), (1, 1, 1), (3, 224, 224)])
def test_the_same_parameters_take_images_of_any_size(name: str, shape: tuple[int, int, int]) -> None:
    m, cifar = model(name, shape), model(name, (shape[0], 32, 32))
    assert m.module().eval()(torch.empty(1, *shape, device="meta")).shape == (1, 10)
    if name != "conv8":  # which flattens
        assert m.shapes == cifar.shapes


@pytest.mark.parametrize("name", ["resnet20", "vgg11", "mobilenet-v2", "lenet5", "conv2"])
def test_a_module_on_the_cpu_gives_finite_logits(name: str) -> None:
    m = model(name)
    module = module_of(m, initial_state_of(m)).eval()
    with torch.no_grad():
        assert module(torch.randn(3, *m.shape, generator=torch.Generator().manual_seed(0))).isfinite().all()


def initial_state_of(m: Model) -> Any:
    from lthbench.pruning.lineage import Init

    return initial_state(Init(m, "kaiming-normal", 1, 0))


@NAMED
def test_every_parameter_is_prunable_or_not_under_every_named_set(m: Model) -> None:
    weights = {f"{n}.weight" for n, l in m.module().named_modules() if isinstance(l, nn.Linear | nn.Conv2d)}
    for which in PRUNABLE:
        chosen = replace(m, prunable=which).prunable_shapes
        assert chosen.keys() <= m.shapes.keys() and chosen.keys() <= weights
    assert m.prunable_shapes.keys() == weights


@settings(max_examples=15)
@given(st.sampled_from([*OWN, "resnet32-w2", "vgg16-w0.5"]), st.floats(0.05, 1.0), st.sampled_from(sorted(PRUNABLE)))
def test_narrowed_has_at_most_its_share_of_the_weights(name: str, density: float, which: str) -> None:
    m = model(name, prunable=which)
    narrow = m.narrowed(density)
    assert narrow.prunable_count <= density * m.prunable_count + 0.5
    assert narrow.shapes.keys() == m.shapes.keys() and narrow.stem == m.stem
    if narrow != m:
        assert replace(narrow, width=narrow.width + 2e-6).prunable_count > density * m.prunable_count - 1


@NAMED
def test_building_draws_nothing_and_moves_nothing_global(m: Model) -> None:
    assert leaves_generators_alone(m.module)
    assert leaves_generators_alone(lambda: m.build("cpu")) if ":" in m.name else True


@pytest.mark.parametrize(("name", "written"), [("resnet32-w2", 2.0), ("resnet20-w0.5", 0.5), ("mlp-30-w10", 10.0)])
def test_a_width_in_the_name_is_a_width(name: str, written: float) -> None:
    base = name.rpartition("-w")[0]
    assert model(name).shapes == model(base, width=written).shapes
    assert model(name).identity == model(base, width=written).identity
    assert model(name, width=0.5).identity == model(base, width=written / 2).identity


@pytest.mark.parametrize(
    "name", ["resnet20-w0", "resnet20-w", "resnet20-w-1", "resnet20w2", "resnet18x", "vgg12", "-w2"]
)
def test_no_such_model(name: str) -> None:
    with pytest.raises(InputError, match=f"no model {name!r}"):
        _ = model(name).shapes


@pytest.mark.parametrize("shape", [DIGITS, (3, 11, 32)])
def test_lenet_needs_larger_images(shape: tuple[int, int, int]) -> None:
    with pytest.raises(InputError, match=f"lenet5 takes images of 12x12 pixels or more, not {shape[1]}x{shape[2]}"):
        _ = model("lenet5", shape).shapes


@pytest.mark.parametrize(
    ("name", "shape", "why"),
    [
        ("vit-65-3-2", DIGITS, "65 numbers a token are not a multiple of 32"),
        ("vit-64-3-3", DIGITS, "images of 8x8 do not divide into patches of 3x3"),
        ("vit-64-3-4", (3, 32, 30), "images of 32x30 do not divide into patches of 4x4"),
    ],
)
def test_a_transformer_says_what_does_not_divide(name: str, shape: tuple[int, int, int], why: str) -> None:
    with pytest.raises(InputError, match=why):
        _ = model(name, shape).shapes


def test_blocks_are_addressed_by_stage_and_index() -> None:
    names = set(model("resnet20").shapes)
    assert {"conv1.weight", "stages.0.2.conv1.weight", "stages.1.0.shortcut.0.weight", "fc.weight"} <= names
    assert not any("stages.0.0.shortcut" in name or "stages.1.1.shortcut" in name for name in names)
    deep = set(model("resnet32").shapes)
    assert names < deep and {name.split(".")[2] for name in deep - names} == {"3", "4"}
    assert set(model("vgg13").shapes) < set(model("vgg16").shapes) < set(model("vgg19").shapes)


@pytest.mark.parametrize(("name", "side"), [("resnet20", 8), ("mobilenet-v1", 2), ("mobilenet-v2", 4), ("vgg16", 2)])
def test_maps_end_at_the_side_that_the_papers_have(name: str, side: int) -> None:
    module, seen = model(name).module(), []
    last = module.stages[-1]
    last.register_forward_hook(lambda layer, _, out: seen.append(tuple(out.shape[2:])))
    module(torch.empty(2, *CIFAR, device="meta"))
    assert seen == [(side, side)]


def test_a_block_adds_its_shortcut() -> None:
    block = model("resnet20").build("cpu").stages[1][0].eval()
    nn.init.zeros_(block.bn2.weight)
    maps = torch.rand(2, 16, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(block(maps), block.shortcut(maps).relu())


def in_order(source: nn.Module, target: nn.Module) -> nn.Module:
    """The target with the source's tensors, taken in order; their shapes must agree."""
    target = copy.deepcopy(target)
    pairs = list(zip(source.state_dict().values(), target.state_dict().values(), strict=True))
    assert all(a.shape == b.shape for a, b in pairs)
    for a, b in pairs:
        b.copy_(a)
    return target.eval()


def reference_vgg16() -> nn.Module:
    from torchvision.models import vgg

    features = vgg.make_layers(vgg.cfgs["D"], batch_norm=True)
    for layer in features:
        if isinstance(layer, nn.Conv2d):
            layer.bias = None
    return nn.Sequential(features, nn.Flatten(), nn.Linear(512, 10))


def reference_mobilenet_v2() -> nn.Module:
    from torchvision.models import MobileNetV2

    strides = [
        [1, 16, 1, 1],
        [6, 24, 2, 1],
        [6, 32, 3, 2],
        [6, 64, 4, 2],
        [6, 96, 3, 1],
        [6, 160, 3, 2],
        [6, 320, 1, 1],
    ]
    module = MobileNetV2(10, inverted_residual_setting=strides)
    module.features[0][0].stride = (1, 1)
    return module


@pytest.mark.parametrize(("name", "reference"), [("vgg16", reference_vgg16), ("mobilenet-v2", reference_mobilenet_v2)])
def test_ours_computes_what_torchvision_computes(name: str, reference: Any) -> None:
    images = torch.randn(2, *CIFAR, generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(1)
        ours = model(name).build("cpu").eval()
        theirs = in_order(ours, reference())
        torch.testing.assert_close(ours(images), theirs(images))
