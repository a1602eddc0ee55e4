"""What is read of a stranger is read or refused in one line, whatever it holds."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lthbench.errors import InputError
from lthbench.runs.records import record as records
from lthbench.submission.bundle import manifest, tensors
from lthbench.submission.bundle.manifest import BundleError
from lthbench.submission.bundle.plain import plain_path, plain_text
from tests.submission.bundle.fuzz import fuzz
from tests.submission.forge import Forgery

JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


def test_mutations(good: Path) -> None:
    tried, refused = fuzz(good, seed=1, seconds=60, most=1200)
    assert set(tried) == set(refused)
    assert all(refused[kind] > tried[kind] / 20 for kind in tried)


@given(st.data())
def test_any_value_in_any_field_of_a_manifest(good: Path, data: st.DataObject) -> None:
    content = json.loads((good / "manifest.json").read_bytes())
    inner = data.draw(st.sampled_from([content, content["suite"], content["source"], *content["tickets"][:1],
                                       content["tickets"][0]["model"], content["tickets"][0]["origin"]]))  # fmt: skip
    inner[data.draw(st.sampled_from(sorted(inner)) | st.text(max_size=5))] = data.draw(JSON)
    try:
        manifest.parse(json.dumps(content).encode())
    except BundleError as error:
        assert str(error).startswith("manifest.json: ")
        assert str(error).isprintable() or " " in str(error)


@given(st.data())
def test_any_value_in_any_field_of_a_record(good: Path, data: st.DataObject) -> None:
    content = json.loads(Forgery.of(good).files["records.jsonl"].split(b"\n")[0])
    inner = data.draw(st.sampled_from([content, content["result"], content["provenance"]]))
    inner[data.draw(st.sampled_from(sorted(inner)))] = data.draw(JSON)
    try:
        records.parse(json.dumps(content), "x:1")
    except InputError as error:
        assert str(error).startswith("x:1: not a record: ")


@given(
    st.binary(max_size=300) | st.builds(lambda n, text: struct.pack("<Q", n % 400) + text, st.integers(0), st.binary())
)
def test_any_bytes_for_tensors(content: bytes) -> None:
    with pytest.raises(BundleError, match="^ticket"):
        if tensors.header(content, "ticket") == {}:
            raise BundleError("ticket: none")


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=3), st.integers(0, 64))
def test_any_header_for_tensors(header: dict[str, Any], size: int) -> None:
    text = json.dumps(header).encode()
    try:
        found = tensors.header(struct.pack("<Q", len(text)) + text + bytes(size), "ticket")
    except BundleError:
        return
    assert sum(kind.itemsize * _product(shape) for kind, shape in found.values()) == size


@given(st.text(max_size=40))
def test_a_path_that_is_let_through_stays_inside(path: str) -> None:
    try:
        plain_path(path)
    except ValueError:
        return
    assert path.isascii()
    assert not Path(path).is_absolute()
    assert Path("/bundle", path).resolve().is_relative_to("/bundle")


@given(st.text(max_size=40))
def test_a_text_that_is_let_through_is_seen(text: str) -> None:
    try:
        plain_text(text)
    except ValueError:
        return
    assert text.isprintable() or "\u00a0" in text or any(c.isspace() for c in text)
    assert not set(text) & set("<>\n\r\t\0\u202e\u200b")


def _product(shape: tuple[int, ...]) -> int:
    product = 1
    for size in shape:
        product *= size
    return product
