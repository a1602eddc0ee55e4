"""The notebooks of the documents run, and their output is what they say."""

from pathlib import Path

import nbformat
import pytest

from tests.notebooks import FIRST, FOLDER, READING, executed, texts

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the client of the kernel


def test_a_first_method_is_written_run_and_compared_in_cells(tmp_path: Path) -> None:
    notebook = executed(FIRST, tmp_path)
    shown = [output.data for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert shown[0]["text/plain"] == "<Results: 33 runs of 6 methods in smoke>"
    assert shown[1]["text/plain"].startswith("<moved-most against prune-finetune: ")
    assert "<svg" in shown[3]["image/svg+xml"]
    assert "moved-outwards" in shown[4]["text/plain"]


def test_the_output_of_reading_a_leaderboard_is_what_the_records_give() -> None:
    written = texts(nbformat.read(READING, as_version=4))
    assert len(written) > 8
    assert texts(executed(READING, FOLDER)) == written, "type python -m tests.notebooks"
