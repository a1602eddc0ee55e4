"""Tests on the GPU on paper: numerics are set up, bits are shapes, and the books are empty after every test."""

import os
from collections.abc import Iterator, Mapping

import pytest
from torch import Tensor

from tests import helpers


def shapes(tensors: Mapping[str, Tensor]) -> str:
    """Return what is left of a digest where numbers mean nothing."""
    return str({name: (tuple(t.shape), t.dtype) for name, t in tensors.items()})


if "PAPER_SO" in os.environ:
    helpers.digest = shapes

    @pytest.fixture(autouse=True)
    def empty_books() -> Iterator[None]:
        from tests.gpu.paper import books

        books.clear()
        yield
        assert not books.trouble()
