"""Feeds: streamed images give the same as resident ones, bit for bit."""

import gc

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from lthbench.data import Examples, Manifest
from lthbench.data.packed.examples import pack, unpack
from lthbench.errors import MethodError
from lthbench.pruning.state import State
from lthbench.training import feed as feeds
from lthbench.training.feed import Feed, StreamedFeed
from lthbench.training.recipe import Recipe
from lthbench.training.trainer import Trainer
from tests.helpers import CLASSES, SHAPE, begin, bits, examples, trajectory

CPU = torch.device("cpu")
SIZE = 40
PART = torch.arange(3, SIZE, 2)  # as if the others were held out
MANIFEST = Manifest("random", CLASSES, SHAPE, (127.3,), (74.1,), {"train": SIZE}, {"train": ""})


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Examples:
    """Return examples whose images are mapped from a file."""
    folder = tmp_path_factory.mktemp("feed") / "random"
    pack(folder, "random", {"train": examples(SIZE)}, CLASSES)
    return unpack(folder, "train")


def both(packed: Examples) -> tuple[Feed, StreamedFeed]:
    return Feed(packed[PART], MANIFEST, CPU), StreamedFeed(packed, PART, MANIFEST, CPU)


def same(a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor]) -> bool:
    return all(x.dtype == y.dtype and x.stride() == y.stride() and torch.equal(x, y) for x, y in zip(a, b, strict=True))


@given(st.integers(0, 5), st.integers(0, 5), st.integers(1, 30), st.none() | st.integers(1, len(PART)))
def test_streamed_epochs_are_resident_ones(
    packed: Examples, seed: int, epoch: int, batch: int, count: int | None
) -> None:
    recipe = Recipe(epochs=9, batch=batch, lr=0.1, examples=count)
    resident, streamed = both(packed)
    lists = [f.epoch(recipe.clock(len(f)), recipe, seed, 0, epoch) for f in (resident, streamed)]
    assert len(lists[0]) == len(lists[1])
    assert all(same(resident.batch(a), streamed.batch(b)) for a, b in zip(*lists, strict=True))


def test_batches_may_be_asked_for_in_any_order_and_by_several_trainings(packed: Examples) -> None:
    recipe = Recipe(epochs=2, batch=4, lr=0.1)
    resident, streamed = both(packed)
    one, other = (streamed.epoch(recipe.clock(len(PART)), recipe, seed, 0, 0) for seed in (1, 2))
    for index in (one[2], other[0], one[0], one[0], other[1], one[1], torch.tensor([5, 5, 0])):
        assert same(resident.batch(index), streamed.batch(index))


def test_a_training_from_disk_has_the_same_bits(packed: Examples) -> None:
    t = trajectory(size=len(PART), augment="crop-flip", examples=16)
    found: list[dict[int, State]] = []
    for over in both(packed):
        found.append({})
        Trainer(t, begin(t), 0, over).run([4, t.clock.total], found[-1].__setitem__)
    assert bits(found[0][4]) == bits(found[1][4])
    assert bits(found[0][t.clock.total]) == bits(found[1][t.clock.total])


def test_a_pass_in_order_is_that_of_resident_images(packed: Examples) -> None:
    resident, streamed = both(packed)
    pairs = list(zip(resident.in_order(7), streamed.in_order(7), strict=True))
    assert pairs and all(torch.equal(a, b) for a, b in pairs)


def test_what_fits_is_resident_and_the_rest_is_streamed(packed: Examples, monkeypatch: pytest.MonkeyPatch) -> None:
    size = 4 * len(PART) * 16  # float32 of one channel of 4 x 4
    for memory, resident in ((size, True), (size - 1, False)):
        monkeypatch.setattr(feeds, "image_memory", lambda device, memory=memory: memory)
        assert feeds.feed(packed, PART, MANIFEST, CPU).resident == resident


def test_there_is_room_for_a_small_data_set_here() -> None:
    assert feeds.image_memory(CPU) > 1_000_000


def test_streamed_images_are_not_handed_out_whole(packed: Examples) -> None:
    with pytest.raises(MethodError, match="batch by batch"):
        _ = both(packed)[1].images


def test_an_epoch_that_is_given_up_is_forgotten(packed: Examples) -> None:
    recipe = Recipe(epochs=1, batch=4, lr=0.1)
    streamed = both(packed)[1]
    lists = streamed.epoch(recipe.clock(len(PART)), recipe, 0, 0, 0)
    streamed.batch(lists[0])
    assert len(streamed._after) and len(streamed._read)
    del lists
    gc.collect()
    assert not len(streamed._after) and not len(streamed._read)
