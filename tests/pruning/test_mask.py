"""Masks: counts, digests, copies, shuffles, and the packed form."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Generator, Tensor

from lthbench.errors import MethodError, ValueLooked
from lthbench.pruning.mask import Mask
from lthbench.pruning.tensors import packed, unpacked

SIZES = {"a": torch.Size([6, 5]), "b": torch.Size([40])}


def random_mask(seed: int = 0, density: float = 0.4) -> Mask:
    g = Generator().manual_seed(seed)
    return Mask({name: torch.rand(shape, generator=g) < density for name, shape in SIZES.items()})


def planned(lineage: str = "p", removed: int | None = 28) -> Mask:
    return Mask.planned(SIZES, removed, lineage)


def test_counts() -> None:
    mask = Mask({"a": torch.tensor([[True, False], [False, False]]), "b": torch.tensor([True])})
    assert (mask.removed, mask.prunable, mask.sparsity) == (3, 5, 0.6)
    assert mask.layers == {"a": (3, 4), "b": (0, 1)}
    assert not mask.is_full


def test_the_full_mask_removes_nothing() -> None:
    full = Mask.full(SIZES)
    assert (full.removed, full.prunable, full.is_full) == (0, 70, True)
    assert all(t.all() and t.dtype == torch.bool for t in full.tensors.values())


def test_a_mask_of_numbers_is_refused_by_name() -> None:
    with pytest.raises(MethodError, match="weight_b"):
        Mask({"weight_a": torch.ones(3, dtype=torch.bool), "weight_b": torch.ones(3)})


def test_the_digest_is_of_the_content() -> None:
    mask = random_mask()
    assert mask.digest == random_mask().digest
    assert mask == random_mask() and hash(mask) == hash(random_mask())
    assert mask.digest == Mask(dict(reversed(mask.tensors.items()))).digest


def test_another_value_name_or_shape_is_another_digest() -> None:
    tensors = random_mask().tensors
    flipped = dict(tensors) | {"b": tensors["b"].clone()}
    flipped["b"][7] ^= True
    renamed = {"a": tensors["a"], "c": tensors["b"]}
    reshaped = {"a": tensors["a"].reshape(5, 6), "b": tensors["b"]}
    assert len({Mask(t).digest for t in (tensors, flipped, renamed, reshaped)}) == 4


def test_a_tensor_that_is_not_contiguous_has_the_digest_of_its_values() -> None:
    t = random_mask().tensors["a"]
    assert Mask({"a": t.T}).digest == Mask({"a": t.T.contiguous()}).digest


def test_changing_what_it_was_made_of_changes_no_mask() -> None:
    tensors = dict(random_mask().tensors)
    mask = Mask(tensors)
    for t in tensors.values():
        t.fill_(True)
    tensors["b"].numpy()[:] = True
    assert mask.removed == random_mask().removed > 0


def test_changing_what_it_hands_out_changes_no_mask() -> None:
    mask, digest = random_mask(), random_mask().digest
    for t in mask.tensors.values():
        t.zero_()
        t.data.fill_(True)
        t.numpy()[:] = False
    assert Mask(mask.tensors).digest == mask.digest == digest


def test_and_keeps_what_both_keep() -> None:
    one, other = random_mask(1), random_mask(2)
    both = (one & other).tensors
    assert all(torch.equal(both[n], one.tensors[n] & other.tensors[n]) for n in SIZES)
    assert one & one == one and one & Mask.full(SIZES) == one and one & other == other & one


@pytest.mark.parametrize("within", ["layer", "all"])
def test_a_shuffle_keeps_counts_and_really_moves(within: str) -> None:
    mask = random_mask()
    shuffled = mask.shuffled(Generator().manual_seed(3), within)
    assert shuffled.removed == mask.removed
    assert shuffled != mask
    assert {n: t.shape for n, t in shuffled.tensors.items()} == SIZES
    assert mask == random_mask()


def test_a_shuffle_within_layers_keeps_the_count_of_each() -> None:
    mask = random_mask()
    for seed in range(5):
        assert mask.shuffled(Generator().manual_seed(seed)).layers == mask.layers


def test_a_shuffle_over_all_moves_counts_between_layers() -> None:
    mask = Mask({"a": torch.zeros(100, dtype=torch.bool), "b": torch.ones(100, dtype=torch.bool)})
    shuffled = mask.shuffled(Generator().manual_seed(0), "all")
    assert all(30 < removed < 70 for removed, _ in shuffled.layers.values())


@pytest.mark.parametrize("within", ["layer", "all"])
def test_a_shuffle_is_a_function_of_its_generator(within: str) -> None:
    once, again = (random_mask().shuffled(Generator().manual_seed(3), within) for _ in range(2))
    other = random_mask().shuffled(Generator().manual_seed(4), within)
    assert once == again != other


def test_every_place_can_be_reached_by_a_shuffle() -> None:
    mask = Mask({"a": torch.tensor([True, False, False, False])})
    g = Generator().manual_seed(0)
    reached = sum(mask.shuffled(g).tensors["a"].int() for _ in range(400))
    assert (reached > 60).all()


def test_a_misspelt_scope_of_a_shuffle_raises() -> None:
    with pytest.raises(MethodError):
        random_mask().shuffled(Generator(), "layers")  # type: ignore[arg-type]


def test_distance_is_the_share_of_places_that_differ() -> None:
    one = Mask({"a": torch.tensor([True, True, False]), "b": torch.tensor([False])})
    other = Mask({"a": torch.tensor([True, False, True]), "b": torch.tensor([False])})
    assert one.distance(other) == other.distance(one) == 0.5
    assert one.distance(one) == 0


@given(st.lists(st.integers(0, 9), max_size=3), st.integers(0, 999))
def test_packing_loses_nothing(shape: list[int], seed: int) -> None:
    mask = torch.rand(shape, generator=Generator().manual_seed(seed)) < 0.5
    bits = packed(mask)
    assert bits.dtype == torch.uint8 and bits.shape == (-(-mask.numel() // 8),)
    back = unpacked(bits, mask.shape)
    assert back.shape == mask.shape and torch.equal(back, mask)


def test_a_mask_that_is_not_contiguous_is_packed_in_the_order_of_its_values() -> None:
    mask: Tensor = random_mask().tensors["a"].T
    assert torch.equal(unpacked(packed(mask), mask.shape), mask)


def test_a_planned_mask_knows_its_count_and_its_lineage() -> None:
    assert (planned().removed, planned().prunable, planned().sparsity) == (28, 70, 0.4)
    assert planned("p") == planned("p") != planned("q")
    assert not planned().is_full


def test_a_planned_mask_of_unknown_count_has_no_count_to_look_at() -> None:
    assert not planned(removed=None).is_full
    with pytest.raises(ValueLooked):
        _ = planned(removed=None).removed


def test_planned_masks_intersect_with_a_count_that_is_not_known() -> None:
    both = planned("p") & planned("q")
    assert both == planned("p") & planned("q") != planned("p") & planned("r")
    with pytest.raises(ValueLooked):
        _ = both.removed


def test_shuffling_a_planned_mask_depends_on_generator_and_scope() -> None:
    def shuffled(seed: int, within: str = "layer") -> Mask:
        return planned().shuffled(Generator().manual_seed(seed), within)  # type: ignore[arg-type]

    assert shuffled(1) == shuffled(1)
    assert len({shuffled(1), shuffled(2), shuffled(1, "all"), planned()}) == 4
    assert shuffled(1).removed == 28


def test_two_shuffles_of_a_planned_mask_by_one_generator_differ() -> None:
    g = Generator().manual_seed(1)
    assert planned().shuffled(g) != planned().shuffled(g)


def test_changing_what_a_planned_mask_hands_out_changes_no_mask() -> None:
    mask = planned()
    mask.tensors["a"].logical_not_()
    assert mask.digest == planned().digest
