"""Transferring networks to another depth and back, with masks and batch-norm statistics, and refused cases."""

import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lthbench import Mask, MethodError, Model, Network, Steps, random_scores, transferred_to_depth
from lthbench.methods.network import NetworkOrigin, origin_of
from lthbench.methods.stretch import parsed, spread
from lthbench.pruning.lineage import Init, Lineage
from lthbench.pruning.masks import global_mask
from lthbench.pruning.state import edited, initial_state
from lthbench.training.recipe import Recipe

SHAPE = (1, 8, 8)


class Owner:
    """Loads initialisations and edits of them, which is all that these tests need."""

    def load(self, net: Network):  # type: ignore[no-untyped-def]
        return edited(
            initial_state(origin_of(net).lineage.root),
            origin_of(net).lineage.edits,
            origin_of(net).edit_tensors.__getitem__,
        )  # type: ignore[arg-type]

    def clock(self):  # type: ignore[no-untyped-def]
        return Recipe(epochs=9, batch=10, lr=0.1).clock(100)


OWNER = Owner()


def network(name: str, seed: int = 0) -> Network:
    model = Model(name, SHAPE, 10, "chen2021")
    return Network(
        NetworkOrigin(OWNER, Lineage(Init(model, "kaiming-normal", seed, 0))), Mask.full(model.prunable_shapes)
    )


def ticket(name: str) -> Network:
    """Return a network that is pruned at random, some steps into its training, with statistics that differ between
    layers."""
    net = network(name)
    g = torch.Generator().manual_seed(1)
    stats = {n: torch.rand(b.shape, generator=g) for n, b in net.buffers.items() if b.is_floating_point()}
    return net.with_weights(stats).masked(global_mask(random_scores(net, g), 0.7)).at(Steps(7))


def same(a: Network, b: Network) -> bool:
    mine, other = {**a.params, **a.buffers}, {**b.params, **b.buffers}
    return a.mask == b.mask and all(torch.equal(t, other[n]) for n, t in mine.items()) and mine.keys() == other.keys()


PAIRS = [("resnet14-w0.25", "resnet32-w0.25"), ("vgg13-w0.05", "vgg19-w0.05"), ("mlp-9-9-9", "mlp-9-9-9-9-9")]


@pytest.mark.parametrize(("short", "long"), PAIRS)
def test_there_and_back(short: str, long: str) -> None:
    source = ticket(short)
    there = transferred_to_depth(source, network(long, seed=1))
    back = transferred_to_depth(there, network(short, seed=2))
    assert same(back, source) and not same(source, network(short))
    assert there.model.name == long and there.step == back.step == source.step == 7


def test_a_block_goes_whole() -> None:
    source = ticket("resnet14-w0.25")
    there = transferred_to_depth(source, network("resnet20-w0.25", seed=1))
    for part in ("params", "buffers"):
        have = getattr(source, part)
        for name, t in getattr(there, part).items():
            assert torch.equal(t, have[re.sub(r"^(stages\.\d)\.2\.", r"\1.1.", name)]), name
    masks = there.mask.tensors
    assert all(torch.equal(masks[f"stages.{s}.2.conv2.weight"], masks[f"stages.{s}.1.conv2.weight"]) for s in range(3))
    assert there.params["stages.2.2.conv1.weight"].count_nonzero() < there.params["stages.2.2.conv1.weight"].numel()


def test_the_papers_mapping() -> None:
    assert spread(5, 9) == parsed("0:0;1:1,2;2:3,4;3:5,6;4:7,8")
    assert spread(2, 3) == parsed("0:0;1:1,2")
    assert spread(9, 5) == parsed("0:0;1:1;3:2;5:3;7:4")


@given(st.integers(1, 20), st.integers(1, 20))
def test_every_block_of_the_target_has_one_origin_in_order(source: int, target: int) -> None:
    pairs = spread(source, target)
    origins = {copy: origin for origin, copies in pairs.items() for copy in copies}
    assert sorted(origins) == list(range(target)) and origins[0] == 0
    assert [origins[block] for block in range(target)] == sorted(origins.values())
    back = {copy: origin for origin, copies in spread(target, source).items() for copy in copies}
    if target >= source and (source > 1 or target == 1):
        assert all(origins[back[block]] == block for block in range(source))


def test_given_pairs_by_stage() -> None:
    source = ticket("resnet14-w0.25")
    each = [parsed("0:0;1:1,2"), parsed("0:0;1:1,2"), parsed("0:0,2;1:1")]
    with pytest.raises(MethodError, match="differ in shape"):
        transferred_to_depth(source, network("resnet20-w0.25"), each)  # the first block of a stage has another input
    assert same(
        transferred_to_depth(source, network("resnet20-w0.25"), parsed("0:0;1:1,2")),
        transferred_to_depth(source, network("resnet20-w0.25", 1)),
    )


@pytest.mark.parametrize("pairs", ["0:0;1:1", "0:0;1:1,2,2", "0:0;1:1;2:2", "0:0;1:1,3"])
def test_refused_pairs(pairs: str) -> None:
    with pytest.raises(MethodError, match="does not give each"):
        transferred_to_depth(ticket("resnet14-w0.25"), network("resnet20-w0.25"), parsed(pairs))


@pytest.mark.parametrize("text", ["", "0", "0:a", "0:0;1"])
def test_text_that_is_no_mapping(text: str) -> None:
    with pytest.raises(MethodError, match="not a block mapping"):
        parsed(text)


@pytest.mark.parametrize(
    ("short", "long"),
    [("mlp-9-9", "mlp-9-8-8"), ("resnet14-w0.25", "resnet20-w0.5"), ("resnet14-w0.25", "vgg11-w0.05")],
)
def test_other_widths_and_families_are_refused(short: str, long: str) -> None:
    with pytest.raises(MethodError, match="transferred_to_depth: "):
        transferred_to_depth(ticket(short), network(long))
