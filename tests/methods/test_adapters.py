"""Criteria of other libraries, and those of lthbench compared with them on the same tensors."""

import sys
from typing import Any

import pytest
import torch
import torch_pruning as tp
from torch import Generator, Tensor, nn
from torch.nn.utils import prune

from lthbench import importance_scores, magnitude, prune_scores, prune_unit_scores
from lthbench.errors import MethodError
from lthbench.methods.network import Network, NetworkOrigin, origin_of
from lthbench.pruning.allocate import removed_count
from lthbench.pruning.lineage import Init, Lineage
from lthbench.pruning.mask import Mask
from lthbench.pruning.masks import erk_mask, global_mask, uniform_mask
from lthbench.pruning.state import State, edited, initial_state
from lthbench.pruning.structured import select_units
from lthbench.pruning.units import Units
from tests.models.zoo import CIFAR, DIGITS, model

FAMILIES = {
    "mlp": model("mlp-30-20", DIGITS),
    "conv": model("conv4-w0.1", DIGITS),
    "vgg": model("vgg11-w0.05", CIFAR),
    "resnet": model("resnet14-w0.25", DIGITS),
    "bottleneck": model("resnet50-w0.05", CIFAR),
    "mobilenet": model("mobilenet-v2-w0.1", DIGITS),
    "gated": model("timm:mobilenetv3_small_050", (3, 64, 64)),
}


class Owner:
    """The part of a run that a network needs. All its parameters are random, including the scales of batch-norms."""

    def __init__(self, init: Init):
        g, state = Generator().manual_seed(0), initial_state(init)
        params = {n: t + 0.1 * torch.randn(t.shape, generator=g) for n, t in state.params.items()}
        self.state = State(params, state.buffers, state.mask)

    def load(self, net: Network) -> State:
        return edited(self.state, origin_of(net).lineage.edits, origin_of(net).edit_tensors.__getitem__)

    def clock(self) -> Any:
        raise NotImplementedError


def network(name: str = "vgg") -> Network:
    m = FAMILIES[name]
    init = Init(m, "library" if ":" in m.name else "kaiming-normal", 0, 0)
    return Network(NetworkOrigin(Owner(init), Lineage(init)), Mask.full(m.prunable_shapes))


def layers(net: Network) -> list[tuple[nn.Module, str]]:
    module = net.module()
    return [(module.get_submodule(name.removesuffix(".weight")), name) for name in net.prunable]


def masks(pruned: list[tuple[nn.Module, str]]) -> dict[str, Tensor]:
    return {name: layer.weight_mask.bool() for layer, name in pruned}  # type: ignore[operator, union-attr]


def same(mask: Mask, theirs: dict[str, Tensor]) -> bool:
    return all(torch.equal(m, theirs[name]) for name, m in mask.tensors.items())


class TestTorchPrune:
    @pytest.mark.parametrize("sparsity", [0.3, 0.9])
    def test_global_magnitude_is_theirs(self, sparsity: float) -> None:
        net = network()
        theirs = layers(net)
        amount = removed_count(net.mask.prunable, sparsity)
        prune.global_unstructured([(layer, "weight") for layer, _ in theirs], prune.L1Unstructured, amount=amount)
        mask = global_mask(magnitude(net), sparsity)
        assert same(mask, masks(theirs))
        assert mask == global_mask(prune_scores(net, prune.L1Unstructured, sparsity), sparsity)

    @pytest.mark.parametrize("by_layer", [uniform_mask, erk_mask])
    def test_magnitude_in_every_layer_is_theirs(self, by_layer: Any) -> None:
        net = network("resnet")
        mask, theirs = by_layer(magnitude(net), 0.7), layers(net)
        for layer, name in theirs:
            prune.l1_unstructured(layer, "weight", amount=mask.layers[name][0])
        assert same(mask, masks(theirs))

    def test_rows_by_their_norm_are_theirs(self) -> None:
        net = network("mlp")
        squares = {name: w.square() for name, w in net.prunable.items()}
        rows = Units.rows(net.model.prunable_shapes)
        mask, theirs = select_units(rows.sum(squares), 0.5, "uniform", rows, net.model.prunable_shapes), layers(net)
        for layer, _ in theirs:
            prune.ln_structured(layer, "weight", amount=0.5, n=2, dim=0)
        assert same(mask, masks(theirs))

    def test_units_go_in_the_order_of_a_structured_method(self) -> None:
        net = network("vgg")
        order = prune_unit_scores(net, prune.LnStructured, n=1)
        norms = net.units.sum({name: w.abs() for name, w in net.prunable.items()})
        assert {n: s.argsort().tolist() for n, s in order.items()} == {
            n: s.argsort().tolist() for n, s in norms.items()
        }

    def test_a_method_of_ones_own(self) -> None:
        class Largest(prune.BasePruningMethod):
            PRUNING_TYPE = "unstructured"

            def __init__(self, amount: int, factor: float):
                self.amount, self.factor = amount, factor

            def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
                mask = default_mask.clone()
                mask[(self.factor * t).topk(self.amount).indices] = 0
                return mask

        net = network("mlp")
        scores = prune_scores(net, Largest, 0.2, factor=-1.0)
        assert global_mask(scores, 0.2) == global_mask(dict(net.prunable), 0.2)

    def test_what_was_pruned_stays_pruned_and_the_count_is_exact(self) -> None:
        net = network("conv")
        half = global_mask(magnitude(net), 0.5)
        scores = prune_scores(net.masked(half), prune.RandomUnstructured, 0.8, Generator().manual_seed(1))
        mask = global_mask(scores, 0.8)
        assert mask.removed == removed_count(mask.prunable, 0.8)
        assert mask == mask & half
        assert {float(v) for s in scores.values() for v in s.unique()} == {-float("inf"), 0.0, 1.0}
        with pytest.raises(MethodError, match="pruned already"):
            prune_scores(net.masked(half), prune.L1Unstructured, 0.2)

    def test_what_is_drawn_comes_from_the_given_generator(self) -> None:
        net, before = network("mlp"), torch.get_rng_state()
        one, again, other = (
            global_mask(prune_scores(net, prune.RandomUnstructured, 0.5, Generator().manual_seed(s)), 0.5)
            for s in (1, 1, 2)
        )
        assert one == again != other
        assert torch.equal(before, torch.get_rng_state())

    def test_one_clear_line(self) -> None:
        with pytest.raises(MethodError, match="prune_unit_scores"):
            prune_scores(network("mlp"), prune.LnStructured, 0.5, n=2, dim=0)
        with pytest.raises(MethodError, match="write prune_scores"):
            prune_unit_scores(network("mlp"), prune.L1Unstructured)


