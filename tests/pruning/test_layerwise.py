"""Layer-wise selection: every layer at the density of its own rounds, the count exact in all."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from lthbench.errors import MethodError
from lthbench.pruning.allocate import removed_count
from lthbench.pruning.layerwise import layerwise_densities, layerwise_mask
from lthbench.pruning.masks import uniform_mask

LENET = {"first": (300, 784), "second": (100, 300), "out": (10, 100)}
HALF = {"first": 0.2, "second": 0.2, "out": 0.1}


def scores(**sizes: tuple[int, ...]) -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(0)
    return {name: torch.rand(shape, generator=g) for name, shape in sizes.items()}


@pytest.mark.parametrize("rounds", [1, 3, 7, 15])
def test_whole_rounds_leave_what_the_paper_leaves(rounds: int) -> None:
    kept = {name: math.prod(shape) * (1 - HALF[name]) ** rounds for name, shape in LENET.items()}
    whole = sum(map(math.prod, LENET.values()))
    found = layerwise_mask(scores(**LENET), 1 - sum(kept.values()) / whole, HALF).layers
    assert all(size - removed == pytest.approx(kept[name], abs=1) for name, (removed, size) in found.items())


@given(
    sparsity=st.floats(0, 1) | st.sampled_from([0.0, 1.0]),
    sizes=st.lists(st.integers(1, 60), min_size=1, max_size=4),
    fractions=st.lists(st.floats(0.01, 0.9), min_size=4, max_size=4),
)
def test_the_count_is_exact_and_each_layer_within_a_weight(
    sparsity: float, sizes: list[int], fractions: list[float]
) -> None:
    own = scores(**{f"l{i}": (size,) for i, size in enumerate(sizes)})
    fraction = dict(zip(own, fractions, strict=False))
    mask = layerwise_mask(own, sparsity, fraction)
    assert mask.removed == removed_count(sum(sizes), sparsity)
    density = layerwise_densities({n: t.shape for n, t in own.items()}, sparsity, fraction)
    for name, (removed, size) in mask.layers.items():
        assert abs(removed - (1 - density[name]) * size) < 1 + 1e-6
        kept, gone = own[name][mask.tensors[name]], own[name][~mask.tensors[name]]
        assert not len(kept) or not len(gone) or kept.min() >= gone.max()


def test_one_fraction_for_all_is_the_uniform_allocation() -> None:
    assert layerwise_mask(scores(**LENET), 0.7, dict.fromkeys(LENET, 0.3)) == uniform_mask(scores(**LENET), 0.7)


def test_rounds_one_after_another_keep_what_is_pruned() -> None:
    left = scores(**LENET)
    for rounds in range(1, 12):
        keep = layerwise_mask(left, 1 - 0.8**rounds, HALF).tensors
        left = {name: t.masked_fill(~keep[name], -math.inf) for name, t in left.items()}


@pytest.mark.parametrize("wrong", [{}, {"out": 0.0}, {"out": 1.0}])
def test_a_layer_needs_a_fraction(wrong: dict[str, float]) -> None:
    with pytest.raises(MethodError, match="between 0 and 1 is needed for out"):
        layerwise_mask(scores(out=(10, 100)), 0.5, wrong)
