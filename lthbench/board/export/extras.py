"""Files for a paper that a board writes where they are asked for."""

from dataclasses import dataclass
from pathlib import Path

from lthbench.board.analysis import Analysis
from lthbench.board.export import figures, paper
from lthbench.board.export.table import SUFFIXES
from lthbench.runs.store.files import write_whole


@dataclass(frozen=True)
class Extras:
    """The format of the tables for a paper ("csv": none beside the board's own), and the folder of the chart files."""

    form: str = "csv"
    charts: Path | None = None

    def write(self, analysis: Analysis, folder: Path, suite: str = "") -> None:
        """Write a suite's tables to the folder of its board, and its charts to `charts`, or to `charts/<suite>`."""
        if suffix := SUFFIXES.get(self.form):
            for table in paper.tables(analysis):
                write_whole(folder / f"{table.name}{suffix}", table.written(self.form).encode())
        if self.charts:
            figures.write(analysis, self.charts / suite)
