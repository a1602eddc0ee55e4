"""From a verified bundle to a row of the leaderboard, and back.

results/<suite>/<method>.jsonl       the row's records
                levels.json          how far it was verified, whose it is
                replaced/, beside/   the records that stood there before, and what others found
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from lthbench.board.build import build
from lthbench.board.scores import scores
from lthbench.errors import InputError
from lthbench.runs.records import record as records
from lthbench.runs.records import trust
from lthbench.runs.records.record import Record
from lthbench.runs.records.tables import tabulated
from lthbench.runs.records.trust import Row, Verified
from lthbench.runs.store.files import write_whole
from lthbench.submission.bundle import bundle as bundles
from lthbench.submission.bundle.bundle import Bundle
from lthbench.submission.verification.report import Report
from lthbench.suite import names

CELL = ["workload", "learning_rate", "sparsity"]


@dataclass(frozen=True)
class Destination:
    """Where a method's row stands in a leaderboard."""

    leaderboard: Path
    suite: str
    method: str

    @property
    def folder(self) -> Path:
        return self.leaderboard / "results" / self.suite

    @property
    def file(self) -> Path:
        return self.folder / f"{_safe(self.method)}.jsonl"

    def aside(self, kind: str, digest: str) -> Path:
        """Records that are kept but not ranked: `replaced` or `beside`."""
        return self.folder / kind / f"{_safe(self.method)}.{digest[:12]}.jsonl"


def publish(path: Path, leaderboard: Path, report: Report, *, replace: bool = False, beside: bool = False) -> str:
    """Move the records of a verified bundle to the leaderboard and build its board. Returns what was done, in words.

    InputError where the report is of another bundle or not passed, or where the method has a row already and neither
    `replace` nor `beside` (record what it reaches next to that row, which stays) is asked for.
    """
    level = report.level
    if not report.passed or level is None:
        raise InputError(f"{path} is not verified: {_failure(report)}")
    with bundles.opened(path) as bundle:
        if bundle.digest != report.digest:
            raise InputError(f"{path} changed since it was verified; verify it again")
        at = _place(bundle, leaderboard)
        rows = trust.read(at.folder)
        verified = _verified(bundle, report)
        lines = "".join(record.line() + "\n" for record in bundle.records).encode()
    if beside:
        _beside(at, rows, verified, lines)
        done = f"{at.method}: {verified.level} results of {', '.join(verified.authors)} stand beside its row"
    else:
        _take(at, rows, verified, lines, replace)
        done = f"{at.method}: {verified.level}, published on {at.suite}"
    build(leaderboard)
    return done


def undo(path: Path, leaderboard: Path) -> str:
    """Take the row of a bundle back: what stood in its place before stands there again."""
    with bundles.opened(path) as bundle:
        place, digest = _place(bundle, leaderboard), bundle.digest
    rows = trust.read(place.folder)
    if place.method not in rows or rows[place.method].bundle != digest:
        raise InputError(f"the row of {place.method!r} on {place.suite} is not this bundle's; nothing is undone")
    row = rows.pop(place.method)
    before = place.aside("replaced", row.bundle)
    if before.is_file():
        before.replace(place.file)
    else:
        place.file.unlink(missing_ok=True)
    if row.replaced:
        rows[place.method] = row.replaced
    for other in row.beside:
        place.aside("beside", other.bundle).unlink(missing_ok=True)
    if rows:
        write_whole(place.folder / trust.FILE, trust.text(rows))
    else:
        (place.folder / trust.FILE).unlink()
    build(place.leaderboard)
    return f"{place.method} is off {place.suite}" + (", and its earlier row is back" if place.file.is_file() else "")


def changes(path: Path, leaderboard: Path) -> tuple[list[list[Any]], list[str]]:
    """What a bundle's row would change: by cell its mean, the row that stands there, the best other, its place."""
    with bundles.opened(path) as bundle:
        at, mine = _place(bundle, leaderboard), scores(tabulated(bundle.records).scored)
    published = _published(at.folder)
    others = scores(tabulated(r for r in published if r.result.method != at.method).scored)
    own = scores(tabulated(r for r in published if r.result.method == at.method).scored)
    rows = []
    for _, row in mine.iterrows():
        rivals = _at(others, row).sort_values("mean", ascending=False)
        now = _at(own, row)
        rank = 1 + int((rivals["mean"] > row["mean"]).sum())
        rows.append([
            row["workload"], f"{row['learning_rate']:g}", f"{100 * row['sparsity']:g} %", f"{row['n']:.0f}",
            _mean(row), _mean(now.iloc[0]) if len(now) else "new",
            f"{rivals.iloc[0]['method']} {rivals.iloc[0]['mean']:.1f}" if len(rivals) else "none",
            f"{rank} of {len(rivals) + 1}",
        ])  # fmt: skip
    return rows, ["workload", "rate", "sparsity", "n", "this bundle", "row now", "best other", "place"]


def _take(place: Destination, rows: dict[str, Row], verified: Verified, lines: bytes, replace: bool) -> None:
    if place.file.is_file():
        if not replace:
            raise InputError(
                f"{place.suite} has a row of {place.method!r} already; --replace takes its place, --beside leaves it"
            )
        write_whole(place.aside("replaced", verified.bundle), place.file.read_bytes())
    row = Row(**dict(verified), replaced=rows.get(place.method))
    write_whole(place.file, lines)
    write_whole(place.folder / trust.FILE, trust.text(rows | {place.method: row}))


def _beside(place: Destination, rows: dict[str, Row], verified: Verified, lines: bytes) -> None:
    if place.method not in rows:
        raise InputError(f"{place.suite} has no row of {place.method!r} that came by a bundle; leave --beside out")
    row = rows[place.method]
    if verified.bundle in (row.bundle, *(other.bundle for other in row.beside)):
        raise InputError("this bundle is published already")
    write_whole(place.aside("beside", verified.bundle), lines)
    told = row.model_copy(update={"beside": (*row.beside, verified)})
    write_whole(place.folder / trust.FILE, trust.text(rows | {place.method: told}))


def _place(bundle: Bundle, leaderboard: Path) -> Destination:
    if not (leaderboard / "results").is_dir():
        raise InputError(f"{leaderboard} is no leaderboard: it has no results/; give one with --leaderboard")
    if bundle.manifest.suite.name not in names():
        raise InputError(f"the suite {bundle.manifest.suite.name!r} does not come with lthbench; it has no board here")
    return Destination(leaderboard, bundle.manifest.suite.name, bundle.manifest.method)


def _verified(bundle: Bundle, report: Report) -> Verified:
    return Verified(
        level=report.level or "claimed",
        bundle=report.digest,
        authors=bundle.manifest.authors,
        paper=bundle.manifest.paper,
        date=datetime.now(UTC).date().isoformat(),
        seed=report.notes.get("seed"),
        drawn=tuple(report.notes.get("drawn", ())),
    )


def _failure(report: Report) -> str:
    return next((f"{check}: {found}" for _, check, passed, found in report.rows if passed == "FAILED"), "no level")


def _published(folder: Path) -> list[Record]:
    return records.in_folder(folder) if any(folder.glob("*.jsonl")) else []


def _at(table: pd.DataFrame, row: Any) -> pd.DataFrame:
    """The rows of one cell, those without a mean left out."""
    return table[(table[CELL] == [row[name] for name in CELL]).all(axis=1) & table["mean"].notna()]


def _mean(row: Any) -> str:
    return f"{row['mean']:.2f} ± {row['sd']:.2f}"


def _safe(method: str) -> str:
    return re.sub(r"[^\w\[\]=,.+-]", "_", method)
