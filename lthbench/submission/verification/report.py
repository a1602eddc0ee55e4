"""Reports: the findings of a verification, level by level."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from lthbench.runs.records.record import Record
from lthbench.runs.records.trust import Level as LevelName
from lthbench.submission.battery.check import Finding
from lthbench.submission.bundle.plain import shown


@dataclass(frozen=True)
class Level:
    """The findings of one level."""

    name: LevelName
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        return all(finding.passed for finding in self.findings)


@dataclass(frozen=True)
class Report:
    """The levels in order, up to the first that was not passed. `digest` is the sha256 of the manifest, "" for no bundle.

    `records` are those that may be published: what was measured stands in place of what was said.
    """

    digest: str
    suite: str
    method: str
    levels: tuple[Level, ...]
    notes: dict[str, Any] = field(default_factory=dict)  # the seed of the draw, the cells drawn, the layers in force
    records: tuple[Record, ...] = field(default=(), repr=False)

    @property
    def passed(self) -> bool:
        return all(level.passed for level in self.levels)

    @property
    def level(self) -> LevelName | None:
        """Return the highest level that was passed; None where not even the first was."""
        return next((level.name for level in reversed(self.levels) if level.passed), None)

    @property
    def rows(self) -> list[tuple[str, str, str, str]]:
        """Return a row for each finding: level, check, passed or FAILED, what was found."""
        return [
            (level.name, f.check, "passed" if f.passed else "FAILED", f.found)
            for level in self.levels
            for f in level.findings
        ]

    def plain(self) -> dict[str, Any]:
        """Return the report as JSON has it, without its records."""
        return asdict(replace(self, records=())) | {"passed": self.passed, "level": self.level}


def finding(check: str, problems: Iterable[str | None], fine: str) -> Finding:
    """Make a finding: passed where there is no problem, else the first one and how many more."""
    wrong = [problem for problem in problems if problem]
    more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
    return Finding(check, not wrong, shown(wrong[0], 1000) + more if wrong else shown(fine, 1000))
