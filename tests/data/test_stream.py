"""Streams: what a resident feed gives, batch for batch, whatever the number of workers."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torchvision.transforms import v2

from lthbench.data import DataHome
from lthbench.data.add import add
from lthbench.data.stream import Stream
from lthbench.data.transforms import TRANSFORMS
from lthbench.training.feed import Feed
from lthbench.training.recipe import Recipe

from .drawn import folder

CPU = torch.device("cpu")
Pairs = list[tuple[Tensor, Tensor]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> DataHome:
    base = tmp_path_factory.mktemp("stream")
    add(base / "home", "mine", folder(base / "images", train=9, test=2, size=(8, 8)))
    return DataHome(base / "home")


@pytest.fixture
def feed(home: DataHome) -> Feed:
    return Feed(home.load("mine", "train"), home.manifest("mine"), CPU)


def jittered(image: Tensor) -> Tensor:
    """Random in every pixel, so that no two draws agree by accident."""
    return image ^ torch.randint(0, 256, image.shape, dtype=torch.uint8)


def stream(home: DataHome, **options: object) -> Stream:
    return Stream(home.on_disk("mine", "train"), CPU, **options)  # type: ignore[arg-type]


def same(a: Iterable[tuple[Tensor, Tensor]], b: Iterable[tuple[Tensor, Tensor]]) -> bool:
    pairs = list(zip(a, b, strict=True))
    return bool(pairs) and all(torch.equal(x[0], y[0]) and torch.equal(x[1], y[1]) for x, y in pairs)


def passed(over: Stream, lists: list[Tensor], seed: int = 0, order: int = 0, epoch: int = 0, first: int = 0) -> Pairs:
    return list(over.batches(lists, seed, order, epoch, first))


@pytest.fixture
def lists() -> list[Tensor]:
    return list(torch.randperm(27, generator=torch.Generator().manual_seed(0)).split(5))


@pytest.fixture(scope="module")
def two(home: DataHome) -> Iterator[Stream]:
    """A stream with two workers, which take seconds to start."""
    with_workers = stream(home, transform=jittered, workers=2)
    yield with_workers
    with_workers.close()


@given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5), st.integers(1, 27), st.none() | st.integers(1, 27))
def test_the_epochs_are_those_of_a_feed(
    home: DataHome, seed: int, order: int, epoch: int, batch: int, examples: int | None
) -> None:
    recipe = Recipe(epochs=2, batch=batch, lr=0.1, examples=examples)
    clock = recipe.clock(27)
    feed = Feed(home.load("mine", "train"), home.manifest("mine"), CPU)
    ours, theirs = (f.epoch(clock, recipe, seed, order, epoch) for f in (stream(home), feed))
    assert len(ours) == len(theirs) and all(map(torch.equal, ours, theirs))


def test_the_batches_are_those_of_a_feed_bit_for_bit(home: DataHome, feed: Feed, lists: list[Tensor]) -> None:
    theirs = [feed.batch(index) for index in lists]
    assert same([stream(home).batch(index) for index in lists], theirs)
    assert same(passed(stream(home), lists), theirs)
    assert torch.equal(stream(home).labels, feed.labels)
    assert stream(home).batch(lists[0])[0].dtype == torch.float32


def test_a_part_of_the_split_counts_for_itself(home: DataHome, feed: Feed) -> None:
    kept = torch.arange(1, 27, 2)
    part = stream(home, index=kept)
    assert len(part) == len(kept)
    assert same([part.batch(torch.tensor([0, 3]))], [feed.batch(kept[[0, 3]])])


@pytest.mark.parametrize("name", TRANSFORMS)
def test_every_pipeline_is_a_function_of_seed_order_and_epoch(home: DataHome, lists: list[Tensor], name: str) -> None:
    manifest = home.manifest("mine")
    made = [stream(home, transform=TRANSFORMS[name](manifest, 8)) for _ in range(2)]
    assert same(passed(made[0], lists), passed(made[1], lists))
    assert passed(made[0], lists)[0][0].shape == (5, 3, 8, 8)
    for change in ({"seed": 1}, {"order": 1}, {"epoch": 1}):
        assert same(passed(made[0], lists), passed(made[1], lists, **change)) == (name == "none")


def test_the_number_of_workers_changes_no_bit(home: DataHome, two: Stream, lists: list[Tensor]) -> None:
    alone = stream(home, transform=jittered)
    for epoch in range(3):
        assert same(passed(two, lists, epoch=epoch), passed(alone, lists, epoch=epoch))


def test_a_pass_that_is_given_up_leaves_no_trace(home: DataHome, two: Stream, lists: list[Tensor]) -> None:
    for number in range(4):
        given_up = two.batches(lists, 7, 7, number)
        next(given_up)
    assert same(passed(two, lists, epoch=9), passed(stream(home, transform=jittered), lists, epoch=9))


def test_a_stream_goes_on_after_close(home: DataHome, lists: list[Tensor]) -> None:
    over = stream(home, transform=jittered)
    before = passed(over, lists)
    over.close()
    assert same(passed(over, lists), before)


def test_going_on_in_the_middle_of_an_epoch_gives_its_second_half(home: DataHome, lists: list[Tensor]) -> None:
    over = stream(home, transform=jittered)
    assert same(passed(over, lists)[2:], passed(over, lists[2:], first=2))


def test_two_batches_and_two_images_draw_differently(home: DataHome) -> None:
    over = stream(home, transform=jittered)
    images = torch.cat([images for images, _ in passed(over, [torch.tensor([4, 4]), torch.tensor([4])])])
    assert len({image.numpy().tobytes() for image in images}) == 3


def test_global_generators_are_as_they_were(home: DataHome, lists: list[Tensor]) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    passed(stream(home, transform=jittered), lists)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_draws_do_not_depend_on_the_global_generator(home: DataHome, lists: list[Tensor]) -> None:
    found = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        found.append(passed(stream(home, transform=v2.RandomCrop(8, padding=2)), lists))
    assert same(*found)


def test_a_pipeline_fits_images_to_another_side(home: DataHome, lists: list[Tensor]) -> None:
    for name, side in (("none", 6), ("random-resized-crop-flip", 12), ("crop-flip", 6)):
        over = stream(home, transform=TRANSFORMS[name](home.manifest("mine"), side))
        assert passed(over, lists[:1])[0][0].shape == (5, 3, side, side)


def test_a_stream_of_no_batches_is_empty(home: DataHome) -> None:
    assert passed(stream(home), []) == []


def test_what_a_worker_gets_is_a_path_and_no_images(home: DataHome) -> None:
    import pickle

    split = home.on_disk("mine", "train")
    assert split.arrays[0].shape == (27, 8, 8, 3)
    assert len(pickle.dumps(split)) < 500
    assert (pickle.loads(pickle.dumps(split)).arrays[0] == split.arrays[0]).all()


def test_streaming_reads_the_disk_and_nothing_is_resident(home: DataHome, tmp_path: Path) -> None:
    images = home.on_disk("mine", "train").arrays[0]
    assert type(images).__name__ == "memmap" and not images.flags.writeable
