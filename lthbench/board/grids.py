"""Duels and verdicts as grids: a symbol, a number and a sentence for every learning rate and sparsity.

A shown tie and an undecided cell never share a symbol, and no two symbols differ in colour alone.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lthbench.board.analysis import Analysis, Duel
from lthbench.board.page import cell_words, rows_of
from lthbench.scoring import words
from lthbench.scoring.contrast import BOTH
from lthbench.scoring.verdicts import JACKPOT, NEITHER, SECONDARY
from lthbench.scoring.winning import FAILS, HOLDS

DUEL_SYMBOLS = {
    "a": "▲",
    "a-small": "△",
    "b": "▼",
    "b-small": "▽",
    "tie": "=",
    "undecided": "?",
    "collapsed": "∅",
    "pending": "…",
}
VERDICT_SYMBOLS = {"jackpot": "★", "secondary": "☆", "neither": "✕", "trivial": "–", "open": "?", "pending": "…"}
WINNING_SYMBOLS = {"holds": "●", "fails": "○", "open": "?", "pending": "…"}


@dataclass(frozen=True)
class Square:
    """A cell of a grid. `kind` names its symbol and its style; `interval` is that of the number.

    `cells` counts the symbols of the cells behind a mean.
    """

    kind: str
    symbol: str
    number: str
    words: str
    interval: str = ""
    cells: str = ""


@dataclass(frozen=True)
class Grid:
    """The squares of a workload by (learning rate, sparsity)."""

    workload: str
    rates: list[float]
    sparsities: list[float]
    squares: dict[tuple[float, float], Square]


def duel_grids(analysis: Analysis, duel: Duel) -> list[Grid]:
    """Return one grid for each workload. The number is the difference a - b in pp."""
    return _laid_out(duel.cells, lambda row: _duel_square(analysis, duel, row))


def marginal_square(analysis: Analysis, row: Any, cells: pd.DataFrame, a: str, b: str) -> Square:
    """Return the square of a row of `duel.marginals` over `cells` of one workload. The number is the difference a - b."""
    kind = _kind(row, a, b)
    difference, low, high = (_signed(row[name], row["difference"]) for name in ("difference", "low", "high"))
    part = f" in {row['used']} of {row['cells']}" if row["used"] < row["cells"] else ""
    interval = f"({low} to {high}){part}" if row["used"] else "no cell to compare"
    said = words.marginal_words(row, a, b, analysis.meta[cells["workload"].iloc[0]].tolerance)
    kinds = [_cell_kind(cell, a, b) for cell in rows_of(cells)]
    counts = ", ".join(f"{kinds.count(k)} {symbol}" for k, symbol in DUEL_SYMBOLS.items() if k in kinds)
    return Square(kind, DUEL_SYMBOLS[kind], difference, said, interval, counts)


def verdict_grids(analysis: Analysis, ticket: str, reading: str) -> list[Grid]:
    """Return one grid for each workload. The number is the seeds that would decide an open cell."""
    table = analysis.verdicts(ticket)
    return _laid_out(table[table["reading"] == reading], lambda row: _verdict_square(analysis, row))


def winning_grids(analysis: Analysis, ticket: str) -> list[Grid]:
    """Return one grid for each workload. The number is the gap to re-initialised weights in pp."""
    return _laid_out(analysis.winning(ticket), _winning_square)


def _laid_out(table: pd.DataFrame, square: Callable[[Any], Square]) -> list[Grid]:
    grids = []
    for workload, rows in table.groupby("workload", sort=True):
        squares = {(row["learning_rate"], row["sparsity"]): square(row) for row in rows_of(rows)}
        rates, sparsities = (sorted(rows[axis].unique().tolist()) for axis in ("learning_rate", "sparsity"))
        grids.append(Grid(str(workload), rates, sparsities, squares))
    return grids


def _duel_square(analysis: Analysis, duel: Duel, row: Any) -> Square:
    kind = _cell_kind(row, duel.a, duel.b)
    means = f"{duel.a} {_percent(row['mean_a'])}, {duel.b} {_percent(row['mean_b'])}. "
    found = (
        f" These seeds would show a difference of {row['detectable']:.2g} pp."
        if math.isfinite(row["detectable"])
        else ""
    )
    crossed = f" On new images {interval} pp." if (interval := words.on_new_images(row)) else ""
    said = f"{means}{cell_words(analysis, row, duel)}.{crossed}{found}"
    return Square(kind, DUEL_SYMBOLS[kind], _signed(row["difference"]), said)


def _cell_kind(row: Any, a: str, b: str) -> str:
    return "collapsed" if row["note"] == BOTH else _kind(row, a, b)


def _kind(row: Any, a: str, b: str) -> str:
    side = {a: "a", b: "b"}.get(row["outcome"], row["outcome"])
    return f"{side}-small" if row["small"] else str(side)


def _verdict_square(analysis: Analysis, row: Any) -> Square:
    kinds = {JACKPOT: "jackpot", SECONDARY: "secondary", NEITHER: "neither", "pending": "pending"}
    kind = "trivial" if row["failed"] == "1" else kinds.get(row["verdict"], "open")
    seeds = f"{row['seeds_needed']:.0f}" if math.isfinite(row["seeds_needed"]) else ">100"
    said = words.verdict_words(row, analysis.meta[row["workload"]], analysis.ticket_thresholds)
    number = seeds if kind == "open" and not math.isnan(row["seeds_needed"]) else ""
    return Square(kind, VERDICT_SYMBOLS[kind], number, f"{said}. By point estimates: {row['paper_rule']}.")


def _winning_square(row: Any) -> Square:
    kind = {HOLDS: "holds", FAILS: "fails", "pending": "pending"}.get(row["winning"], "open")
    gaps = f"{_signed(row['gap_dense'])} pp against dense, {_signed(row['gap_reinit'])} pp against re-initialised"
    return Square(
        kind, WINNING_SYMBOLS[kind], _signed(row["gap_reinit"]), f"winning property {row['winning']}: {gaps}."
    )


def _percent(value: float) -> str:
    return "collapsed" if math.isnan(value) else f"{value:.1f} %"


def _signed(value: float, scale: float | None = None) -> str:
    """Return a number of pp with its sign: one decimal where `scale`, by default the number itself, is 1 or more."""
    if math.isnan(value):
        return ""
    return f"{value:+.{1 if abs(value if scale is None else scale) >= 1 else 2}f}".replace("-", "−")
