"""From scores to masks: the count is exact, ties favour nobody, and the highest scores stay."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Generator, Tensor

from lthbench.errors import MethodError
from lthbench.pruning.allocate import ALLOCATIONS, balanced_densities, erk_densities, removed_count, select
from lthbench.pruning.masks import balanced_mask, erk_mask, global_mask, row_mask, uniform_mask
from lthbench.pruning.tensors import Planned

every = pytest.mark.parametrize("allocation", ALLOCATIONS)

shapes = st.lists(st.lists(st.integers(1, 7), min_size=1, max_size=3), min_size=1, max_size=4)
sparsities = st.floats(0, 1) | st.sampled_from([0.0, 0.2, 0.5, 0.8, 0.9, 0.95, 0.98, 1.0])


@st.composite
def tied_scores(draw: st.DrawFn) -> dict[str, Tensor]:
    """Draw few values at many positions, so that nearly every threshold is a tie."""
    found = {}
    for index, shape in enumerate(draw(shapes)):
        values = st.lists(st.sampled_from([-1.0, 0.0, 0.5, 2.0, math.inf]), min_size=1, max_size=4)
        choice = torch.tensor(draw(values))
        places = torch.randint(len(choice), shape, generator=Generator().manual_seed(draw(st.integers(0, 99))))
        found[f"layer{index}.weight"] = choice[places]
    return found


def random_scores(seed: int = 0, **sizes: tuple[int, ...]) -> dict[str, Tensor]:
    g = Generator().manual_seed(seed)
    return {name: torch.rand(shape, generator=g) for name, shape in sizes.items()}


def size_of(scores: dict[str, Tensor]) -> int:
    return sum(t.numel() for t in scores.values())


@pytest.mark.parametrize(
    ("size", "sparsity", "count"),
    [(10, 0.25, 3), (10, 0.24, 2), (266200, 0.98, 260876), (3, 0.5, 2), (7, 0, 0), (7, 1, 7)],
)
def test_the_count_is_rounded_half_up(size: int, sparsity: float, count: int) -> None:
    assert removed_count(size, sparsity) == count


@every
@given(scores=tied_scores(), sparsity=sparsities)
def test_the_count_is_exact(allocation: str, scores: dict[str, Tensor], sparsity: float) -> None:
    mask = select(scores, sparsity, allocation)
    assert mask.removed == math.floor(sparsity * size_of(scores) + 0.5)
    assert {name: t.shape for name, t in mask.tensors.items()} == {name: t.shape for name, t in scores.items()}


@given(scores=tied_scores(), sparsity=sparsities)
def test_no_score_that_stays_is_under_one_that_goes(scores: dict[str, Tensor], sparsity: float) -> None:
    keep = global_mask(scores, sparsity).tensors
    kept, gone = (torch.cat([t[keep[n] == side].flatten() for n, t in scores.items()]) for side in (True, False))
    assert not len(kept) or not len(gone) or kept.min() >= gone.max()


@given(scores=tied_scores(), sparsity=sparsities)
def test_every_row_loses_its_lowest_scores_and_all_rows_of_a_layer_equally_many(
    scores: dict[str, Tensor], sparsity: float
) -> None:
    uniform = uniform_mask(scores, sparsity).layers
    for name, keep in row_mask(scores, sparsity).tensors.items():
        rows = keep if keep.dim() > 1 else keep[None]
        removed = [int((~row).sum()) for row in rows]
        assert sum(removed) == uniform[name][0] and max(removed) - min(removed) <= 1
        for score, kept in zip(scores[name].view_as(rows), rows, strict=True):
            assert kept.all() or not kept.any() or score[kept].min() >= score[~kept].max()


@given(scores=tied_scores(), sparsity=sparsities)
def test_a_single_row_is_a_layer(scores: dict[str, Tensor], sparsity: float) -> None:
    rows = {name: t.reshape(1, -1) for name, t in scores.items()}
    assert row_mask(rows, sparsity) == uniform_mask(rows, sparsity)


@pytest.mark.parametrize("allocation", ["uniform", "erk", "balanced"])
@given(scores=tied_scores(), sparsity=sparsities)
def test_no_score_that_stays_is_under_one_of_its_layer_that_goes(
    allocation: str, scores: dict[str, Tensor], sparsity: float
) -> None:
    for name, keep in select(scores, sparsity, allocation).tensors.items():
        kept, gone = scores[name][keep], scores[name][~keep]
        assert not len(kept) or not len(gone) or kept.min() >= gone.max()


@given(scores=tied_scores(), sparsity=sparsities)
def test_uniform_is_the_same_rate_in_every_layer_within_one_weight(scores: dict[str, Tensor], sparsity: float) -> None:
    for removed, size in uniform_mask(scores, sparsity).layers.values():
        assert abs(removed - sparsity * size) < 1 + 1e-9


@given(scores=tied_scores(), sparsity=sparsities)
def test_erk_follows_its_densities_within_one_weight(scores: dict[str, Tensor], sparsity: float) -> None:
    density = erk_densities({name: t.shape for name, t in scores.items()}, sparsity)
    for name, (removed, size) in erk_mask(scores, sparsity).layers.items():
        assert abs(removed - (1 - density[name]) * size) < 1 + 1e-6


def test_uniform_gives_what_is_left_over_to_the_largest_remainders() -> None:
    scores = random_scores(a=(16,), b=(13,), c=(10,))  # 4, 3.25 and 2.5: 9.75, so ten in all
    layers = uniform_mask(scores, 0.25).layers
    assert {name: removed for name, (removed, _) in layers.items()} == {"a": 4, "b": 3, "c": 3}


@every
def test_all_equal_scores_lose_the_exact_count(allocation: str) -> None:
    scores = {"a": torch.zeros(30, 20), "b": torch.zeros(20, 10)}
    assert select(scores, 0.9, allocation).removed == 720


@every
def test_ties_do_not_go_by_position(allocation: str) -> None:
    keep = select({"a": torch.zeros(4000), "b": torch.zeros(4000)}, 0.5, allocation).tensors
    for t in keep.values():
        halves = t[:2000].sum().item(), t[2000:].sum().item()
        assert all(850 < half < 1150 for half in halves)
        assert 850 < t[::2].sum() < 1150
    assert not torch.equal(keep["a"], keep["b"])


def test_ties_do_not_go_by_the_order_of_layers() -> None:
    layers = {name: torch.zeros(4000) for name in ("first", "second")}
    assert all(1800 < removed < 2200 for removed, _ in global_mask(layers, 0.5).layers.values())


@every
@given(scores=tied_scores(), sparsity=sparsities)
def test_the_order_of_the_layers_does_not_matter(allocation: str, scores: dict[str, Tensor], sparsity: float) -> None:
    backwards = dict(reversed(scores.items()))
    assert select(scores, sparsity, allocation) == select(backwards, sparsity, allocation)


@pytest.mark.parametrize("allocation", sorted(ALLOCATIONS.keys() - {"row"}))
def test_values_decide_wherever_they_stand(allocation: str) -> None:
    scores = random_scores(a=(50, 3), b=(40,))
    moves = {name: torch.randperm(t.numel(), generator=Generator().manual_seed(5)) for name, t in scores.items()}
    moved = {name: t.flatten()[moves[name]].view_as(t) for name, t in scores.items()}
    keep, keep_moved = (select(s, 0.7, allocation).tensors for s in (scores, moved))
    for name, t in keep.items():
        assert torch.equal(t.flatten()[moves[name]], keep_moved[name].flatten())


@every
def test_only_the_order_of_scores_matters(allocation: str) -> None:
    scores = random_scores(a=(50, 3), b=(40,))
    stretched = {name: (7 * t).exp() for name, t in scores.items()}
    assert select(scores, 0.7, allocation) == select(stretched, 0.7, allocation)


@every
def test_selecting_twice_gives_the_same_mask(allocation: str) -> None:
    scores = {"a": torch.zeros(30, 20), "b": torch.zeros(20, 10)}
    torch.manual_seed(3)
    first = select(scores, 0.9, allocation)
    torch.manual_seed(4)
    assert select(scores, 0.9, allocation) == first


@every
def test_selecting_leaves_scores_and_the_global_generator_alone(allocation: str) -> None:
    scores, generator = {"a": torch.zeros(30)}, torch.get_rng_state()
    select(scores, 0.9, allocation)
    assert scores["a"].eq(0).all()
    assert torch.equal(torch.get_rng_state(), generator)


@every
@given(scores=tied_scores(), first=st.floats(0, 0.6), more=st.floats(0.05, 0.4))
def test_what_is_pruned_stays_pruned(allocation: str, scores: dict[str, Tensor], first: float, more: float) -> None:
    before = select(scores, first, allocation).tensors
    left = {name: t.masked_fill(~before[name], -math.inf) for name, t in scores.items()}
    if allocation != "global" and any(not t.any() or t.numel() * more < 2 for t in before.values()):
        return  # where a layer gains less than two weights, see the next test
    after = select(left, first + more, allocation)
    assert after.removed == removed_count(size_of(scores), first + more)
    assert all(not (t & ~before[name]).any() for name, t in after.tensors.items())


@pytest.mark.parametrize("allocation", ["uniform", "erk"])
def test_the_sparsity_may_rise_in_small_steps(allocation: str) -> None:
    scores = random_scores(a=(30, 20), b=(25, 13), c=(11, 5), d=(9, 7))
    for sparsity in torch.linspace(0.05, 0.95, 400).tolist():
        keep = select(scores, sparsity, allocation).tensors
        scores = {name: t.masked_fill(~keep[name], -math.inf) for name, t in scores.items()}


@every
def test_exactly_what_is_pruned_can_be_asked_for_again(allocation: str) -> None:
    scores = random_scores(a=(50, 3), b=(40,))
    keep = select(scores, 0.6, allocation)
    left = {name: t.masked_fill(~keep.tensors[name], -math.inf) for name, t in scores.items()}
    assert select(left, 0.6, allocation) == keep


@every
def test_asking_for_less_than_is_pruned_raises(allocation: str) -> None:
    pruned = {"a": torch.full((10,), -math.inf), "b": torch.full((10,), -math.inf)}
    with pytest.raises(MethodError, match="pruned already"):
        select(pruned, 0.5, allocation)


@pytest.mark.parametrize("sparsity", [0.0, 0.1])
def test_one_weight_too_many_pruned_raises(sparsity: float) -> None:
    scores = {"a": torch.arange(10.0)}
    scores["a"][:2] = -math.inf
    with pytest.raises(MethodError, match="2 are pruned already"):
        global_mask(scores, sparsity)


@every
@pytest.mark.parametrize("sparsity", [0.0, 0.5, 1.0])
def test_nan_raises_and_names_the_layer(allocation: str, sparsity: float) -> None:
    scores = random_scores(good=(9,), bad=(9,))
    scores["bad"][4] = math.nan
    with pytest.raises(MethodError, match="bad contain NaN"):
        select(scores, sparsity, allocation)


@every
@pytest.mark.parametrize("sparsity", [-0.1, 1.1, math.nan, 90])
def test_a_sparsity_is_a_share(allocation: str, sparsity: float) -> None:
    with pytest.raises(MethodError, match="share removed"):
        select(random_scores(a=(9,)), sparsity, allocation)


@every
def test_nothing_and_everything(allocation: str) -> None:
    scores = random_scores(a=(9, 2), b=(4,))
    assert select(scores, 0.0, allocation).removed == 0
    assert select(scores, 1.0, allocation).removed == 22


@every
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16, torch.int64])
def test_scores_may_be_of_any_number_type(allocation: str, dtype: torch.dtype) -> None:
    scores = {"a": torch.arange(20).to(dtype), "b": torch.arange(20, 30).to(dtype)}
    assert select(scores, 0.5, allocation).removed == 15


def erk_by_bisection(sizes: dict[str, torch.Size], sparsity: float) -> dict[str, float]:
    """Find the one scale at which min(1, scale x (sum of dimensions) / (their product)) keeps the right number."""
    raw = {name: sum(shape) / math.prod(shape) for name, shape in sizes.items()}
    low, high = 0.0, max(1 / r for r in raw.values())
    for _ in range(200):
        middle = (low + high) / 2
        kept = sum(min(1.0, middle * raw[name]) * math.prod(shape) for name, shape in sizes.items())
        low, high = (middle, high) if kept < (1 - sparsity) * sum(map(math.prod, sizes.values())) else (low, middle)
    return {name: min(1.0, high * r) for name, r in raw.items()}


@given(shapes, st.floats(0, 1))
def test_erk_densities_equal_an_independent_computation(found: list[list[int]], sparsity: float) -> None:
    sizes = {str(index): torch.Size(shape) for index, shape in enumerate(found)}
    assert erk_densities(sizes, sparsity) == pytest.approx(erk_by_bisection(sizes, sparsity), abs=1e-6)


@given(shapes, st.floats(0, 1))
def test_balanced_layers_keep_the_same_count_or_all_they_have(found: list[list[int]], sparsity: float) -> None:
    sizes = {str(index): torch.Size(shape) for index, shape in enumerate(found)}
    kept = {n: density * sizes[n].numel() for n, density in balanced_densities(sizes, sparsity).items()}
    most = max(kept.values())
    assert all(count == pytest.approx(min(most, sizes[n].numel()), abs=1e-6) for n, count in kept.items())
    assert sum(kept.values()) == pytest.approx(
        (1 - sparsity) * sum(shape.numel() for shape in sizes.values()), abs=1e-6
    )


@given(scores=tied_scores(), sparsity=sparsities)
def test_balanced_follows_its_densities_within_one_weight(scores: dict[str, Tensor], sparsity: float) -> None:
    density = balanced_densities({name: t.shape for name, t in scores.items()}, sparsity)
    for name, (removed, size) in balanced_mask(scores, sparsity).layers.items():
        assert abs(removed - (1 - density[name]) * size) < 1 + 1e-6


def test_erk_densities_of_lenet() -> None:
    sizes = {"1": torch.Size([300, 784]), "2": torch.Size([100, 300]), "3": torch.Size([10, 100])}
    density = erk_densities(sizes, 0.9)
    assert density["3"] == 1.0  # 110 / 1000 at this scale would pass 1
    scale = (0.1 * 266_200 - 1000) / (1084 + 400)
    assert density["1"] == pytest.approx(scale * 1084 / 235_200)
    assert density["2"] == pytest.approx(scale * 400 / 30_000)


@every
def test_a_planned_selection_knows_its_count_and_lineage(allocation: str) -> None:
    def planned(lineage: str) -> dict[str, Tensor]:
        return {"a": Planned.of(torch.Size([10, 5]), lineage)}

    mask = select(planned("x"), 0.7, allocation)
    assert mask.removed == 35
    assert mask == select(planned("x"), 0.7, allocation)
    different = [select(planned("y"), 0.7, allocation), select(planned("x"), 0.71, allocation)]
    different += [select(planned("x"), 0.7, other) for other in ALLOCATIONS if other != allocation]
    assert all(mask != other for other in different)


@every
def test_a_planned_selection_of_nothing_is_the_full_mask(allocation: str) -> None:
    assert select({"a": Planned.of(torch.Size([10]), "x")}, 0.0, allocation) == select(
        {"a": torch.rand(10, generator=Generator())}, 0.0, allocation
    )
