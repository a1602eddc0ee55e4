"""The tables of a suite for a paper: scores, duels, verdicts and ranking, marked by the board's own statistics."""

import math
from collections.abc import Collection, Iterator
from functools import partial
from typing import Any

import pandas as pd

from lthbench.board.analysis import CELL, Analysis, Duel
from lthbench.board.export.table import Entry, Table
from lthbench.board.page import incomplete, rows_of
from lthbench.board.scores import with_deviation
from lthbench.scoring.leader import Mark, marks
from lthbench.scoring.words import rank_words
from lthbench.suite.trial import unpublished

SCORES_NOTE = (
    "Bold: shown to be ahead of at least one other method of its column and block, and ahead of or tied with every other. "
    "=: shown to tie with the highest mean of its column and block. Each duel is a test at 5 %, paired by seed."
)
DUEL_NOTE = (
    "Mean ± standard deviation over seeds. The difference is paired by seed, without the seeds on which a side collapsed; "
    "in brackets its 95 % interval. Bold: shown to be ahead; *: within the tolerance. =: shown to tie. Tests by Benjamini "
    "and Hochberg at 5 % over the cells."
)
RANKING_NOTE = "The brackets bound the rank; all bounds hold at once at 95 %. Methods of a group cannot be told apart from its first."
Where = tuple[Any, ...]  # workload, learning rate, sparsity


def tables(analysis: Analysis) -> Iterator[Table]:
    """Yield the tables of a board: scores, the suite's duels, verdicts, rankings."""
    yield scores_table(analysis)
    yield from (duel_table(analysis, duel) for duel in analysis.duels)
    yield from (verdict_table(analysis, ticket) for ticket in analysis.tickets)
    yield from (ranking_table(analysis, name) for name in analysis.rankings)


def scores_table(analysis: Analysis, methods: Collection[str] = ()) -> Table:
    """Return mean ± standard deviation of test accuracy: a row for each method, a column for each sparsity.

    There is a block for each workload and learning rate, so that a column of a block is a cell. `methods` are those that
    the table shows and compares, by default all.
    """
    shown = analysis.scores[analysis.scores["method"].isin(methods or analysis.methods)]
    means, sparsities = _means(analysis, _marks(analysis, shown)), sorted(shown["sparsity"].unique())
    places = shown[["workload", "learning_rate", "method"]].drop_duplicates()
    order = places["method"].map(analysis.methods.index)
    places = places.assign(order=order).sort_values(["workload", "learning_rate", "order"])
    rows = [
        [*_block(analysis, place), Entry(place["method"])]
        + [means.get((*place[["workload", "learning_rate"]], s, place["method"]), Entry("")) for s in sparsities]
        for place in rows_of(places)
    ]
    caption = f"Test accuracy in percent by sparsity, mean ± standard deviation over {analysis.seeds} seeds."
    return _table(analysis, "scores", caption, ["method", *map(_percent, sparsities)], rows, SCORES_NOTE)


def duel_table(analysis: Analysis, duel: Duel) -> Table:
    """Return a duel: a row for each cell, with both means, the difference a - b with its 95 % interval, and the outcome."""
    won = {(*row[CELL], row["outcome"]): "best" for row in rows_of(duel.cells)}
    tied = {(*w[:3], name): "tied" for w in won if w[3] == "tie" for name in (duel.a, duel.b)}
    means = _means(analysis, won | tied)
    rows = [
        [
            *_cell(analysis, row),
            *(means[*row[CELL], name] for name in (duel.a, duel.b)),
            _difference(row),
            _outcome(row),
        ]
        for row in rows_of(duel.cells)
    ]
    headers = ["sparsity", duel.a, duel.b, "difference, pp", "outcome"]
    return _table(analysis, f"duel.{duel.a}.{duel.b}", f"{duel.a} against {duel.b}.", headers, rows, DUEL_NOTE)


def verdict_table(analysis: Analysis, ticket: str) -> Table:
    """Return the verdicts on a ticket in both readings: a row for each cell."""
    rows: dict[Where, list[Entry]] = {}
    for row in rows_of(analysis.verdicts(ticket)):  # all rows of the reading "any" come first, then those of "same"
        rows.setdefault(tuple(row[CELL]), _cell(analysis, row)).append(Entry(row["verdict"]))
    headers = ["sparsity", "controls at any learning rate", "controls at the same"]
    return _table(
        analysis, f"verdicts.{ticket}", f"Verdicts on {ticket} (Ma et al., 2021).", headers, list(rows.values())
    )


