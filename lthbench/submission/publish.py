"""From a verified bundle to a row of the leaderboard, and back.

results/<suite>/<method>.jsonl       the row's records
                levels.json          how far it was verified, whose it is
                replaced/, beside/   the records that stood there before, and what others found
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from lthbench.board.build import build
from lthbench.board.scores import scores, with_deviation
from lthbench.errors import InputError
from lthbench.runs.records import record as records
from lthbench.runs.records import trust
from lthbench.runs.records.record import Record, Result
from lthbench.runs.records.run_id import file_name
from lthbench.runs.records.tables import tabulated
from lthbench.runs.records.trust import Row, Verified
from lthbench.runs.store.files import write_whole
from lthbench.submission.bundle import bundle as bundles
from lthbench.submission.bundle.bundle import Bundle
from lthbench.submission.bundle.manifest import Manifest
from lthbench.submission.copied import copied
from lthbench.submission.verification.report import Report
from lthbench.suite import Suite, names

CELL = ["workload", "learning_rate", "sparsity"]


@dataclass(frozen=True)
class Destination:
    """The place of a method's row in a leaderboard."""

    leaderboard: Path
    suite: str
    method: str

    @property
    def folder(self) -> Path:
        return self.leaderboard / "results" / self.suite

    @property
    def file(self) -> Path:
        return self.folder / f"{file_name(self.method)}.jsonl"

    def aside(self, kind: str, digest: str) -> Path:
        """Return the file of records that are kept but not ranked: `replaced` or `beside`."""
        return self.folder / kind / f"{file_name(self.method)}.{digest[:12]}.jsonl"


def publish(path: Path, leaderboard: Path, report: Report, *, replace: bool = False, beside: bool = False) -> str:
    """Move the measured records of a verified bundle to the leaderboard and build its board. Returns what was done, in words.

    Everything is built in a copy first, so that a row that cannot stand beside the others changes nothing. InputError where
    the report is of another bundle or not passed, or where the method has a row already and neither `replace` nor `beside`
    (record what it reaches next to that row, which stays) is asked for.
    """
    if not report.passed or report.level is None:
        raise InputError(f"{path} is not verified: {_failure(report)}")
    with bundles.opened(path) as bundle:
        if bundle.digest != report.digest:
            raise InputError(f"{path} changed since it was verified; verify it again")
        at, verified = _place(bundle, leaderboard), _verified(bundle, report)
    _check_fits(at, report.records)
    lines = "".join(record.line() + "\n" for record in report.records).encode()
    with copied(leaderboard) as copy:
        there = Destination(copy, at.suite, at.method)
        rows = trust.read(there.folder)
        (_beside(there, rows, verified, lines) if beside else _take(there, rows, verified, lines, replace))
        build(copy)
    if beside:
        return f"{at.method}: {verified.level} results of {', '.join(verified.authors)} stand beside its row"
    return f"{at.method}: {verified.level}, published on {at.suite}"


def undo(path: Path, leaderboard: Path) -> str:
    """Take the row of a bundle back: what stood in its place before stands there again."""
    with bundles.opened(path) as bundle:
        place, digest = _place(bundle, leaderboard), bundle.digest
    rows = trust.read(place.folder)
    if place.method not in rows or rows[place.method].bundle != digest:
        raise InputError(f"the row of {place.method!r} on {place.suite} is not this bundle's; nothing is undone")
    with copied(leaderboard) as copy:
        _taken_back(Destination(copy, place.suite, place.method), rows)
        build(copy)
    return f"{place.method} is off {place.suite}" + (", and its earlier row is back" if place.file.is_file() else "")


def _taken_back(place: Destination, rows: dict[str, Row]) -> None:
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


