"""New test images (end of section 8)."""

from collections.abc import Callable

import numpy as np
import pytest

from lthbench.scoring.images import se_on_new_images


def correct(rows: str) -> np.ndarray:
    return np.array([[int(image) for image in seed] for seed in rows.split("/")])


def test_three_seeds_on_four_images(close: Callable[[object], object]) -> None:
    assert se_on_new_images(correct("1110/1101/1011"), correct("1010/1001/0011")) == close(8.3333333)


def test_images_that_differ_add_to_what_seeds_show() -> None:
    a, b = np.zeros((3, 100)), np.zeros((3, 100))
    a[:, :10] = 1
    assert se_on_new_images(a, b) == pytest.approx(100 * np.sqrt(0.1 * 0.9 / 99))
    assert se_on_new_images(a, b, se=4.0) == pytest.approx(np.sqrt(4.0**2 + 100**2 * 0.1 * 0.9 / 99))


def test_it_covers_the_difference_on_redrawn_images() -> None:
    rng = np.random.default_rng(5)
    spread, told = [], []
    for _ in range(400):
        right = rng.random((2, 1, 300)) < 0.9
        flips = rng.random((2, 5, 300)) < 0.03
        a, b = right ^ flips
        spread.append(100 * (a.mean() - b.mean()))
        told.append(se_on_new_images(a, b) ** 2)
    assert np.mean(told) == pytest.approx(np.var(spread), rel=0.2)


@pytest.mark.parametrize("shapes", [((3, 4), (3, 5)), ((1, 4), (1, 4)), ((4,), (4,))])
def test_shapes_that_cannot_be_crossed_raise(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match="equal shapes"):
        se_on_new_images(*(np.zeros(shape) for shape in shapes))
