"""Augmentations: functions of batch and generator, equal to a slow reference, the same on every device."""

import hashlib
from collections import Counter

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Generator, Tensor
from torchvision.transforms.v2 import functional as slow

from lthbench.training.augment import (
    AUGMENTATIONS,
    crop_flip,
    cutout,
    mirror,
    random_resized_crop,
    rectangles,
    resized_crop,
)

shapes = st.tuples(st.integers(1, 9), st.integers(1, 3), st.integers(4, 20), st.integers(4, 20))
seeds = st.integers(0, 10_000)


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def batch(shape: tuple[int, ...] = (64, 3, 16, 16), seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=seeded(seed))


@pytest.mark.parametrize("name", AUGMENTATIONS)
@given(shape=shapes, seed=seeds)
def test_shape_and_type_stay_and_the_batch_is_untouched(name: str, shape: tuple[int, ...], seed: int) -> None:
    images = batch(shape)
    before = images.clone()
    for same in (images, images.double(), images.bfloat16(), images.to(memory_format=torch.channels_last)):
        out = AUGMENTATIONS[name](same, seeded(seed))
        assert (out.shape, out.dtype) == (same.shape, same.dtype)
        assert out.isfinite().all()
    assert torch.equal(images, before)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_the_generator_decides_alone(name: str) -> None:
    images = batch()
    torch.manual_seed(0)
    state = torch.get_rng_state()
    first, again, other = (AUGMENTATIONS[name](images, seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert torch.equal(first, other) == (name == "none")
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_the_layout_in_memory_does_not_matter(name: str) -> None:
    plain, last = batch(), batch().to(memory_format=torch.channels_last)
    assert torch.equal(AUGMENTATIONS[name](plain, seeded()), AUGMENTATIONS[name](last, seeded()))


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_a_cpu_generator_gives_the_same_on_a_gpu(name: str) -> None:
    here, there = (AUGMENTATIONS[name](batch().to(device), seeded()).cpu() for device in ("cpu", "cuda"))
    torch.testing.assert_close(there, here, atol=1e-5, rtol=0)


def test_the_bits_of_crop_flip_are_what_they_were() -> None:
    whole = torch.arange(16 * 3 * 8 * 8, dtype=torch.float32).reshape(16, 3, 8, 8)
    out = crop_flip(whole, seeded(5))
    assert hashlib.sha256(out.contiguous().numpy().tobytes()).hexdigest()[:16] == "638b46c75aa96b64"


def test_crop_flip_against_a_loop() -> None:
    images, g = batch((20, 2, 8, 8)), seeded(3)
    top, left = (torch.randint(0, 3, (20,), generator=g).tolist() for _ in range(2))
    flipped = torch.randint(0, 2, (20,), generator=g).tolist()
    padded = F.pad(images, (1, 1, 1, 1))
    for i, out in enumerate(crop_flip(images, seeded(3))):
        crop = padded[i, :, top[i] : top[i] + 8, left[i] : left[i] + 8]
        assert torch.equal(out, crop.flip(2) if flipped[i] else crop)


@given(st.integers(1, 30), st.integers(4, 40), st.integers(4, 40), seeds)
def test_rectangles_lie_in_the_image(count: int, height: int, width: int, seed: int) -> None:
    top, left, h, w = rectangles(count, height, width, seeded(seed))
    assert (top >= 0).all() and (left >= 0).all() and (h > 0).all() and (w > 0).all()
    assert (top + h <= height).all() and (left + w <= width).all()


def test_rectangles_have_the_distribution_of_the_paper() -> None:
    top, left, h, w = (part.double() for part in rectangles(20_000, 224, 224, seeded()))
    area, ratio = h * w / 224**2, w / h
    assert area.min() > 0.079 and area.max() <= 1.0
    assert ratio.min() > 0.74 and ratio.max() < 1.35
    assert ratio.log().mean().abs() < 0.01
    low = area[area < 0.5]
    assert (low.mean() - (0.08 + 0.5) / 2).abs() < 0.005
    assert ((top / (224 - h).clamp(min=1)).mean() - 0.5).abs() < 0.02
    assert ((left / (224 - w).clamp(min=1)).mean() - 0.5).abs() < 0.02


def test_a_shape_that_no_rectangle_fits_keeps_the_whole_image() -> None:
    top, left, h, w = rectangles(50, 1, 400, seeded())
    whole = (h == 1) & (w == 400)
    assert whole.any() and (top == 0).all() and (left[whole] == 0).all()


@given(st.integers(1, 12), st.integers(4, 24), st.integers(4, 24), seeds)
def test_resized_crop_against_torchvision_one_by_one(count: int, height: int, width: int, seed: int) -> None:
    images = batch((count, 3, height, width), seed)
    places = rectangles(count, height, width, seeded(seed))
    for i, out in enumerate(resized_crop(images, *places)):
        where = [int(part[i]) for part in places]
        reference = slow.resized_crop(images[i], *where, size=[height, width], antialias=False)  # type: ignore[misc]
        torch.testing.assert_close(out, reference, atol=1e-5, rtol=1e-5)


def test_the_whole_rectangle_is_the_image_itself() -> None:
    images = batch()
    corner, side = torch.zeros(64, dtype=torch.int64), torch.full((64,), 16)
    assert torch.equal(resized_crop(images, corner, corner, side, side), images)


def test_a_random_resized_crop_never_leaves_the_range_of_the_image() -> None:
    images = batch()
    out = random_resized_crop(images, seeded())
    assert (out.amax((2, 3)) <= images.amax((2, 3)) + 1e-6).all()
    assert (out.amin((2, 3)) >= images.amin((2, 3)) - 1e-6).all()


@given(shapes, seeds)
def test_cutout_against_a_loop(shape: tuple[int, ...], seed: int) -> None:
    images, g = batch(shape), seeded(seed)
    count, _, height, width = shape
    rows, columns = (torch.randint(0, side, (count,), generator=g).tolist() for side in (height, width))
    half = max(1, height // 4)
    for i, out in enumerate(cutout(images, seeded(seed))):
        reference = images[i].clone()
        reference[:, max(0, rows[i] - half) : rows[i] + half, max(0, columns[i] - half) : columns[i] + half] = 0
        assert torch.equal(out, reference)


def test_holes_on_32_pixels_are_those_of_the_paper() -> None:
    holes = (cutout(torch.ones(2000, 1, 32, 32), seeded()) == 0)[:, 0]
    areas = Counter(holes.sum((1, 2)).tolist())
    assert max(areas) == 16 * 16 and min(areas) == 8 * 8
    assert (holes.double().mean((0, 1))[8:-8] - 16 * 16 / 32 / 32).abs().max() < 0.1


def test_mirror_flips_half() -> None:
    images = batch((400, 1, 4, 4))
    out = mirror(images, seeded())
    flipped = torch.tensor([torch.equal(o, i.flip(2)) for o, i in zip(out, images, strict=True)])
    kept = torch.tensor([torch.equal(o, i) for o, i in zip(out, images, strict=True)])
    assert (flipped ^ kept).all() and 160 < flipped.sum() < 240


def test_compositions_go_on_drawing_from_one_generator() -> None:
    images, g = batch(), seeded(4)
    assert torch.equal(AUGMENTATIONS["crop-flip-cutout"](images, seeded(4)), cutout(crop_flip(images, g), g))
    g = seeded(4)
    expected = mirror(random_resized_crop(images, g), g)
    assert torch.equal(AUGMENTATIONS["random-resized-crop-flip"](images, seeded(4)), expected)
