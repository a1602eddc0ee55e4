"""The page of a suite in Markdown: the duel first, then verdicts, then every method."""

import math
from collections.abc import Iterable
from typing import Any

import pandas as pd
from tabulate import tabulate

from lthbench import console
from lthbench.board.judged import Judged
from lthbench.board.scores import best_rates
from lthbench.scoring import words


def page(judged: Judged) -> str:
    """The whole page."""
    parts = [_head(judged)]
    parts += [duel_section(judged, a, b) for a, b in judged.duels]
    parts += [_verdict_section(judged, ticket) for ticket in judged.suite.tickets if ticket in judged.methods]
    parts += [_method_section(judged), _rate_section(judged), _failure_section(judged)]
    return "\n\n".join(part for part in parts if part) + f"\n\n{words.footer(judged.meta)}\n"


def duel_section(judged: Judged, a: str, b: str) -> str:
    """One duel: cell by cell, and its sentences over all cells and by margin."""
    cells, margins = judged.duel(a, b), judged.margins(a, b)
    tolerance = sum(m.tolerance for m in judged.meta.values()) / len(judged.meta)
    single = {f"workload {w}" for w in judged.meta} if len(judged.meta) == 1 else set()
    said = [
        f"- {row['group'].replace('_', ' ')}: {words.margin_words(row, a, b, tolerance)}"
        for row in _rows(margins)
        if row["group"] not in single
    ]
    parts = [f"## {a} against {b}", f"Cells: {words.tally(cells, a, b)}.", duel_table(judged, a, b), "\n".join(said)]
    return "\n\n".join(parts)


def duel_table(judged: Judged, a: str, b: str) -> str:
    """One duel, cell by cell, as a Markdown table."""
    rows = [
        [*_cell(judged, row), _accuracy(row["mean_a"]), _accuracy(row["mean_b"]), _words(judged, row, a, b)]
        for row in _rows(judged.duel(a, b))
    ]
    return markdown(rows, [*_cell_headers(judged), a, b, "outcome"])


def _accuracy(mean: float) -> str:
    return "collapsed" if math.isnan(mean) else f"{mean:.1f}"


def _words(judged: Judged, row: Any, a: str, b: str) -> str:
    return words.cell_words(row, a, b, judged.meta[row["workload"]].tolerance, judged.rules())


def _head(judged: Judged) -> str:
    suite, records = judged.suite, judged.records
    builds = sorted({f"{r.provenance.build['kind']}, torch {r.provenance.build['torch']}" for r in records})
    epochs = sum(r.provenance.epochs_computed for r in records)
    return (
        f"# {suite.name} {suite.version}\n\n{suite.about}\n\n"
        f"{len(records)} runs, {judged.seeds} seeds, budget {suite.budget} with T = {suite.recipe.epochs} epochs, "
        f"allocation {suite.allocation}, {suite.precision}, {suite.validation} training images held out. "
        f"Test accuracy at the last epoch, in percent. {epochs:,.0f} epochs computed on {'; '.join(builds)}."
    )


def _verdict_section(judged: Judged, ticket: str) -> str:
    rules = judged.rules(len(judged.suite.tickets))
    rows: dict[tuple[str, ...], list[str]] = {}
    for row in _rows(judged.verdicts(ticket)):  # all of the reading "any" first, then all of "same"
        cells = rows.setdefault(tuple(_cell(judged, row)), [])
        cells.append(words.verdict_words(row, judged.meta[row["workload"]].tolerance, rules))
        if row["reading"] == "same":
            cells.append(f"*{row['paper_rule']}*")
    headers = [*_cell_headers(judged), "controls at any rate", "controls at the same rate", "*by point estimates*"]
    return f"## Verdicts on {ticket} (Ma et al. 2021)\n\n{markdown([[*k, *v] for k, v in rows.items()], headers)}"


def _method_section(judged: Judged) -> str:
    table = judged.scores
    cells = table[["workload", "learning_rate", "sparsity"]].drop_duplicates()
    cells = cells.sort_values(["workload", "learning_rate", "sparsity"])
    by_name = table.set_index(["workload", "learning_rate", "sparsity", "method"])
    rows = []
    for cell in _rows(cells):
        where = (cell["workload"], cell["learning_rate"], cell["sparsity"])
        found = [_mean(by_name, (*where, method)) for method in judged.methods]
        rows.append([*_cell(judged, cell), *found])
    note = "Mean ± standard deviation over seeds; in brackets the runs that diverged."
    return f"## All methods\n\n{note}\n\n{markdown(rows, [*_cell_headers(judged), *judged.methods])}"


def _mean(table: pd.DataFrame, name: tuple[object, ...]) -> str:
    if name not in table.index:
        return ""
    row = table.loc[[name]].iloc[0]
    diverged = f" ({row['diverged']:.0f})" if row["diverged"] else ""
    return f"{row['mean']:.1f} ± {row['sd']:.1f}{diverged}"


def _rate_section(judged: Judged) -> str:
    if not judged.suite.validation or len(judged.suite.learning_rates) < 2:
        return ""
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    for row in _rows(best_rates(judged.frame)):
        found = rows.setdefault(tuple(_cell(judged, row, rate=False)), {})
        found[row["method"]] = f"{row['accuracy']:.1f} @ {row['learning_rate']:g}"
    note = "Mean test accuracy at the learning rate that the mean *validation* accuracy chooses."
    lines = [[*where, *(found.get(method, "") for method in judged.methods)] for where, found in rows.items()]
    return f"## At the best rate\n\n{note}\n\n{markdown(lines, [*_cell_headers(judged, rate=False), *judged.methods])}"


def _failure_section(judged: Judged) -> str:
    lines = [f"- {line}".replace("|", "\\|").replace("<", "&lt;") for line in console.failures(judged.records)]
    return "## Runs without a result\n\n" + "\n".join(lines) if lines else ""


def _cell(judged: Judged, row: Any, rate: bool = True) -> list[str]:
    """The first columns of a row: the workload where there are several, the rate, the sparsity."""
    workload = [str(row["workload"])] * (len(judged.meta) > 1)
    return [*workload, *[f"{row['learning_rate']:g}"] * rate, f"{100 * row['sparsity']:g} %"]


def _cell_headers(judged: Judged, rate: bool = True) -> list[str]:
    return [*["workload"] * (len(judged.meta) > 1), *["rate"] * rate, "sparsity"]


def _rows(table: pd.DataFrame) -> Iterable[Any]:
    return (row for _, row in table.iterrows())


def markdown(rows: Iterable[list[str]], headers: list[str]) -> str:
    """A Markdown table; cells are text already."""
    return tabulate(list(rows), headers, tablefmt="pipe", disable_numparse=True)