def changes(path: Path, leaderboard: Path, report: Report) -> tuple[list[list[Any]], list[str]]:
    """Say what a bundle's row would change: by cell its mean, the row that stands there, the best other, its place."""
    with bundles.opened(path) as bundle:
        at, mine = _place(bundle, leaderboard), scores(tabulated(report.records).scored)
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
    if place.file.is_file() and not replace:
        raise InputError(
            f"{place.suite} has a row of {place.method!r} already; --replace takes its place, --beside leaves it"
        )
    row = rows.get(place.method)
    if row and row.bundle == verified.bundle:  # verified further: what stood before it stays as it is
        row = row.model_copy(update=dict(verified))
    else:
        _lay_aside(place, verified.bundle)
        row = Row(**dict(verified), replaced=row)
    write_whole(place.file, lines)
    write_whole(place.folder / trust.FILE, trust.text(rows | {place.method: row}))


def _lay_aside(place: Destination, digest: str) -> None:
    """Keep the row that a bundle replaces. InputError where the row that the bundle replaced earlier is kept there."""
    aside = place.aside("replaced", digest)
    if aside.is_file():
        raise InputError(
            "this bundle was published before and then replaced; first take the rows above it back with --undo"
        )
    if place.file.is_file():
        write_whole(aside, place.file.read_bytes())


def _beside(place: Destination, rows: dict[str, Row], verified: Verified, lines: bytes) -> None:
    if place.method not in rows:
        raise InputError(f"{place.suite} has no row of {place.method!r} that came by a bundle; leave --beside out")
    row = rows[place.method]
    if verified.bundle in (row.bundle, *(other.bundle for other in row.beside)):
        raise InputError("this bundle is published already")
    write_whole(place.aside("beside", verified.bundle), lines)
    told = row.model_copy(update={"beside": (*row.beside, verified)})
    write_whole(place.folder / trust.FILE, trust.text(rows | {place.method: told}))


def _check_fits(place: Destination, records: Sequence[Record]) -> None:
    """Raise InputError where records are of other data than the rows that are there, or take a name that looks like theirs."""
    others = [r.result for r in _published(place.folder) if r.result.method != place.method]
    own = Suite.read(place.suite).methods
    for r in (record.result for record in records):
        there = sorted((o for o in others if o.workload == r.workload), key=lambda o: o.method not in own)
        if there and _data(there[0]) != _data(r):
            raise InputError(
                f"{place.method} was measured on other data of {r.workload} than {there[0].method}: {_words(r)}, there "
                f"{_words(there[0])}; nothing is published"
            )
    names = {o.method for o in others if o.method.casefold() == place.method.casefold()}
    if names:
        raise InputError(f"{place.method!r} differs from {names.pop()!r} in capitals alone; choose another name")


def _data(r: Result) -> tuple[Any, ...]:
    prints = r.fingerprints.get("test"), r.fingerprints.get("start")
    return *prints, r.classes, r.tolerance, r.test.of if r.test else None


def _words(r: Result) -> str:
    return f"{r.classes} classes, {r.test.of if r.test else 0} test images ({str(r.fingerprints.get('test'))[:8]})"


def _place(bundle: Bundle, leaderboard: Path) -> Destination:
    if not (leaderboard / "results").is_dir():
        raise InputError(f"{leaderboard} is not a leaderboard: it has no results/; give one with --leaderboard")
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
        models=_other_models(bundle.manifest),
    )


def _other_models(manifest: Manifest) -> dict[str, str]:
    """Name the models of a bundle's networks by workload, where they are not the workload's own."""
    own = {w.name: w.model for w in Suite.read(manifest.suite.name).workload}
    found: dict[str, set[str]] = {}
    for ticket in manifest.tickets:
        if (model := ticket.model.written) != own[ticket.workload]:
            found.setdefault(ticket.workload, set()).add(model)
    return {workload: ", ".join(sorted(models)) for workload, models in sorted(found.items())}


def _failure(report: Report) -> str:
    return next((f"{check}: {found}" for _, check, passed, found in report.rows if passed == "FAILED"), "no level")


def _published(folder: Path) -> list[Record]:
    return records.in_folder(folder) if any(folder.glob("*.jsonl")) else []


def _at(table: pd.DataFrame, row: Any) -> pd.DataFrame:
    """Return the rows of one cell; those without a mean are left out."""
    return table[(table[CELL] == [row[name] for name in CELL]).all(axis=1) & table["mean"].notna()]


def _mean(row: Any) -> str:
    return with_deviation(row["mean"], row["sd"], 2)
