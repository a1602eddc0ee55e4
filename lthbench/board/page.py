"""The page of a suite in Markdown: the duels first, then verdicts, then every method."""

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd
from tabulate import tabulate

from lthbench.board.analysis import Analysis, Duel
from lthbench.board.evidence import dense_parameters, failures, machines, missing
from lthbench.board.scores import best_rates, with_deviation
from lthbench.scoring import words
from lthbench.suite.trial import unpublished

SHOWN = 6  # methods in a chart before the reader selects more


def page(analysis: Analysis) -> str:
    """Return the whole page."""
    parts = [_head(analysis), _missing_section(analysis)]
    parts += [duel_section(analysis, duel) for duel in analysis.duels]
    parts += [_verdict_section(analysis, ticket) for ticket in analysis.tickets]
    parts += [_winning_section(analysis, ticket) for ticket in analysis.tickets]
    parts += [
        _ranking_section(analysis),
        _method_section(analysis),
        _rate_section(analysis),
        _failure_section(analysis),
    ]
    return "\n\n".join(part for part in parts if part) + f"\n\n{footer(analysis)}\n"


def footer(analysis: Analysis) -> str:
    """Return the note below the page."""
    return words.footer(analysis.meta, crossed=not analysis.results.images.empty)


def duel_section(analysis: Analysis, duel: Duel) -> str:
    """Return the section of one duel: cell by cell, and sentences over all cells and by factor."""
    a, b = duel.a, duel.b
    said = "\n".join(f"- {group}: {sentence}" for group, sentence in marginal_lines(analysis, duel))
    parts = [
        f"## {a} against {b}",
        f"Cells: {words.outcome_counts(duel.cells, a, b)}.",
        duel_table(analysis, duel),
        said,
    ]
    return "\n\n".join(parts)


def marginal_lines(analysis: Analysis, duel: Duel) -> list[tuple[str, str]]:
    """Return each marginal of a duel with its sentence. A workload that is the only one gets no line."""
    single = {f"workload {w}" for w in analysis.meta} if len(analysis.meta) == 1 else set()
    return [
        (row["group"].replace("_", " "), words.marginal_words(row, duel.a, duel.b, analysis.tolerance))
        for row in rows_of(duel.marginals)
        if row["group"] not in single
    ]


def duel_table(analysis: Analysis, duel: Duel) -> str:
    """Return one duel, cell by cell, as a Markdown table."""
    headers, rows = duel_rows(analysis, duel)
    return markdown(rows, headers)


def duel_rows(analysis: Analysis, duel: Duel) -> tuple[list[str], list[list[str]]]:
    """Return the headers of a duel's table and its rows, one for each cell."""
    crossed = bool(duel.cells["low_images"].notna().any())
    rows = [
        [*_cell(analysis, row), _accuracy(row["mean_a"]), _accuracy(row["mean_b"]), cell_words(analysis, row, duel)]
        + [words.on_new_images(row)] * crossed
        for row in rows_of(duel.cells)
    ]
    return [*_cell_headers(analysis), duel.a, duel.b, "outcome", *["on new images"] * crossed], rows


def _accuracy(mean: float) -> str:
    return "collapsed" if math.isnan(mean) else f"{mean:.1f}"


def cell_words(analysis: Analysis, row: Any, duel: Duel) -> str:
    """Describe one cell of a duel."""
    return words.cell_words(row, duel.a, duel.b, analysis.meta[row["workload"]].tolerance, analysis.thresholds())


def shown_methods(analysis: Analysis) -> list[str]:
    """Return the methods that a chart shows at first: references, and those of duels and verdicts."""
    named = [name for duel in analysis.duels for name in (duel.a, duel.b)] + analysis.tickets
    names = dict.fromkeys([*(m for m in analysis.methods if m in ("dense", "small-dense")), *named, *analysis.methods])
    first = list(names)[:SHOWN]
    return [name for name in analysis.methods if name in first]


