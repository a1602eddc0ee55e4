"""What a report is made from, and what it is made of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd

from lthbench.board.analysis import Analysis
from lthbench.report.table import table
from lthbench.runs.records.record import Record, in_folder
from lthbench.runs.records.tables import tabulated
from lthbench.suite import Suite


@dataclass(frozen=True)
class Section:
    """A part of a report: Markdown under a title, and charts behind it, as SVG by name."""

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
        """The records in a folder, of this suite. InputError if there are none."""
        return cls(suite, tuple(in_folder(folder)), folder)

    def other(self, name: str) -> "Measured | None":
        """Another suite, where its records lie in a folder of its name beside these; None where there are none."""
        folder = self.folder and self.folder.parent / name
        return Measured.read(Suite.read(name), folder) if folder and any(folder.glob("**/*.jsonl")) else None

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
        """The runs of some methods, whatever their parameters."""
        return self.table[self.table["method"].isin(methods)]

    def duel(self, a: str, b: str) -> pd.DataFrame:
        """Cell by cell, paired by seed: rows of `scoring.duel`."""
        return self.analysis.duel(a, b).cells


def tally(cells: pd.DataFrame, names: Mapping[str, str]) -> str:
    """How many cells went which way, by the names that a reader knows: `ticket ahead in 2, tie in 3 of 5 cells`."""
    counts = cells["outcome"].value_counts()
    ahead = [f"{said} ahead in {counts[name]}" for name, said in names.items() if name in counts]
    rest = [f"{word} in {counts[word]}" for word in ("tie", "undecided", "pending") if word in counts]
    return f"{', '.join(ahead + rest)} of {len(cells)} cells"
