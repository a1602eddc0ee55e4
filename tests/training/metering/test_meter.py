"""The meter counts what networks see, however they are called, and nothing that shows them nothing."""

import threading

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from lthbench.training.metering.meter import metered, unmetered

NET = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Sequential(nn.Linear(8, 3), nn.Softmax(1)))
WEIGHTS = {name: p.detach() for name, p in NET.named_parameters()}


def images(count: int) -> Tensor:
    return torch.arange(4.0 * count).view(count, 4) / 7


@given(st.lists(st.integers(1, 9), max_size=6))
def test_outermost_calls_are_counted_once(sizes: list[int]) -> None:
    with metered() as meter:
        for size in sizes:
            NET(images(size))
            functional_call(NET, WEIGHTS, (images(size),))
    assert meter.seen == 2 * sum(sizes)


def test_mapped_examples_are_counted() -> None:
    def loss(weights: dict[str, Tensor], image: Tensor) -> Tensor:
        return functional_call(NET, weights, (image[None],)).square().sum()

    with metered() as meter:
        vmap(grad(loss), in_dims=(None, 0))(WEIGHTS, images(10))
        vmap(vmap(lambda image: functional_call(NET, WEIGHTS, (image[None],))))(images(12).view(3, 4, 4))
    assert meter.seen == 22


def test_what_shows_nothing_is_free() -> None:
    with metered() as meter:
        NET(torch.ones(5, 4))
        NET.to("meta")(torch.empty(5, 4, device="meta"))
        with unmetered():
            nn.ReLU()(images(3))
    NET.to_empty(device="cpu")
    assert meter.seen == 0


def test_a_call_that_fails_is_counted_and_the_next_one_too() -> None:
    with metered() as meter:
        with pytest.raises(RuntimeError):
            nn.Linear(5, 2)(images(3))
        nn.Linear(4, 2)(images(2))
    assert (meter.seen, meter.open) == (5, False)


def test_other_threads_and_outer_meters_are_left_alone() -> None:
    layer = nn.Linear(4, 2)
    with metered() as outer:
        with metered() as inner:
            layer(images(2))
        other = threading.Thread(target=layer, args=(images(7),))
        other.start()
        other.join()
        layer(images(3))
    layer(images(4))
    assert (outer.seen, inner.seen) == (3, 2)


def test_products_are_counted_where_no_module_is_called() -> None:
    with metered() as meter:
        images(10) @ torch.ones(4, 8)
    assert (meter.seen, meter.flops) == (0, 2 * 10 * 4 * 8)
