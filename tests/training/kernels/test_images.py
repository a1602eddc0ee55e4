"""The gather from bytes gives the bits of normalising, cropping and flipping one after another."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lthbench.data import Examples, Manifest
from lthbench.training import feed as feeds
from lthbench.training.augment import AUGMENTATIONS
from lthbench.training.feed import Feed

pytest.importorskip("lthbench.training.kernels.images", reason="Triton is needed")

CROP = AUGMENTATIONS["crop-flip"]
SIZE = 9


def feed(channels: int, height: int, width: int) -> Feed:
    g = torch.Generator().manual_seed(channels)
    images = torch.randint(0, 256, (SIZE, height, width, channels), generator=g, dtype=torch.uint8)
    mean, std = tuple(100.0 + 9.3 * c for c in range(channels)), tuple(60.0 + 3.1 * c for c in range(channels))
    manifest = Manifest("random", 3, (channels, height, width), mean, std, {"train": SIZE}, {"train": ""})
    return Feed(Examples(images, torch.arange(SIZE) % 3), manifest, torch.device("cpu"))


@settings(max_examples=12)
@given(st.sampled_from([(1, 8, 8), (3, 16, 16), (3, 5, 9), (2, 20, 24)]), st.integers(0, 99), st.integers(1, SIZE))
def test_both_ways_give_the_same_bits(shape: tuple[int, int, int], seed: int, count: int) -> None:
    here, g = feed(*shape), torch.Generator().manual_seed(seed)
    index, draws = torch.randint(0, SIZE, (count,), generator=g), CROP.draw(count, *shape[1:], g)
    expected, labels = here.augmented(index, CROP, draws)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feeds, "program", lambda device: "fused")
        images, theirs = here.augmented(index, CROP, draws)
    assert torch.equal(images, expected) and torch.equal(labels, theirs)
    assert images.dtype == expected.dtype and images.stride() == expected.stride()


def test_the_whole_set_is_on_the_device_as_bytes_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "program", lambda device: "fused")
    here = feed(3, 16, 16)
    here.load(CROP)
    here.augmented(torch.arange(4), CROP, CROP.draw(4, 16, 16, torch.Generator()))
    assert "images" not in vars(here) and "_bytes" in vars(here)


@pytest.mark.parametrize("augment", [name for name in AUGMENTATIONS if name != "crop-flip"])
def test_other_augmentations_stay_as_they_are(augment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    here, other = feed(3, 16, 16), AUGMENTATIONS[augment]
    draws = other.draw(4, 16, 16, torch.Generator().manual_seed(0))
    expected, _ = here.augmented(torch.arange(4), other, draws)
    monkeypatch.setattr(feeds, "program", lambda device: "fused")
    assert torch.equal(here.augmented(torch.arange(4), other, draws)[0], expected)
