"""The notebooks of the documents, executed. `python -m tests.notebooks` writes their output into them.

A cell with the tag "varies" has output that depends on the machine, or on how many suites are published.
"""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent.parent / "docs/notebooks"
READING = FOLDER / "reading_a_leaderboard.ipynb"
FIRST = FOLDER / "my_first_method.ipynb"


def executed(path: Path, where: Path) -> Any:
    """Execute a notebook in a folder, with the commands of this environment. Returns it with its output."""
    notebook = nbformat.read(path, as_version=4)
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    NotebookClient(notebook, timeout=200, resources={"metadata": {"path": str(where)}}).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # the times
    return notebook


def texts(notebook: Any) -> list[str]:
    """Return the printed text of the cells whose output does not vary."""
    cells = [
        cell for cell in notebook.cells if cell.cell_type == "code" and "varies" not in cell.metadata.get("tags", [])
    ]
    outputs = [output for cell in cells for output in cell.outputs]
    return [output.text if output.output_type == "stream" else output.data["text/plain"] for output in outputs]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as empty:
        for path, where in ((FIRST, Path(empty)), (READING, FOLDER)):
            nbformat.write(executed(path, where), path)
