"""Images go to the device as bytes and are normalised there, a few at a time; a meta device stands for a GPU."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lthbench.data import Examples, Manifest
from lthbench.training.feed import CHUNK, Feed, StreamedFeed
from lthbench.training.recipe import Recipe

SHAPE = (3, 4, 4)
SIZE = 2 * CHUNK + 7
META = torch.device("meta")
IMAGE = math.prod(SHAPE)
MANIFEST = Manifest("random", 10, SHAPE, (127.0,) * 3, (74.0,) * 3, {"train": SIZE}, {"train": ""})


class Watch(TorchDispatchMode):
    """Note what is sent to the device, and the floats that each side makes."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[tuple[torch.dtype, int]] = []
        self.floats: dict[str, int] = {"cpu": 0, "meta": 0}  # the most in one tensor
        self.doubles = 0  # the most in one tensor, on either side
        self.lifted = 0  # tensors that are made of Python's numbers

    def __torch_dispatch__(self, op: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = op(*args, **(kwargs or {}))
        self.lifted += op is torch.ops.aten.lift_fresh.default
        given = [t for t in tree_leaves(args) if isinstance(t, Tensor) and t.device.type == "cpu" and t.numel() > 3]
        for made in (t for t in tree_leaves(found) if isinstance(t, Tensor)):
            if made.is_floating_point():
                self.floats[made.device.type] = max(self.floats[made.device.type], made.numel())
            if made.dtype == torch.float64:
                self.doubles = max(self.doubles, made.numel())
            if made.is_meta:
                self.sent += [(t.dtype, t.numel()) for t in given]
        return found


@contextmanager
def watched() -> Iterator[Watch]:
    with Watch() as watch:
        yield watch


@pytest.fixture
def examples() -> Examples:
    channels, height, width = SHAPE
    images = torch.randint(0, 256, (SIZE, height, width, channels), dtype=torch.uint8)
    return Examples(images, torch.arange(SIZE) % 10)


def test_a_whole_set_arrives_as_bytes_and_is_normalised_in_parts(examples: Examples) -> None:
    feed = Feed(examples, MANIFEST, META)
    with watched() as watch:
        assert feed.images.shape == (SIZE, *SHAPE)
    assert {kind for kind, _ in watch.sent} == {torch.uint8}
    assert sum(size for _, size in watch.sent) == SIZE * IMAGE
    assert watch.floats["cpu"] <= IMAGE  # one image, for its layout
    assert watch.doubles <= CHUNK * IMAGE


def test_a_streamed_batch_arrives_as_bytes(examples: Examples) -> None:
    feed = StreamedFeed(examples, torch.arange(SIZE), MANIFEST, META)
    recipe = Recipe(epochs=1, batch=128, lr=0.1)
    [first, *_] = feed.epoch(recipe.clock(SIZE), recipe, 0, 0, 0)
    with watched() as watch:
        images, _ = feed.batch(first)
    assert images.is_meta and watch.floats == {"cpu": 0, "meta": 128 * IMAGE}
    assert (torch.uint8, 128 * IMAGE) in watch.sent
    assert {kind for kind, _ in watch.sent} == {torch.uint8, torch.int64}  # images, and the indices of labels


def test_a_streamed_batch_makes_no_tensor_of_numbers(examples: Examples) -> None:
    """A GPU would wait for the host at each of them."""
    feed = StreamedFeed(examples, torch.arange(SIZE), MANIFEST, torch.device("cpu"))
    feed.batch(torch.arange(8))
    with Watch() as watch:
        feed.batch(torch.arange(8, 16))
    assert watch.lifted == 0
