"""What a report is made from, and what it is made of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd

from lthbench.board.judged import Judged
from lthbench.report.table import table
from lthbench.runs.records import Record
from lthbench.runs.results import tabulated
from lthbench.suite import Suite


@dataclass(frozen=True)
class Section:
    """A part of a report: Markdown under a title, and charts behind it, as SVG by name."""

    title: str
    text: str
    charts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Measured:
    """A suite with its records."""

    suite: Suite
    records: tuple[Record, ...]

    @cached_property
    def table(self) -> pd.DataFrame:
        return table(self.records)

    @cached_property
    def judged(self) -> Judged:
        return Judged(self.suite, tabulated(self.records))

    @property
    def workloads(self) -> list[str]:
        return list(dict.fromkeys(self.table["workload"]))

    def rows(self, *methods: str) -> pd.DataFrame:
        """The runs of some methods, whatever their parameters."""
        return self.table[self.table["method"].isin(methods)]

    def duel(self, a: str, b: str) -> pd.DataFrame:
        """Cell by cell, paired by seed: rows of `scoring.duel`."""
        return self.judged.duel(a, b).cells


def tally(cells: pd.DataFrame, names: Mapping[str, str]) -> str:
    """How many cells went which way, by the names that a reader knows: `ticket ahead in 2, tie in 3 of 5 cells`."""
    counts = cells["outcome"].value_counts()
    ahead = [f"{said} ahead in {counts[name]}" for name, said in names.items() if name in counts]
    rest = [f"{word} in {counts[word]}" for word in ("tie", "undecided", "pending") if word in counts]
    return f"{', '.join(ahead + rest)} of {len(cells)} cells"
