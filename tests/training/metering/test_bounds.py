"""What a probe may bring out: statistics of a network, and no examples."""

import pytest
import torch
from torch import Generator, Tensor

from lthbench.errors import MethodError
from lthbench.models import Model
from lthbench.training.metering.bounds import check_fields, check_found, check_own_work, check_work
from lthbench.training.rules import L1

MODEL = Model("mlp-16", (1, 8, 8), 10, "all")
IMAGES = torch.rand(20, 1, 8, 8, generator=Generator().manual_seed(0))


def found(tensor: Tensor, examples: int = 20) -> None:
    check_found("Mine", {"x": tensor}, MODEL, IMAGES[:examples], examples)


def test_statistics_come_out() -> None:
    found(torch.rand(64, 64, generator=Generator().manual_seed(1)))
    found(IMAGES.mean(0))
    found(torch.tensor(3.0))


@pytest.mark.parametrize("change", [lambda t: t, lambda t: 5 - 0.1 * t, lambda t: t[:, 0].double()])
def test_images_do_not(change: object) -> None:
    with pytest.raises(MethodError, match="holds the images"):
        found(change(IMAGES).reshape(-1, 32))  # type: ignore[operator]


def test_a_gradient_that_is_a_multiple_of_one_example_is_no_image() -> None:
    gradient = torch.rand(16, 64, generator=Generator().manual_seed(2))
    gradient[3] = -0.2 * IMAGES[5].flatten()
    found(gradient)


def test_nothing_grows_with_the_examples() -> None:
    with pytest.raises(MethodError, match="one row for each of 19 examples"):
        found(torch.zeros(19, 3), examples=19)
    found(torch.zeros(16, 3), examples=16)  # as many as the network has neurons


def test_what_comes_out_is_bounded_by_the_network() -> None:
    with pytest.raises(MethodError, match=r"returned 900001 numbers; \d+ are allowed"):
        found(torch.zeros(900_001))


def test_fields_hold_settings() -> None:
    check_fields(L1(0.1), MODEL)


def test_work_is_bounded_by_the_charge() -> None:
    forward = 2 * (64 * 16 + 16 * 10)
    check_work("Mine", forward * 12 * 100, 100, MODEL)
    with pytest.raises(MethodError, match="allowed for the 100 examples"):
        check_work("Mine", forward * (12 * 100 + 2001), 100, MODEL)
    check_own_work(forward * 100, 1000, MODEL)
    with pytest.raises(MethodError, match="allowed beside its trainings"):
        check_own_work(forward * 3000, 1000, MODEL)
