"""N:M patterns: the exact count in every group, ties, intermediate sparsities, and what does not fit."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Generator, Tensor

from lthbench.errors import InputError, MethodError
from lthbench.pruning.allocate import keeper, removed_count, select
from lthbench.pruning.masks import nm_mask
from lthbench.pruning.pattern import Pattern
from lthbench.pruning.tensors import Planned

PATTERNS = st.integers(2, 6).flatmap(lambda m: st.tuples(st.integers(1, m - 1), st.just(m)))


def drawn(m: int, seed: int, levels: int = 1000) -> dict[str, Tensor]:
    """Scores of a matrix and of a kernel whose inputs are multiples of m; few levels make ties."""
    g = Generator().manual_seed(seed)
    shapes = {"matrix": (3, 2 * m), "kernel": (2, m, 2, 3)}
    return {name: torch.randint(levels, shape, generator=g).float() for name, shape in shapes.items()}


def groups(t: Tensor, m: int) -> list[Tensor]:
    """Every group of m inputs, written as loops."""
    matrix = t.reshape(t.shape[0], t.shape[1], -1)
    return [
        matrix[row, start : start + m, place]
        for row in range(matrix.shape[0])
        for place in range(matrix.shape[2])
        for start in range(0, matrix.shape[1], m)
    ]


@given(pattern=PATTERNS, seed=st.integers(0, 99), levels=st.sampled_from([1, 3, 1000]))
def test_every_group_keeps_its_n_highest(pattern: tuple[int, int], seed: int, levels: int) -> None:
    n, m = pattern
    scores = drawn(m, seed, levels)
    mask = nm_mask(scores, n, m)
    assert mask.removed == removed_count(mask.prunable, 1 - n / m)
    for name, kept in mask.tensors.items():
        for stays, score in zip(groups(kept, m), groups(scores[name], m), strict=True):
            assert int(stays.sum()) == n
            assert score[stays].min() >= score[~stays].max()


@given(pattern=PATTERNS, seed=st.integers(0, 99), share=st.floats(0, 1), levels=st.sampled_from([2, 1000]))
def test_below_the_patterns_sparsity_the_count_is_exact_and_no_group_loses_more(
    pattern: tuple[int, int], seed: int, share: float, levels: int
) -> None:
    n, m = pattern
    scores, sparsity = drawn(m, seed, levels), share * (1 - n / m)
    mask = select(scores, sparsity, f"{n}:{m}")
    assert mask.removed == removed_count(mask.prunable, sparsity)
    kept = [int(group.sum()) for t in mask.tensors.values() for group in groups(t, m)]
    assert min(kept) >= n
    may_go = Pattern(n, m)
    ends = [s for name in scores for s in scores[name][~mask.tensors[name]].tolist()]
    ties = {name: torch.arange(float(t.numel())).view_as(t) for name, t in scores.items()}
    stay = [
        s
        for name in scores
        for s in scores[name][may_go.removable(scores[name], ties[name]) & mask.tensors[name]].tolist()
    ]
    if levels > 2 and ends and stay:
        assert max(ends) <= min(stay)


@given(seed=st.integers(0, 99), steps=st.lists(st.floats(0, 0.5), min_size=1, max_size=4))
def test_rounds_of_a_pattern_only_remove(seed: int, steps: list[float]) -> None:
    scores = drawn(4, seed, levels=5)
    masks = []
    for sparsity in [*sorted(steps), 0.5]:
        masks.append(keeper("2:4")(scores, sparsity))
        scores = {name: t.masked_fill(~masks[-1][name], -math.inf) for name, t in scores.items()}
    for before, after in pairwise(masks):
        assert all(bool((before[name] | ~after[name]).all()) for name in after)
    assert Pattern(2, 4).broken(masks[-1]) == 0


def test_ties_follow_neither_the_position_nor_the_order_of_the_layers() -> None:
    equal = {"a": torch.zeros(64, 64), "b": torch.zeros(64, 64)}
    one, other = (nm_mask(scores, 2, 4).tensors for scores in (equal, dict(reversed(equal.items()))))
    assert all(one[name].equal(other[name]) for name in equal)
    by_place = one["a"].view(-1, 4).float().mean(0)
    assert by_place.min() > 0.4 and by_place.max() < 0.6


def test_what_keeps_more_than_the_pattern_is_counted() -> None:
    mask = {"w": torch.ones(2, 8, dtype=torch.bool)}
    assert Pattern(2, 4).broken(mask) == 0  # nothing is removed: a dense network of its own
    mask["w"][0] = False
    assert Pattern(2, 4).broken(mask) == 2
    assert Pattern(2, 4).broken({"w": torch.tensor([[True, False, True, False, True]])}) == 0
    assert Pattern(2, 4).broken({"bias": torch.tensor([True, False])}) == 0


@pytest.mark.parametrize(
    ("scores", "sparsity", "why"),
    [
        ({"w": torch.zeros(2, 8)}, 0.6, "asked to remove 10 of 16 weights; the pattern 2:4 removes 8"),
        ({"w": torch.zeros(2, 6)}, 0.5, "w cannot follow the pattern 2:4: its 6 inputs are not a multiple of 4"),
        ({"b": torch.zeros(8)}, 0.5, "b cannot follow the pattern 2:4: it has no input dimension"),
        ({"w": torch.full((2, 8), math.nan)}, 0.5, "contain NaN"),
        ({"w": torch.tensor([[-math.inf] * 3 + [1.0] * 5])}, 0.5, "1 groups of the pattern 2:4 have lost more than 2"),
    ],
)
def test_what_a_pattern_cannot_do_is_one_line(scores: dict[str, Tensor], sparsity: float, why: str) -> None:
    with pytest.raises(MethodError, match=why) as error:
        select(scores, sparsity, "2:4")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("n", "m"), [(4, 4), (0, 4), (5, 4)])
def test_a_pattern_that_keeps_none_or_all_is_refused(n: int, m: int) -> None:
    with pytest.raises(InputError, match=f"the pattern {n}:{m} keeps none or all"):
        nm_mask({"w": torch.zeros(1, 4)}, n, m)


def test_a_planned_mask_has_the_count_of_the_real_one() -> None:
    scores = drawn(4, 0)
    planned = {name: Planned.of(t.shape, name) for name, t in scores.items()}
    assert nm_mask(planned, 2, 4).removed == nm_mask(scores, 2, 4).removed
    assert select(planned, 0.5, "2:4").digest != select(planned, 0.5, "global").digest
