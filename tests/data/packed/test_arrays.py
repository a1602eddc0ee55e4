"""Arrays in pieces: the same bytes, keys and sums as of the whole."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lthbench import keys
from lthbench.data.packed import arrays
from lthbench.data.packed.arrays import Array, ArrayFile, fingerprint, moments, per_piece, pieces

sides = st.integers(1, 7)


@st.composite
def images(draw: st.DrawFn) -> Array:
    shape = (draw(st.integers(1, 40)), draw(sides), draw(sides), draw(st.sampled_from((1, 3))))
    return np.random.default_rng(draw(st.integers(0, 99))).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handful of images makes several pieces."""
    monkeypatch.setattr(arrays, "PIECE", 300)


def reference(images: Array, labels: Array) -> str:
    """The definition, which needs the whole in memory."""
    return keys.key("examples", list(images.shape), images.tobytes(), labels.tobytes())


@given(images())
def test_the_fingerprint_is_the_key_of_the_whole(found: Array) -> None:
    labels = np.arange(len(found)) % 3
    assert fingerprint(found, labels) == reference(found, labels)


def test_the_fingerprint_of_a_strided_view_is_that_of_its_copy() -> None:
    every = np.random.default_rng(0).integers(0, 256, (20, 3, 4, 6), dtype=np.uint8)
    view, labels = every.transpose(0, 2, 3, 1)[::2], np.arange(10)
    assert fingerprint(view, labels) == reference(view.copy(), labels)


@given(images(), st.integers(1, 2000))
def test_pieces_are_the_whole_in_order(found: Array, size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrays, "PIECE", size)
        parts = list(pieces(found))
        assert np.array_equal(np.concatenate(parts), found)
        assert all(part.nbytes <= max(size, found[:1].nbytes) for part in parts)


def test_a_piece_holds_at_least_one_item() -> None:
    assert per_piece(10**12) == 1


@given(images())
def test_moments_are_those_of_the_whole(found: Array) -> None:
    mean, std = moments(found)
    assert mean == pytest.approx(found.mean((0, 1, 2)), abs=1e-12)
    assert std == pytest.approx(found.std((0, 1, 2)), rel=1e-9, abs=1e-12)


@given(images(), st.integers(1, 5000))
def test_moments_do_not_depend_on_the_pieces(found: Array, size: int) -> None:
    once = moments(found)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrays, "PIECE", size)
        assert moments(found) == once


def test_a_constant_channel_has_no_deviation_at_all() -> None:
    assert moments(np.full((1000, 3, 3, 3), 77, dtype=np.uint8)) == ((77.0,) * 3, (0.0,) * 3)


@given(images(), st.integers(1, 9))
def test_a_file_in_pieces_is_that_of_np_save(tmp_path: Path, found: Array, step: int) -> None:
    with ArrayFile(tmp_path / "a.npy", found.shape[1:]) as file:
        for start in range(0, len(found), step):
            file.append(found[start : start + step])
    whole = io.BytesIO()
    np.save(whole, found)
    assert (tmp_path / "a.npy").read_bytes() == whole.getvalue()


@pytest.mark.parametrize("count", [0, 9, 10, 99_999, 10**15])
def test_a_header_keeps_its_length_however_many_items_come(tmp_path: Path, count: int) -> None:
    file = ArrayFile(tmp_path / "a.npy", (224, 224, 3))
    length = file._file.tell()
    file.count = count
    file._file.seek(0)
    file._header()
    assert file._file.tell() == length
    file._file.close()


def test_a_file_that_fails_in_the_middle_claims_no_items(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), ArrayFile(tmp_path / "a.npy", (2,)) as file:
        file.append(np.ones((3, 2), dtype=np.uint8))
        raise RuntimeError
    assert len(np.load(tmp_path / "a.npy")) == 0
