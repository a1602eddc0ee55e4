"""The front page: one table that says whether tickets win, and the boards in groups. Everything is computed from records.

A row is a workload at a learning rate: the ticket of a main suite against its rivals, averaged over the sparsities. The
data sets with the most test images come first.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from lthbench.board.analysis import CELL, CONTROLS, Analysis
from lthbench.board.grids import Square, marginal_square
from lthbench.board.page import markdown
from lthbench.scoring import words

TICKET = "lottery-ticket"
RIVALS = {
    "prune-finetune": "prune-and-fine-tune",
    CONTROLS["reinit"]: "re-initialised weights",
    CONTROLS["small"]: "a small dense network",
}
GROUPS = {
    "main": "Tickets against prune-and-fine-tune",
    "pretrained": "The same from pretrained weights, which re-initialised and small networks cannot have",
    "baselines": "Many methods side by side",
    "papers": "Protocols of the papers",
    "calibration": "Checks of the benchmark itself",
}
ABSENT = "no runs yet"
OTHERS = {"b": "behind", "tie": "tied", "undecided": "undecided", "pending": "pending"}
METHODS = (
    "The ticket is one-shot: magnitude pruning of the trained network, and the weights that stay go back to their initial "
    "values. Prune-and-fine-tune is the arm of Liu et al.: the trained weights under the same mask, trained once more with the "
    "whole schedule (learning-rate rewinding to epoch 0 in Renda et al.), not fine-tuning at the last learning rate. These "
    "two and the re-initialised network spend 2T epochs. The small dense network is trained once, for T; its layers are "
    "narrowed alike until it has at most as many weights, which at 95 % and more leaves 5 units or fewer in the second layer of an "
    "MLP 300-100."
)
MARKS = (
    "The differences are the ticket's test accuracy minus the other's, in percentage points: the mean over the sparsities of "
    'a row, with a 95 % interval. "In 4 of 5": the mean is over 4 of 5 sparsities; at the fifth, a method collapsed or too few '
    "seeds are left. The second line counts the sparsities by their own outcome. ▲ the ticket is shown to be ahead, ▼ the other; "
    "△ ▽ ahead, but by less than the tolerance; = shown to be a tie; ? undecided; ∅ both collapsed. Marks are corrected for "
    "the number of statements in a suite and intervals are not, so ? may stand beside an interval without 0. The rows are those of "
    "the main suites; of two suites with one workload and learning rate, that with more seeds."
)


@dataclass(frozen=True)
class Answer:
    """A row of the table: the ticket of a board on a workload at a learning rate, and a square for each rival.

    `dense` is the mean test accuracy of the dense network there, in %.
    """

    board: str
    dataset: str
    dense: float
    workload: str
    learning_rate: float
    against: Mapping[str, Square | None]
    cells: int
    seeds: int
    budget: str

    @property
    def evidence(self) -> str:
        dense = "" if math.isnan(self.dense) else f"dense {self.dense:.1f} %; "
        return f"{dense}{self.cells} sparsities, {self.seeds} seeds, {self.budget}"


def answers(boards: Mapping[str, Analysis]) -> list[Answer]:
    """Return the rows of the table. A workload and learning rate of several main suites is that with the most seeds."""
    rows = [row for name, one in ordered(boards) if one.suite.group == "main" for row in _answers(name, one)]
    best = {(r.workload, r.learning_rate): r for r in sorted(rows, key=lambda r: r.seeds)}
    return [row for row in rows if best[row.workload, row.learning_rate] is row]


def _answers(board: str, analysis: Analysis) -> Iterable[Answer]:
    runs = analysis.frame[analysis.frame["method"] == TICKET]
    datasets = {workload.name: workload.dataset for workload in analysis.suite.workload}
    for (workload, rate), rows in runs.groupby(["workload", "learning_rate"], sort=True):
        where = str(workload), float(str(rate))
        against = {rival: _against(analysis, rival, *where) for rival in RIVALS}
        cells, seeds = rows["sparsity"].nunique(), rows["seed"].nunique()
        dense = _dense(analysis, *where)
        yield Answer(board, datasets[where[0]], dense, *where, against, cells, seeds, _budget(analysis))


def _dense(analysis: Analysis, workload: str, rate: float) -> float:
    runs = analysis.frame[analysis.frame["method"] == CONTROLS["dense"]]
    return float(runs[(runs["workload"] == workload) & (runs["learning_rate"] == rate)]["accuracy"].mean())


def _against(analysis: Analysis, rival: str, workload: str, rate: float) -> Square | None:
    """Return the square of the ticket against a rival; None where they share no cell."""
    row = analysis.marginal(TICKET, rival, workload, rate)
    if row is None:
        return None
    cells = analysis.cells(TICKET, rival)
    there = cells[(cells["workload"] == workload) & (cells["learning_rate"] == rate)]
    return marginal_square(analysis, row, there, TICKET, rival)


def _budget(analysis: Analysis) -> str:
    return f"{analysis.suite.budget} with T = {analysis.suite.recipe.epochs} epochs"


def sentence(rows: list[Answer]) -> str:
    """Return the answer in a sentence that counts the rows: ahead of each rival, behind it, tied and undecided."""
    data = list(dict.fromkeys(row.dataset for row in rows if any(row.against.values())))
    counted = [said for rival in RIVALS if (said := _counted(rows, rival))]
    if not counted:
        return "No suite has compared tickets yet."
    return (
        f"In the mean over sparsities, a one-shot lottery ticket is ahead {_listed(counted)}. A setting is a workload, "
        f"on {_listed(data)}, at a learning rate."
    )


def _counted(rows: list[Answer], rival: str) -> str:
    sides = [square.kind.removesuffix("-small") for row in rows if (square := row.against[rival])]
    others = [f"{said} in {sides.count(kind)}" for kind, said in OTHERS.items() if kind in sides]
    rest = f" ({', '.join(others)})" if others else ""
    return f"of {RIVALS[rival]} in {sides.count('a')} of {len(sides)} settings{rest}" if sides else ""


def _listed(parts: list[str]) -> str:
    *most, last = parts
    return f"{', '.join(most)}{',' * (len(most) > 1)} and {last}" if most else last


def table(rows: Iterable[Answer], link: str) -> str:
    """Return rows of the table as Markdown. `link` leads to the folder of the boards' tables."""
    headers = ["workload", "learning rate", *(f"against {said}" for said in RIVALS.values()), "evidence"]
    return markdown([_cells(row, link) for row in rows], headers)


