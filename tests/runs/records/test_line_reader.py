"""The reader of growing files: new lines alone, and a file that was rewritten from its start."""

from pathlib import Path

import pytest

from lthbench.runs.records.line_reader import LineReader
from lthbench.runs.store.files import append_line, write_whole


@pytest.fixture
def reader(tmp_path: Path) -> LineReader:
    """A reader that has read two lines."""
    (tmp_path / "lines").write_bytes(b"one\ntwo\n")
    reader = LineReader(tmp_path / "lines")
    assert reader.new() == [(1, b"one"), (2, b"two")]
    return reader


def test_only_what_was_appended_is_read(reader: LineReader) -> None:
    append_line(reader.path, "three")
    assert (reader.new(), reader.anew) == ([(3, b"three")], False)
    assert (reader.new(), reader.anew) == ([], False)


@pytest.mark.parametrize("content", [b"new\nnew\n3\n", b"a longer line\nanother\n", b"one\n"])
def test_a_rewritten_file_is_read_from_its_start_also_where_its_inode_is_the_old_one(
    reader: LineReader, content: bytes
) -> None:
    reader.path.write_bytes(content)
    expected = list(enumerate(content.splitlines(), 1))
    assert (reader.new(), reader.anew) == (expected, True)
    append_line(reader.path, "more")
    assert (reader.new(), reader.anew) == ([(len(expected) + 1, b"more")], False)


def test_a_file_that_is_replaced_twice_between_two_looks(reader: LineReader) -> None:
    for content in (b"two and a half\n", b"1\n2 2 2\n3\n"):
        write_whole(reader.path, content)
    assert (reader.new(), reader.anew) == ([(1, b"1"), (2, b"2 2 2"), (3, b"3")], True)


def test_half_a_line_waits_for_its_end(reader: LineReader) -> None:
    with reader.path.open("ab") as file:
        file.write(b"thr")
    assert (reader.new(), reader.half) == ([], b"thr")
    with reader.path.open("ab") as file:
        file.write(b"ee\n")
    assert (reader.new(), reader.anew, reader.half) == ([(3, b"three")], False, b"")
