"""The input and the parts of a report."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import pandas as pd

from lthbench.board.analysis import Analysis
from lthbench.board.build import belongs
from lthbench.errors import InputError
from lthbench.report.table import table
from lthbench.runs.records.record import Record, each, files
from lthbench.runs.records.tables import tabulated
from lthbench.suite import Suite


@dataclass(frozen=True)
class Section:
    """A part of a report: Markdown under a title, and charts as SVG by name."""

    title: str
    text: str
    charts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Measured:
    """A suite with its records, and the folder that they were read from."""

    suite: Suite
    records: tuple[Record, ...]
    folder: Path | None = None

    @classmethod
    def read(cls, suite: Suite, folder: Path) -> "Measured":
        """Read the records of a folder. InputError if there are none, or if one is broken or not of this suite's text."""
        refused: list[str] = []
        records = tuple(each(files(folder), belongs(suite), refused))
        if refused:
            raise InputError(refused[0])
        return cls(suite, records, folder)

    def other(self, name: str) -> "Measured | None":
        """Return another suite whose records are in a folder of its name next to this one. None if there are none."""
        folder = self.folder and self.folder.parent / name
        return Measured.read(Suite.read(name), folder) if folder and any(folder.glob("**/*.jsonl")) else None

    def before_seed(self, seed: int) -> "Measured":
        """Return what was measured with the seeds below `seed`."""
        return replace(self, records=tuple(r for r in self.records if r.result.seed < seed))

    @cached_property
    def table(self) -> pd.DataFrame:
        return table(self.records)

    @cached_property
    def analysis(self) -> Analysis:
        return Analysis(self.suite, tabulated(self.records))

    @property
    def workloads(self) -> list[str]:
        return list(dict.fromkeys(self.table["workload"]))

    def rows(self, *methods: str) -> pd.DataFrame:
        """Return the runs of some methods, with any parameters."""
        return self.table[self.table["method"].isin(methods)]

    def duel(self, a: str, b: str) -> pd.DataFrame:
        """Return the duel of two methods cell by cell, paired by seed: rows of `scoring.duel`."""
        return self.analysis.duel(a, b).cells


def outcomes(cells: pd.DataFrame, names: Mapping[str, str]) -> str:
    """Count the outcomes of a duel's cells, with readable names: `ticket ahead in 2, tie in 3 of 5 cells`."""
    counts = cells["outcome"].value_counts()
    ahead = [f"{said} ahead in {counts[name]}" for name, said in names.items() if name in counts]
    rest = [f"{word} in {counts[word]}" for word in ("tie", "undecided", "pending") if word in counts]
    return f"{', '.join(ahead + rest)} of {len(cells)} cells"