class TestTorchPruning:
    @pytest.mark.parametrize("name", ["mlp", "conv", "vgg", "resnet", "bottleneck"])
    def test_the_norms_of_channels_are_theirs(self, name: str) -> None:
        net = network(name)
        squares = {n: w.square() for n, w in net.prunable.items()}
        for reduction, read in (("first", False), ("sum", True)):
            theirs = tp.importance.MagnitudeImportance(
                p=2, group_reduction=reduction, normalizer=None, target_types=[nn.modules.conv._ConvNd, nn.Linear]
            )
            torch.testing.assert_close(importance_scores(net, theirs), dict(net.units.sum(squares, read=read)))

    def test_the_scales_of_channels_are_theirs(self) -> None:
        net = network("vgg")
        theirs = importance_scores(net, tp.importance.BNScaleImportance(normalizer=None))
        torch.testing.assert_close(theirs, {n: g.abs() for n, g in net.units.param("gamma", net.params).items()})

    def test_gradients_reach_those_that_look_at_them(self) -> None:
        net = network("conv")
        gradients = {n: torch.randn(w.shape, generator=Generator().manual_seed(1)) for n, w in net.params.items()}
        theirs = tp.importance.TaylorImportance(
            group_reduction="first", normalizer=None, multivariable=False, target_types=[nn.Conv2d, nn.Linear]
        )
        found = importance_scores(net, theirs, gradients)
        by_hand = net.units.sum({n: (w * gradients[n]).abs() for n, w in net.prunable.items()})
        torch.testing.assert_close(found, dict(by_hand))
        assert all(p.grad is None for p in net.module().parameters())

    @pytest.mark.parametrize("name", FAMILIES)
    def test_what_belongs_to_a_unit_is_what_they_say(self, name: str) -> None:
        net = network(name)
        module = net.module()
        graph = tp.DependencyGraph().build_dependency(module, example_inputs=torch.zeros(1, *net.model.shape))
        names = {layer: name for name, layer in module.named_modules()}
        for group in net.units.groups:
            layer = module.get_submodule(group.name)
            function = tp.prune_linear_out_channels if isinstance(layer, nn.Linear) else tp.prune_conv_out_channels
            theirs = {
                (names[dep.layer], tuple(index))
                for dep, index in graph.get_pruning_group(layer, function, [group.size - 1])
                if dep.layer in names
            }
            ours = {(s.name.rpartition(".")[0], s.repeat) for s in (*group.own, *group.read)}
            ours |= {(vector.rpartition(".")[0], 1) for _, vector in group.vectors}
            last = {(layer, tuple(range((group.size - 1) * r, group.size * r))) for layer, r in ours}
            assert theirs == last

    def test_without_the_library_one_clear_line(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "torch_pruning", None)
        with pytest.raises(MethodError, match="pip install"):
            importance_scores(network("mlp"), lambda group: torch.zeros(1))

    def test_a_function_of_a_group_will_do(self) -> None:
        net = network("mlp")
        found = importance_scores(net, lambda group: torch.arange(len(group[0].idxs)).float())
        assert {n: s.tolist() for n, s in found.items()} == {n: [*range(k)] for n, k in net.units.sizes.items()}
        with pytest.raises(MethodError, match="gradients="):
            importance_scores(net, lambda group: None)  # type: ignore[arg-type, return-value]