def ranking_table(analysis: Analysis, name: str) -> Table:
    """Return a ranking by mean place, best first, with simultaneous bounds of the ranks."""
    rows = [
        [Entry(str(row["method"])), Entry("" if row["partial"] else f"{row['mean_place']:.2f}"), Entry(rank_words(row))]
        for row in rows_of(analysis.rankings[name])
    ]
    stem, caption = f"ranking.{name.replace(' ', '-')}", f"Ranking by mean place, {name}."
    return Table(stem, f"{caption} {_about(analysis)}", ["method", "mean place", "rank"], rows, 0, RANKING_NOTE)


def _table(
    analysis: Analysis, name: str, caption: str, headers: list[str], rows: list[list[Entry]], note: str = ""
) -> Table:
    """Return a table of a suite's cells, of which the columns of `_block` come first."""
    leading = _leading(analysis)
    label = f"{analysis.suite.name}-{name}"
    return Table(name, f"{caption} {_about(analysis)}", [*leading, *headers], rows, len(leading), note, label)


def _marks(analysis: Analysis, scores: pd.DataFrame) -> dict[Where, Mark]:
    """Return the marks of every cell of these scores by (workload, learning rate, sparsity, method)."""
    found: dict[Where, Mark] = {}
    for where, rows in scores.groupby(CELL):
        means = dict(zip(rows["method"], rows["mean"], strict=True))
        found |= {(*where, method): mark for method, mark in marks(means, partial(_winner, analysis, where)).items()}
    return found


def _winner(analysis: Analysis, where: Where, a: str, b: str) -> str:
    """Return the outcome of the duel of two methods in a cell."""
    return str(analysis.cells(a, b).set_index(CELL)["outcome"][where])


def _means(analysis: Analysis, shown: dict[Where, Any]) -> dict[Where, Entry]:
    """Return the entry of every method and cell by (workload, learning rate, sparsity, method), with the marks `shown`."""
    names = [*CELL, "method"]
    return {tuple(row[names]): _mean(analysis, row, shown.get(tuple(row[names]))) for row in rows_of(analysis.scores)}


def _mean(analysis: Analysis, row: Any, mark: Mark | None) -> Entry:
    """Return mean ± deviation of a row of scores, with two decimals where the test set has 1,000 images or more."""
    decimals = 2 if analysis.meta[row["workload"]].n_test >= 1000 else 1
    diverged = f" ({row['diverged']:.0f} diverged)" if row["diverged"] else ""
    said = with_deviation(row["mean"], row["sd"], decimals)
    return Entry(said + diverged, mark == "best", mark == "tied")


def _difference(row: Any) -> Entry:
    """Return difference and interval of a row of a duel. A note stands where there is no difference."""
    numbers = [row["difference"], row["low"], row["high"]]
    if any(map(math.isnan, numbers)):
        return Entry(row["note"])
    difference, low, high = (f"{number:+.2f}".replace("-", "−") for number in numbers)
    return Entry(f"{difference} ({low} to {high})")


def _outcome(row: Any) -> Entry:
    return Entry(row["outcome"] + "*" * bool(row["small"]))


def _cell(analysis: Analysis, row: Any) -> list[Entry]:
    return [*_block(analysis, row), Entry(_percent(row["sparsity"]))]


def _block(analysis: Analysis, row: Any) -> list[Entry]:
    """Return the columns that name a block of rows."""
    there = {"workload": Entry(row["workload"]), "learning rate": Entry(f"{row['learning_rate']:g}")}
    return [there[header] for header in _leading(analysis)]


def _leading(analysis: Analysis) -> list[str]:
    """Return the headers of the columns that name a block: workload and learning rate, where there are several."""
    several = {"workload": len(analysis.meta) > 1, "learning rate": analysis.scores["learning_rate"].nunique() > 1}
    return [header for header, there in several.items() if there]


def _percent(sparsity: float) -> str:
    return f"{100 * sparsity:g} %"


def _about(analysis: Analysis) -> str:
    """Name the suite, what all of its rows have in common, and whether it is whole and the published one."""
    suite, leading = analysis.suite, _leading(analysis)
    once = [] if "workload" in leading else list(analysis.meta)
    once += [] if "learning rate" in leading else [f"learning rate {analysis.scores['learning_rate'].iloc[0]:g}"]
    about = [
        f"Suite {suite.name} {suite.version}",
        *once,
        f"budget {suite.budget} with T = {suite.recipe.epochs} epochs",
    ]
    warning = f"Not the published suite: {why}." if (why := unpublished(suite)) else ""
    return " ".join(filter(None, [f"{', '.join(about)}.", warning, incomplete(analysis)]))