def _cells(row: Answer, link: str) -> list[str]:
    against = [_square(square) if square else ABSENT for square in row.against.values()]
    return [f"[{row.workload}]({link}{row.board}/README.md)", f"{row.learning_rate:g}", *against, row.evidence]


def _square(square: Square) -> str:
    mean = " ".join(filter(None, [square.symbol, square.number, square.interval]))
    return f"{mean}<br>{square.cells}"


def ordered(boards: Mapping[str, Analysis]) -> list[tuple[str, Analysis]]:
    """Return the boards: those with the most test images first."""
    return sorted(boards.items(), key=lambda item: (-max(m.n_test for m in item[1].meta.values()), item[0]))


def grouped(boards: Mapping[str, Analysis]) -> list[tuple[str, list[tuple[str, Analysis]]]]:
    """Return the groups that have boards, each with its title."""
    found = {g: [item for item in ordered(boards) if item[1].suite.group == g] for g in GROUPS}
    return [(GROUPS[group], items) for group, items in found.items() if items]


def headline(analysis: Analysis) -> tuple[str, str]:
    """Return what a suite shows first, as a title and a sentence: a duel, else the head of the ranking, else the best mean."""
    for duel in analysis.duels[:1]:
        overall = duel.marginals.iloc[0]
        said = words.marginal_words(overall, duel.a, duel.b, analysis.tolerance)
        return f"{duel.a} against {duel.b}", f"{said}; by cell: {words.outcome_counts(duel.cells, duel.a, duel.b)}"
    if analysis.suite.duels:
        return "duels", "none has runs of both methods yet"
    for name, ranking in analysis.rankings.items():
        return f"ranking, {name}", _first_group(ranking)
    return "highest mean accuracy", _best(analysis)


def _first_group(ranking: pd.DataFrame) -> str:
    whole = ranking[~ranking["partial"]]
    first, *others = whole[whole["group"] == whole["group"].min()]["method"]
    apart = f"; {', '.join(others)} cannot be told apart from it" if others else ", apart from all others"
    return f"{first} is first of {len(whole)} methods{apart}"


def _best(analysis: Analysis) -> str:
    """Return the method with the highest mean in the cell that has the most methods. Such suites are not ranked."""
    scores = analysis.scores[analysis.scores["sparsity"] > 0]
    rows = max((rows for _, rows in scores.groupby(CELL, sort=True)), key=len, default=analysis.scores)
    best = rows.sort_values("mean").iloc[-1]
    where = f"{best['workload']}, learning rate {best['learning_rate']:g}, sparsity {100 * best['sparsity']:g} %"
    return f"{best['method']} with {best['mean']:.1f} %, of {len(rows)} methods at {where}; the suite is not ranked"
