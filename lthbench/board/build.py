"""Building a board: the pages of a run folder, or those of the published leaderboard and their index."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

from lthbench.board import readme
from lthbench.board.analysis import Analysis
from lthbench.board.curves import curve_rows
from lthbench.board.export import figures
from lthbench.board.export.extras import Extras
from lthbench.board.grids import duel_grids
from lthbench.board.page import duel_section, marked, page, shown_methods
from lthbench.errors import InputError
from lthbench.runs.records import trust
from lthbench.runs.records.record import Refusal, Result
from lthbench.runs.records.tables import read_tables
from lthbench.runs.status.announcement import named
from lthbench.runs.store.files import write_whole
from lthbench.suite import Suite, in_folder
from lthbench.suite.trial import unpublished

log = logging.getLogger(__name__)


def build(folder: Path, skipped: list[str] | None = None, extras: Extras | None = None) -> tuple[Path, str]:
    """Write the board of a folder. Returns the page and the text to print.

    A run folder gets `board/`; a leaderboard (a folder with `results/`) gets `README.md`, `tables/`, `site/` and
    `charts/`. A broken record raises InputError. If a list `skipped` is given, the record is left out and the message
    is added there. `extras` are files for a paper.
    """
    extras = extras or Extras()
    if extras.charts:
        figures.check_extra()
    if (folder / "results").is_dir():
        return leaderboard(folder, skipped, extras)
    analysis = analysis_of(folder, skipped)
    _tables(analysis, folder / "board")
    extras.write(analysis, folder / "board")
    if _can_draw():
        _pages({"index": analysis}, folder / "board", folder)
    return folder / "board" / "README.md", first_section(analysis)


def first_section(analysis: Analysis) -> str:
    """Return the section of the first duel, or the whole page where there is none. A trial is marked."""
    duels = [duel_section(analysis, duel) for duel in analysis.duels[:1]]
    return "\n\n".join(filter(None, [marked(analysis), *duels])) if duels else page(analysis)


def leaderboard(folder: Path, skipped: list[str] | None, extras: Extras) -> tuple[Path, str]:
    """Write all suites with published results, an index, and the tables in the project's README beside the folder.

    A suite's page opens with the paragraph in `findings/<suite>.md`, which is written by hand.
    """
    results = sorted(path for path in (folder / "results").iterdir() if path.is_dir())
    if not results:
        raise InputError(f"{folder / 'results'} has no suite; copy the records of a run into results/<suite>/ first")
    analysis = {path.name: replace(analysis_of(path, skipped), finding=_finding(folder, path.name)) for path in results}
    for path, one in zip(results, analysis.values(), strict=True):
        if why := unpublished(one.suite):
            raise InputError(f"{path} holds {why}, not the published suite; lthbench board shows it in its run folder")
    for name, one in analysis.items():
        _tables(one, folder / "tables" / name)
        extras.write(one, folder / "tables" / name, name)
    text = readme.leaderboard(analysis)
    write_whole(folder / "README.md", text.encode())
    if _can_draw():
        _pages(analysis, folder / "site", folder / "results")
        _charts(analysis, folder / "charts")
    if (folder.parent / "README.md").is_file():
        readme.refresh(folder.parent / "README.md", analysis)
    return folder / "README.md", text


def analysis_of(folder: Path, skipped: list[str] | None = None) -> Analysis:
    """Return the analysis of a run folder, or of a folder that is named after its suite."""
    suite = suite_of(folder) or in_folder(folder)
    analysis = Analysis(suite, read_tables(folder, refusal=belongs(suite), skipped=skipped), named(folder))
    if analysis.frame.empty:
        raise InputError(f"no run in {folder} has a result; lthbench status {folder} says what failed")
    return analysis


def _finding(folder: Path, suite: str) -> str:
    """Return the paragraph of `findings/<suite>.md`, where there is one."""
    path = folder / "findings" / f"{suite}.md"
    return " ".join(path.read_text().split()) if path.is_file() else ""


def suite_of(folder: Path) -> Suite | None:
    """Return the suite of a run folder, or of a folder of a leaderboard that is named after its suite; None for another."""
    if (folder / "suite.json").is_file():
        return in_folder(folder)
    return Suite.read(folder.name) if folder.parent.name == "results" and any(folder.glob("*.jsonl")) else None


def refusal(folder: Path) -> Refusal:
    """Return the check of `belongs` for the suite of a folder; one that refuses nothing where the suite is not known."""
    suite = suite_of(folder)
    return belongs(suite) if suite else lambda result: None


def belongs(suite: Suite) -> Refusal:
    """Return a check that refuses records of another version of the suite, of other test images, or of another start.

    Test images and start must be those of the first run of the workload.
    """
    images: dict[str, tuple[Any, ...]] = {}
    begun: dict[str, str | None] = {}

    def refused(result: Result) -> str | None:
        if result.suite_hash != suite.hash:
            return (
                f"the record was made with a definition of suite {result.suite} {result.suite_version} that differs from the present "
                f"{suite.name} {suite.version}; run it again, or move it away"
            )
        start = result.fingerprints.get("start")
        if begun.setdefault(result.workload, start) != start:
            return f"it has another start than the earlier runs of {result.workload}; keep the runs of one start"
        if result.test is None:
            return None
        own = result.fingerprints.get("test"), result.test.of
        if images.setdefault(result.workload, own) != own:
            return f"it was measured on another test set than the earlier runs of {result.workload}; keep the runs of one test set"
        return None

    return refused


def _tables(analysis: Analysis, folder: Path) -> None:
    tables = {"scores": analysis.scores}
    for duel in analysis.duels:
        tables |= {f"duel.{duel.a}.{duel.b}": duel.cells, f"marginals.{duel.a}.{duel.b}": duel.marginals}
    for ticket in analysis.tickets:
        tables |= {f"verdicts.{ticket}": analysis.verdicts(ticket), f"winning.{ticket}": analysis.winning(ticket)}
    tables |= {f"ranking.{name.replace(' ', '-')}": table for name, table in analysis.rankings.items()}
    for title, table in tables.items():
        write_whole(folder / f"{title}.csv", table.to_csv(index=False, float_format="%.10g").encode())
    write_whole(folder / "README.md", page(analysis).encode())


def _can_draw() -> bool:
    """Tell whether the extra `board` is installed, and warn if it is not."""
    try:
        figures.check_extra()
    except InputError as error:
        log.warning("only tables were written, no pages and no charts: %s", error)
        return False
    return True


def _pages(analysis: dict[str, Analysis], folder: Path, results: Path) -> None:
    """Write the pages by name, and an index unless one of them is the index."""
    from lthbench.board import costs, site

    home = "" if "index" in analysis else "index.html"
    for name, one in analysis.items():
        place = results / name if home else results
        page = site.suite_page(one, trust.read(place), costs.latencies(place), home)
        write_whole(folder / f"{name}.html", page.encode())
    write_whole(folder / site.BUNDLE, site.bundle().encode())
    if home:
        write_whole(folder / home, site.index_page(analysis).encode())


def _charts(analysis: dict[str, Analysis], folder: Path) -> None:
    """Write the main charts as SVG: accuracy, learning curves where there are any, and the first duel."""
    from lthbench.board import charts

    for name, one in analysis.items():
        main = {"accuracy": charts.first_accuracy(one, shown_methods(one))}
        if len(rows := curve_rows(one)):
            main["curves"] = charts.curve_panels(rows)
        for duel in one.duels[:1]:
            main["duel"] = charts.duel_grid(duel_grids(one, duel)[0], duel.a, duel.b)
        for title, chart in main.items():
            write_whole(folder / f"{name}.{title}.svg", figures.drawn(chart, "svg"))