def _head(analysis: Analysis) -> str:
    suite = analysis.suite
    evidence = [f"- {escaped(line)}" for line in (*machines(analysis), *dense_parameters(analysis))]
    finding = f"**Finding.** {escaped(analysis.finding)}" if analysis.finding else ""
    about = [suite.about, finding, facts(analysis)]
    parts = [f"# {suite.name} {suite.version}", marked(analysis), *about, "\n".join(evidence)]
    return "\n\n".join(part for part in parts if part)


def marked(analysis: Analysis) -> str:
    """Return the line that says that the results are not those of the published suite; "" where they are."""
    why = unpublished(analysis.suite)
    return f"**Not the published suite: {escaped(why)}.**" if why else ""


def facts(analysis: Analysis) -> str:
    """Describe the runs: their number, budget and recipe."""
    suite, runs = analysis.suite, analysis.results.runs
    return (
        f"{len(runs)} runs, {analysis.seeds} seeds, budget {suite.budget} with T = {suite.recipe.epochs} epochs, "
        f"allocation {suite.selection}, {suite.precision}, {suite.validation} training images held out. "
        f"Test accuracy at the last epoch, in percent. {runs['epochs_computed'].sum():,.0f} epochs computed."
    )


def _verdict_section(analysis: Analysis, ticket: str) -> str:
    thresholds = analysis.ticket_thresholds
    rows: dict[tuple[str, ...], list[str]] = {}
    for row in rows_of(analysis.verdicts(ticket)):  # all rows of the reading "any" come first, then those of "same"
        cells = rows.setdefault(tuple(_cell(analysis, row)), [])
        cells.append(words.verdict_words(row, analysis.meta[row["workload"]], thresholds))
        if row["reading"] == "same":
            cells.append(f"*{row['paper_rule']}*")
    headers = [
        *_cell_headers(analysis),
        "controls at any learning rate",
        "controls at the same",
        "*by point estimates*",
    ]
    return f"## Verdicts on {ticket} (Ma et al. 2021)\n\n{markdown([[*k, *v] for k, v in rows.items()], headers)}"


def _winning_section(analysis: Analysis, ticket: str) -> str:
    headers = [*_cell_headers(analysis), "against dense, pp", "against re-initialised, pp", "winning property"]
    rows = [
        [*_cell(analysis, row), _gap(row["gap_dense"]), _gap(row["gap_reinit"]), row["winning"]]
        for row in rows_of(analysis.winning(ticket))
    ]
    gaps = " or ".join(f"{gap:g}" for gap in sorted({meta.clear_gap for meta in analysis.meta.values()}))
    note = (
        f"As good as dense at the same learning rate, and more than {gaps} pp above re-initialised weights under the same "
        "mask."
    )
    return f"## Winning property of {ticket} (Liu et al. 2021)\n\n{note}\n\n{markdown(rows, headers)}"


def _gap(value: float) -> str:
    return "" if math.isnan(value) else f"{value:+.2f}".replace("-", "−")


def _ranking_section(analysis: Analysis) -> str:
    parts = []
    for name, table in analysis.rankings.items():
        rows = [
            [row["method"], _place(row), words.rank_words(row), _stable(row), _to_reference(row)]
            for row in rows_of(table)
        ]
        headers = ["method", "mean place", "rank", "rank with one part left out", "against prune-finetune, pp"]
        parts.append(f"### {name}\n\n{markdown(rows, headers)}")
    if not parts:
        return ""
    note = (
        "Mean place among the suite's own methods. The brackets give bounds that hold for all rows at once. The methods of a "
        "group cannot be told apart from the first of the group."
    )
    return "\n\n".join(["## Ranking", note, *parts])


def _place(row: Any) -> str:
    return "" if row["partial"] else f"{row['mean_place']:.2f}"


def _stable(row: Any) -> str:
    return "" if row["partial"] else f"{row['place_without_low']}–{row['place_without_high']}"


def _to_reference(row: Any) -> str:
    return (
        f"{_gap(row['gap'])} ({_gap(row['gap_low'])} to {_gap(row['gap_high'])})" if not math.isnan(row["gap"]) else ""
    )


