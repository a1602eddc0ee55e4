"""Bases: they are orthonormal and invertible in every shape, the canonical one is ordinary pruning, and pruning acts on
coefficients."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.fft import dctn
from scipy.linalg import hadamard as sylvester
from torch import Generator, Size, Tensor

from lthbench import DCT2, LeftSingular, RandomOrthogonal, named_basis
from lthbench.errors import MethodError
from lthbench.pruning.bases import BASES, Orthonormal
from lthbench.pruning.bases.haar import haar
from lthbench.pruning.bases.hadamard import hadamard

shapes = st.one_of(
    st.tuples(*[st.integers(1, 12)] * 2),
    st.tuples(*[st.integers(1, 4)] * 2, *[st.integers(1, 5)] * 2),
    st.tuples(*[st.integers(1, 4)] * 2, st.integers(1, 5)),
)


def drawn(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=Generator().manual_seed(seed))


def every(shape: tuple[int, ...]) -> list[Orthonormal]:
    """Return one basis of each kind, for weights of this shape."""
    return [*(named_basis(name, 3) for name in BASES), LeftSingular.of({"w": drawn(shape, 1)})]  # type: ignore[list-item]


@given(shapes)
def test_every_basis_is_orthonormal_and_goes_there_and_back(shape: tuple[int, ...]) -> None:
    weight = drawn(shape)
    for basis in every(shape):
        for dim, matrix in basis.axes("w", Size(shape)).items():
            identity = torch.eye(shape[dim], dtype=torch.float64)
            torch.testing.assert_close(matrix @ matrix.T, identity, atol=1e-12, rtol=0)
        there = basis.inverse("w", weight)
        assert there.shape == weight.shape and there.is_contiguous()
        torch.testing.assert_close(basis.forward("w", there), weight, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(there.norm(), weight.norm(), atol=1e-5, rtol=1e-5)


def test_the_transforms_are_those_of_scipy() -> None:
    matrix, kernels = drawn((6, 5)), drawn((2, 3, 3, 3))
    assert np.allclose(DCT2().inverse("w", matrix), dctn(matrix, norm="ortho"), atol=1e-6)
    assert np.allclose(DCT2().inverse("w", kernels), dctn(kernels, axes=(2, 3), norm="ortho"), atol=1e-6)
    assert np.allclose(hadamard(8), sylvester(8) / 8**0.5)
    h = 0.5**0.5
    assert np.allclose(haar(4), [[0.5, 0.5, 0.5, 0.5], [0.5, 0.5, -0.5, -0.5], [h, -h, 0, 0], [0, 0, h, -h]])


def test_hadamard_of_other_sizes_is_cut_into_powers_of_two() -> None:
    assert [int((row != 0).sum()) for row in hadamard(13)] == [8] * 8 + [4] * 4 + [1]


def test_random_rotations_depend_on_seed_and_name() -> None:
    weight = drawn((5, 4))
    found = [RandomOrthogonal(seed).inverse(name, weight) for seed, name in [(0, "a"), (0, "a"), (0, "b"), (1, "a")]]
    assert torch.equal(found[0], found[1])
    assert not torch.allclose(found[0], found[2]) and not torch.allclose(found[0], found[3])


def test_rows_in_the_left_singular_basis_have_the_singular_values_as_norms() -> None:
    for shape in [(4, 7), (7, 4), (3, 2, 3, 3)]:
        weight = drawn(shape)
        rows = LeftSingular.of({"w": weight}).inverse("w", weight).flatten(1)
        values = torch.linalg.svdvals(weight.flatten(1))
        torch.testing.assert_close(rows.norm(dim=1)[: len(values)], values, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(
            rows.norm(dim=1)[len(values) :], torch.zeros(shape[0] - len(values)), atol=1e-5, rtol=0
        )


def test_unknown_names_say_what_there_is() -> None:
    with pytest.raises(MethodError, match="haar"):
        named_basis("har")
    with pytest.raises(MethodError, match="no parameter 'v'"):
        LeftSingular.of({"w": drawn((3, 3))}).forward("v", drawn((3, 3)))
