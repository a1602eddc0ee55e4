"""Texts of users' files: encodings, and what of a Python file makes it another method."""

from pathlib import Path

import pytest

from lthbench import source
from lthbench.methods import registry
from lthbench.submission.battery import peeking

METHOD = '''"""Naïve. Cost: T epochs."""

from lthbench import Network, Run, method


@method("{name}", cost="T")
def trained(run: Run) -> Network:
    return run.train(run.init())
'''


@pytest.mark.parametrize(
    "content",
    [
        METHOD.encode("utf-8-sig"),
        METHOD.replace("\n", "\r\n").encode(),
    ],
    ids=["a byte-order mark", "line ends of Windows"],
)
def test_the_encoding_of_a_method_file_changes_nothing(tmp_path: Path, content: bytes) -> None:
    plain, other = tmp_path / "plain.py", tmp_path / "other.py"
    plain.write_text(METHOD)
    other.write_bytes(content)
    assert source.digest(other) == source.digest(plain)
    assert source.read(other).endswith(METHOD)


def test_a_method_file_with_a_byte_order_mark_is_loaded_and_looked_through(tmp_path: Path) -> None:
    file = tmp_path / "marked.py"
    file.write_bytes(METHOD.replace("{name}", "of-a-marked-file").encode("utf-8-sig"))
    found = registry.find(f"{file}:of-a-marked-file")
    assert found.file == file
    assert peeking.private(file) == []
