"""The compacted network: it is smaller, has the same outputs, and has the size on the record."""

from dataclasses import replace

import pytest
import torch
from torch import Generator, Tensor, nn

from lthbench.methods.compact import compact_cost, compacted
from lthbench.models import Model
from lthbench.models.cost import multiplications
from lthbench.pruning.lineage import Init
from lthbench.pruning.mask import Mask
from lthbench.pruning.state import initial_state, module_of
from lthbench.pruning.structured import select_units
from lthbench.pruning.units import Units
from tests.models.zoo import CIFAR, DIGITS, MNIST, model

FAMILIES = {
    "mlp": model("mlp-30-20", DIGITS),
    "lenet": model("lenet5", MNIST),
    "conv": model("conv4-w0.2", (1, 9, 11)),
    "vgg": model("vgg16-w0.1", CIFAR),
    "resnet": model("resnet20-w0.5", DIGITS),
    "bottleneck": model("resnet50-w0.1", CIFAR),
    "mobilenet-v1": model("mobilenet-v1-w0.2", DIGITS),
    "mobilenet-v2": model("mobilenet-v2-w0.2", DIGITS),
    "transformer": model("timm:test_vit", (3, 64, 64)),
    "gated": model("timm:mobilenetv3_small_050", (3, 64, 64)),
    "dense classifier": model("vgg11-w0.1", CIFAR, "ma2021"),
    "flattened into a dense layer": replace(
        model("lenet5", MNIST), prunable=("conv*.weight",), dense=("fc*", "*.bias")
    ),
}


def network(m: Model, mask: Mask) -> nn.Module:
    """Return a network like a trained one: no scale is one, and only the weights that the mask removes are zero."""
    g = Generator().manual_seed(3)
    state = initial_state(Init(m, "library" if ":" in m.name else "kaiming-normal", 0, 0))
    params = {n: t + 0.2 * torch.randn(t.shape, generator=g) * (t.dim() == 1) for n, t in state.params.items()}
    params = {n: torch.where(mask.tensors[n], t, 0) if n in mask.tensors else t for n, t in params.items()}
    buffers = {n: t + torch.rand(t.shape, generator=g) if n.endswith("var") else t for n, t in state.buffers.items()}
    buffers |= {n: torch.randn(t.shape, generator=g) for n, t in buffers.items() if n.endswith("mean")}
    return module_of(m, replace(state, params=params, buffers=buffers)).eval()


def pruned(m: Model, share: float) -> Mask:
    """Remove a share of every group's units, chosen at random."""
    g, units = Generator().manual_seed(0), Units.of(m)
    gone = {name: torch.rand(size, generator=g) < share for name, size in units.sizes.items()}
    return Mask(units.mask(gone, m.prunable_shapes))


@torch.no_grad()
def answers(m: Model, module: nn.Module) -> Tensor:
    return module(torch.randn(4, *m.shape, generator=Generator().manual_seed(1))).double()


@pytest.mark.parametrize("name", FAMILIES)
def test_the_same_outputs_and_the_size_on_the_record(name: str) -> None:
    m = FAMILIES[name]
    mask = pruned(m, 0.4)
    before, cost = answers(m, network(m, mask)), compact_cost(m, network(m, mask))
    small = compacted(m, network(m, mask))
    assert (answers(m, small) - before).abs().max() < 1e-4 * before.abs().max()
    assert before.std() > 0
    assert cost == (sum(p.numel() for p in small.parameters()), counted(m, small))
    assert cost[0] < sum(shape.numel() for shape in m.shapes.values())
    assert cost[1] < multiplications(m, {})[1]


def counted(m: Model, module: nn.Module) -> int:
    """Count multiplications by the sizes that the layers report while they run."""
    total = 0

    def hook(layer: nn.Module, _: object, out: Tensor) -> None:
        nonlocal total
        if isinstance(layer, nn.Linear):
            total += layer.in_features * layer.out_features * out.shape[1:-1].numel()
        elif isinstance(layer, nn.Conv2d):
            kernel = layer.kernel_size[0] * layer.kernel_size[1]
            total += layer.in_channels // layer.groups * layer.out_channels * kernel * out.shape[2:].numel()

    for layer in module.modules():
        layer.register_forward_hook(hook)
    module(torch.zeros(1, *m.shape))
    return total


def test_a_perceptron_by_hand() -> None:
    m = FAMILIES["mlp"]
    gone = {"hidden.0": torch.arange(30) < 12, "hidden.2": torch.arange(20) < 15}
    module = network(m, Mask(Units.of(m).mask(gone, m.prunable_shapes)))
    weights = 64 * 18 + 18 * 5 + 5 * 10
    assert compact_cost(m, module) == (weights + 18 + 5 + 10, weights)


def test_what_is_kept_of_the_prunable_weights_is_what_the_mask_keeps() -> None:
    m, units = FAMILIES["mobilenet-v1"], Units.of(FAMILIES["mobilenet-v1"])
    scores = {name: torch.rand(size, generator=Generator().manual_seed(2)) for name, size in units.sizes.items()}
    mask = select_units(scores, 0.5, "global", units, m.prunable_shapes)
    small = dict(compacted(m, network(m, mask)).named_parameters())
    assert sum(small[name].numel() for name in m.prunable_shapes) == mask.prunable - mask.removed


def test_scattered_zeros_take_no_unit_away() -> None:
    m = FAMILIES["resnet"]
    mask = Mask({n: torch.rand(s, generator=Generator().manual_seed(0)) < 0.5 for n, s in m.prunable_shapes.items()})
    assert compact_cost(m, network(m, mask)) is None
    whole = compacted(m, network(m, mask))
    assert {n: p.shape for n, p in whole.named_parameters()} == m.shapes
    assert torch.equal(answers(m, whole), answers(m, network(m, mask)))


def test_a_layer_that_has_lost_everything_keeps_one_unit() -> None:
    m = FAMILIES["conv"]
    units = Units.of(m)
    gone = {"stages.1.0": torch.ones(units.sizes["stages.1.0"], dtype=torch.bool)}
    mask = Mask(units.mask(gone, m.prunable_shapes))
    small = compacted(m, network(m, mask))
    assert len(small.get_parameter("stages.1.0.weight")) == 1
    torch.testing.assert_close(answers(m, small), answers(m, network(m, mask)))
