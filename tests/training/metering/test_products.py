"""Operations are counted as torch's own counter counts them, wherever they are computed, and the results keep their bits."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.func import grad, vmap
from torch.utils.flop_counter import FlopCounterMode

from lthbench.training.metering.products import counted

Draw = Callable[..., Tensor]


def backward(draw: Draw) -> Tensor:
    weight, images = draw(5, 3).requires_grad_(), draw(7, 3)
    (slope,) = torch.autograd.grad(F.linear(images, weight).square().sum(), [weight], create_graph=True)
    return torch.autograd.grad(slope.square().sum(), [weight])[0]


def convolution(draw: Draw) -> Tensor:
    kernels, images = draw(4, 2, 3, 3).requires_grad_(), draw(2, 2, 6, 6).requires_grad_()
    out = F.conv2d(images, kernels, stride=2, padding=1)
    return torch.cat([t.flatten() for t in torch.autograd.grad(out.square().sum(), [kernels, images])])


def per_example(draw: Draw) -> Tensor:
    def loss(weight: Tensor, image: Tensor) -> Tensor:
        return (weight @ weight.T @ image).square().sum() + F.linear(image[None], weight).sum()

    return vmap(grad(loss), in_dims=(None, 0))(draw(3, 3), draw(6, 3))


WAYS: dict[str, Callable[[Draw], Tensor]] = {
    "linear": lambda draw: F.linear(draw(7, 3), draw(5, 3), draw(5)),
    "einsum": lambda draw: torch.einsum("bij,bjk->bik", draw(2, 3, 4), draw(2, 4, 5)),
    "out": lambda draw: torch.mm(draw(3, 4), draw(4, 5), out=torch.empty(3, 5)),
    "baddbmm": lambda draw: torch.baddbmm(draw(2, 3, 5), draw(2, 3, 4), draw(2, 4, 5)),
    "backward": backward,
    "convolution": convolution,
    "per example": per_example,
}


def measured(way: Callable[[Draw], Tensor]) -> tuple[int, Tensor]:
    total = 0

    def add(count: int) -> None:
        nonlocal total
        total += count

    with counted(add):
        found = way(generator())
    return total, found


def generator() -> Draw:
    drawn = torch.Generator().manual_seed(1)
    return lambda *shape: torch.randn(*shape, generator=drawn)


@pytest.mark.parametrize("name", WAYS)
def test_the_count_is_torchs_and_the_bits_are_the_same(name: str) -> None:
    with FlopCounterMode(display=False) as theirs:
        plain = WAYS[name](generator())
    ours, found = measured(WAYS[name])
    assert found.equal(plain)
    assert ours >= theirs.get_total_flops() > 0
    assert ours == theirs.get_total_flops() or name == "per example"  # its products with a vector are counted too


IN_PLACE: dict[str, Callable[[Draw, int, int, int], Any]] = {
    "addmm_": lambda draw, n, m, k: draw(n, k).addmm_(draw(n, m), draw(m, k)),
    "baddbmm_": lambda draw, n, m, k: draw(1, n, k).baddbmm_(draw(1, n, m), draw(1, m, k)),
    "addbmm_": lambda draw, n, m, k: draw(n, k).addbmm_(draw(1, n, m), draw(1, m, k)),
    "mv": lambda draw, n, m, k: [torch.mv(draw(n, m), draw(m)) for _ in range(k)],
    "addmv_": lambda draw, n, m, k: [draw(n).addmv_(draw(n, m), draw(m)) for _ in range(k)],
    "dot": lambda draw, n, m, k: [torch.dot(draw(m), draw(m)) for _ in range(n * k)],
}


@pytest.mark.parametrize("name", IN_PLACE)
@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 5))
def test_no_way_to_write_a_product_is_free(name: str, n: int, m: int, k: int) -> None:
    assert measured(lambda draw: IN_PLACE[name](draw, n, m, k))[0] == 2 * n * m * k


def test_attention_is_counted() -> None:
    total, _ = measured(
        lambda draw: F.scaled_dot_product_attention(draw(1, 2, 4, 8), draw(1, 2, 4, 8), draw(1, 2, 4, 8))
    )
    assert total == 2 * (2 * 2 * 4 * 4 * 8)


def test_nothing_is_counted_outside_and_for_no_thread_else() -> None:
    total, _ = measured(lambda draw: draw(3, 3))
    draw = generator()
    draw(3, 3) @ draw(3, 3)
    assert total == 0