def _method_section(analysis: Analysis) -> str:
    table = analysis.scores
    cells = table[["workload", "learning_rate", "sparsity"]].drop_duplicates()
    cells = cells.sort_values(["workload", "learning_rate", "sparsity"])
    by_name = table.set_index(["workload", "learning_rate", "sparsity", "method"])
    rows = []
    for cell in rows_of(cells):
        where = (cell["workload"], cell["learning_rate"], cell["sparsity"])
        found = [_mean(by_name, (*where, method)) for method in analysis.methods]
        rows.append([*_cell(analysis, cell), *found])
    note = "Mean ± standard deviation over seeds. The brackets count runs that diverged."
    return f"## All methods\n\n{note}\n\n{markdown(rows, [*_cell_headers(analysis), *analysis.methods])}"


def _mean(table: pd.DataFrame, name: tuple[object, ...]) -> str:
    if name not in table.index:
        return ""
    row = table.loc[[name]].iloc[0]
    diverged = f" ({row['diverged']:.0f})" if row["diverged"] else ""
    return with_deviation(row["mean"], row["sd"]) + diverged


def _rate_section(analysis: Analysis) -> str:
    if not analysis.suite.validation or len(analysis.suite.learning_rates) < 2:
        return ""
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    for row in rows_of(best_rates(analysis.frame)):
        found = rows.setdefault(tuple(_cell(analysis, row, rate=False)), {})
        found[row["method"]] = f"{row['accuracy']:.1f} @ {row['learning_rate']:g}"
    note = "Mean test accuracy at the learning rate that the mean *validation* accuracy chooses."
    lines = [[*where, *(found.get(method, "") for method in analysis.methods)] for where, found in rows.items()]
    return f"## At the best learning rate\n\n{note}\n\n{markdown(lines, [*_cell_headers(analysis, rate=False), *analysis.methods])}"


def _missing_section(analysis: Analysis) -> str:
    """Say which of the suite's runs have no record; nothing where all have one."""
    if not (lines := missing(analysis)):
        return ""
    listed = "\n".join(f"- {escaped(line)}" for line in lines)
    return f"**{incomplete(analysis)}**\n\n{listed}"


def incomplete(analysis: Analysis) -> str:
    """Say how many of the suite's runs have no result; "" where all have one."""
    count = len(analysis.missing)
    return f"Incomplete: {count:,} runs of the suite's own methods have no result." if count else ""


def _failure_section(analysis: Analysis) -> str:
    lines = [f"- {escaped(line)}" for line in failures(analysis)]
    return "## Runs without a result\n\n" + "\n".join(lines) if lines else ""


def escaped(text: str) -> str:
    """Escape what Markdown would take for a link, an image or emphasis; on one line, without control characters."""
    printable = "".join(c if c.isprintable() else " " for c in text)
    return re.sub(r"([\\`*_\[\]!|#~])", r"\\\1", printable).replace("<", "&lt;").replace("://", ":&#8203;//")


def _cell(analysis: Analysis, row: Any, rate: bool = True) -> list[str]:
    """Return the first columns of a row: the workload if there are several, the learning rate, the sparsity."""
    workload = [str(row["workload"])] * (len(analysis.meta) > 1)
    return [*workload, *[f"{row['learning_rate']:g}"] * rate, f"{100 * row['sparsity']:g} %"]


def _cell_headers(analysis: Analysis, rate: bool = True) -> list[str]:
    return [*["workload"] * (len(analysis.meta) > 1), *["learning rate"] * rate, "sparsity"]


def rows_of(table: pd.DataFrame) -> Iterable[Any]:
    """Iterate over rows as series."""
    return (row for _, row in table.iterrows())


def markdown(rows: Iterable[Sequence[str]], headers: Sequence[str]) -> str:
    """Return a Markdown table of cells that are already text."""
    return tabulate(list(rows), headers, tablefmt="pipe", disable_numparse=True)
