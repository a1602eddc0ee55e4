"""Units: the weights that belong together, the number to remove, and a network that works without them."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor

from lthbench.errors import MethodError, ValueLooked
from lthbench.models import Model
from lthbench.pruning.allocate import ALLOCATIONS, removed_count
from lthbench.pruning.lineage import Init
from lthbench.pruning.mask import Mask
from lthbench.pruning.state import initial_state, module_of
from lthbench.pruning.structured import select_units
from lthbench.pruning.tensors import Planned
from lthbench.pruning.units import Units
from tests.models.zoo import CIFAR, DIGITS, model

every = pytest.mark.parametrize("allocation", ALLOCATIONS)
NARROW = {
    "mlp": model("mlp-30-20", DIGITS),
    "conv": model("conv4-w0.1", DIGITS),
    "vgg": model("vgg11-w0.05", CIFAR),
    "resnet": model("resnet14-w0.25", DIGITS),
    "bottleneck": model("resnet50-w0.05", CIFAR),
    "mobilenet": model("mobilenet-v2-w0.1", DIGITS),
    "transformer": model("timm:test_vit", (3, 64, 64)),
}


def scores_of(units: Units, seed: int = 0) -> dict[str, Tensor]:
    """Return scores with few values, so that many tie."""
    g = Generator().manual_seed(seed)
    return {name: torch.randint(0, 4, (size,), generator=g).float() for name, size in units.sizes.items()}


def chosen(m: Model, sparsity: float, allocation: str = "global", seed: int = 0) -> Mask:
    units = Units.of(m)
    return select_units(scores_of(units, seed), sparsity, allocation, units, m.prunable_shapes)


def answers(m: Model, mask: Mask, changes: dict[str, Tensor], images: Tensor) -> Tensor:
    """Return logits of the masked initial network, with some parameters changed."""
    state = initial_state(Init(m, "kaiming-normal", 0, 0))
    params = {n: torch.where(mask.tensors[n], t, 0) if n in mask.tensors else t for n, t in state.params.items()}
    return module_of(m, replace(state, params=params | changes)).eval()(images).detach()


def test_the_units_of_a_perceptron_are_its_neurons() -> None:
    units = Units.of(NARROW["mlp"])
    assert units.sizes == {"hidden.0": 30, "hidden.2": 20}
    mask = units.mask({"hidden.0": torch.arange(30) == 3}, NARROW["mlp"].prunable_shapes)
    assert [n for n, m in mask.items() if not m.all()] == ["hidden.0.weight", "hidden.2.weight"]
    assert not mask["hidden.0.weight"][3].any()
    assert not mask["hidden.2.weight"][:, 3].any()
    assert sum(int((~m).sum()) for m in mask.values()) == 64 + 20


def test_the_units_of_a_residual_network_are_those_inside_its_blocks() -> None:
    assert set(Units.of(NARROW["resnet"]).sizes) == {f"stages.{s}.{i}.conv1" for s in range(3) for i in range(2)}


def test_layers_that_are_not_prunable_have_no_units() -> None:
    m = replace(NARROW["conv"], prunable=("fc*.weight",), dense=("stages.*", "*.bias"))
    assert set(Units.of(m).sizes) == {"fc1", "fc2"}


@pytest.mark.parametrize("name", NARROW)
def test_nothing_that_belongs_to_a_removed_unit_matters(name: str) -> None:
    """Whatever the unit's biases, scales and statistics are, the network gives the same output. Those of other units
    matter."""
    m = NARROW[name]
    units, mask = Units.of(m), chosen(m, 0.3)
    gone = units.gone(mask.tensors)
    images = torch.randn(3, *m.shape, generator=Generator().manual_seed(1))
    shapes = m.shapes
    wild = {
        name: (torch.where(gone[group.name], 7.0, 0.0), torch.where(gone[group.name], 0.0, 7.0))
        for group in units.groups
        for _, name in group.vectors
        if name in shapes
    }
    state = initial_state(Init(m, "kaiming-normal", 0, 0)).params
    plain = answers(m, mask, {}, images)
    assert torch.equal(plain, answers(m, mask, {n: state[n] + there for n, (there, _) in wild.items()}, images))
    assert not torch.allclose(plain, answers(m, mask, {n: state[n] + here for n, (_, here) in wild.items()}, images))


@every
@settings(max_examples=25, deadline=None)
@given(name=st.sampled_from(["mlp", "conv", "resnet", "mobilenet"]), sparsity=st.floats(0, 0.9), seed=st.integers(0, 9))
def test_the_fewest_units_that_reach_the_count(allocation: str, name: str, sparsity: float, seed: int) -> None:
    m, units = NARROW[name], Units.of(NARROW[name])
    shapes, scores = m.prunable_shapes, scores_of(units, seed)
    asked = removed_count(m.prunable_count, sparsity)
    most = units.removed(units.sizes, shapes)
    if asked > most:
        with pytest.raises(MethodError, match="lower sparsity"):
            select_units(scores, sparsity, allocation, units, shapes)
        return
    mask = select_units(scores, sparsity, allocation, units, shapes)
    gone = units.gone(mask.tensors)
    assert mask.removed == units.removed({n: int(g.sum()) for n, g in gone.items()}, shapes) >= asked
    lowest = {n: s.masked_fill(~gone[n], -1).max() for n, s in scores.items() if gone[n].any()}
    assert all(scores[n][~gone[n]].min() >= low for n, low in lowest.items() if not gone[n].all())
    counts = {n: int(g.sum()) for n, g in gone.items()}
    with_one_more = [units.removed(counts | {n: k - 1}, shapes) for n, k in counts.items() if k]
    assert not with_one_more or min(with_one_more) < asked


def test_global_takes_the_lowest_of_all_groups() -> None:
    m, units = NARROW["vgg"], Units.of(NARROW["vgg"])
    scores = scores_of(units)
    gone = units.gone(select_units(scores, 0.4, "global", units, m.prunable_shapes).tensors)
    went = torch.cat([scores[n][g] for n, g in gone.items()])
    stayed = torch.cat([scores[n][~g] for n, g in gone.items()])
    assert went.max() <= stayed.min()


def test_uniform_takes_the_same_share_of_every_group() -> None:
    units = Units.of(NARROW["mobilenet"])
    gone = units.gone(chosen(NARROW["mobilenet"], 0.5, "uniform").tensors)
    counts = {n: (int(g.sum()), len(g)) for n, g in gone.items()}
    share = sum(k for k, _ in counts.values()) / sum(n for _, n in counts.values())
    assert all(abs(k - share * n) <= 1 for k, n in counts.values())
    assert units.sizes.keys() == counts.keys()


def test_erk_spares_the_layers_that_it_keeps_dense() -> None:
    m = NARROW["mlp"]
    gone = Units.of(m).gone(chosen(m, 0.2, "erk").tensors)
    uniform = Units.of(m).gone(chosen(m, 0.2, "uniform").tensors)
    assert gone["hidden.2"].sum() < uniform["hidden.2"].sum()


def test_the_order_of_the_groups_does_not_decide_a_tie() -> None:
    m, units = NARROW["vgg"], Units.of(NARROW["vgg"])
    scores = {name: torch.zeros(size) for name, size in units.sizes.items()}
    backwards = dict(reversed(scores.items()))
    masks = [select_units(s, 0.5, "global", units, m.prunable_shapes) for s in (scores, backwards)]
    assert masks[0] == masks[1]


def test_what_is_pruned_already_goes_first() -> None:
    m, units = NARROW["mlp"], Units.of(NARROW["mlp"])
    scores = scores_of(units)
    scores["hidden.2"][5:15] = -math.inf
    for allocation in ALLOCATIONS:
        gone = units.gone(select_units(scores, 0.1, allocation, units, m.prunable_shapes).tensors)
        assert gone["hidden.2"][5:15].all()


def test_sums_and_params_are_by_unit() -> None:
    m, units = NARROW["resnet"], Units.of(NARROW["resnet"])
    params = initial_state(Init(m, "kaiming-normal", 0, 0)).params
    squares = {n: w.square() for n, w in params.items()}
    w, reader = params["stages.1.0.conv1.weight"], params["stages.1.0.conv2.weight"]
    torch.testing.assert_close(units.sum(squares)["stages.1.0.conv1"][2], w[2].square().sum())
    both = units.sum(squares, read=True)["stages.1.0.conv1"][2]
    torch.testing.assert_close(both, w[2].square().sum() + reader[:, 2].square().sum())
    assert torch.equal(units.param("gamma", params)["stages.1.0.conv1"], params["stages.1.0.bn1.weight"])
    with pytest.raises(MethodError, match="bias"):
        units.param("bias", params)


def test_rows_of_matrices() -> None:
    m = NARROW["mlp"]
    units = Units.rows(m.prunable_shapes)
    scores = {name: torch.arange(size).float() for name, size in units.sizes.items()}
    layers = select_units(scores, 0.5, "uniform", units, m.prunable_shapes).tensors
    assert [layer[:, 0].tolist() for layer in layers.values()] == [
        [False] * (n // 2) + [True] * (n // 2) for n in (30, 20, 10)
    ]


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        ({"hidden": torch.ones(30)}, "hidden.0"),
        ({"hidden.0": torch.ones(20)}, "30 units"),
        ({"hidden.0": torch.full((30,), math.nan)}, "NaN"),
        ({"hidden.2": torch.ones(20)}, "lower sparsity"),
    ],
)
def test_one_clear_line(scores: dict[str, Tensor], said: str) -> None:
    m = NARROW["mlp"]
    with pytest.raises(MethodError, match=said):
        select_units(scores, 0.9, "global", Units.of(m), m.prunable_shapes)


def test_planned_scores_make_a_planned_mask() -> None:
    m, units = NARROW["resnet"], Units.of(NARROW["resnet"])
    params = {n: Planned.of(shape, n) for n, shape in m.shapes.items()}
    for scores in (units.param("gamma", params), units.sum({n: p.square() for n, p in params.items()})):
        mask = select_units(scores, 0.5, "global", units, m.prunable_shapes)
        assert {n: t.shape for n, t in mask.tensors.items()} == m.prunable_shapes
        with pytest.raises(ValueLooked):
            _ = mask.removed
    assert units == Units.of(m)
    assert hash(units) == hash(Units.of(m))
