"""The sentences for outcomes on a board (specification, section 8), each from one row of a table.

The tables are those of `duel`, `marginals`, `verdicts` and `ranking`. Accuracies are in pp, with one decimal if the
difference is 1 pp or more and two below. Collapsed runs are always mentioned. A "tie" was shown; without evidence a
cell is "undecided".
"""

import math
from collections.abc import Mapping

import pandas as pd

from lthbench.scoring.contrast import ALPHA, BOTH, SEPARATED, Meta, Thresholds
from lthbench.scoring.ranking import group_letter
from lthbench.scoring.verdicts import JACKPOT, NEITHER, SECONDARY

PENDING = "pending: between two declared looks"
CONTROLS = {2: "small dense", 3: "re-initialised", 4: "dense at this learning rate"}


def cell_words(row: pd.Series, a: str, b: str, tolerance: float, thresholds: Thresholds | None = None) -> str:
    """Describe a row of `duel(…, a, b)`, with the tolerance of its workload in pp."""
    thresholds = thresholds or Thresholds()
    if row["outcome"] == "pending":
        return PENDING
    if row["note"] == BOTH:
        return BOTH
    if row["n_pairs"] < thresholds.min_seeds:
        return f"undecided: {row['n_pairs']} of the {thresholds.min_seeds} seeds needed"
    if row["n"] < 2:
        return f"undecided: too few seeds without a collapse{_collapses(row, a, b)}"
    seeds = f", {row['n']} seeds" if row["outcome"] in (a, b) and not row["small"] else ""
    return _outcome(row, tolerance) + (_kept(row, a, b) or seeds) + _collapses(row, a, b) + _advice(row, thresholds)


def marginal_words(row: pd.Series, a: str, b: str, tolerance: float) -> str:
    """Describe a row of `marginals(…, a, b)`, with the mean tolerance of its workloads in pp.

    Show the `outcome_counts` of its cells beside it.
    """
    if row["outcome"] == "pending":
        return PENDING
    if not row["used"]:
        return "undecided: no cell to compare"
    fallen = [
        f"; {name} collapsed in {row[side]}" for name, side in ((a, "collapsed_a"), (b, "collapsed_b")) if row[side]
    ]
    crossed = f"; on new images {interval}" if (interval := on_new_images(row)) else ""
    of = "" if row["used"] == row["cells"] else f"{row['used']} of "
    return f"{_outcome(row, tolerance)}, mean of {of}{row['cells']} cells{crossed}{''.join(fallen)}"


def on_new_images(row: pd.Series, thresholds: Thresholds | None = None) -> str:
    """Return the interval, for new test images as well as new seeds, of a row of `duel` or `marginals`.

    It has the same sign as the words of the row. It is empty if the interval is unknown, or the seeds are too few.
    """
    low, high = row["low_images"], row["high_images"]
    too_few = row.get("n_pairs", math.inf) < (thresholds or Thresholds()).min_seeds
    if math.isnan(low) or too_few or row["outcome"] == "pending":
        return ""
    if _turned(row):
        low, high = -high, -low
    return f"{_pp(low, row['difference'])} to {_pp(high, row['difference'])}"


def outcome_counts(cells: pd.DataFrame, a: str, b: str) -> str:
    """Count the outcomes of a duel's cells. A mean over cells can hide them, since extreme sparsities dominate it."""
    counts = cells["outcome"].value_counts()
    return ", ".join(
        f"{outcome} {counts[outcome]}" for outcome in (a, b, "tie", "undecided", "pending") if outcome in counts
    )


def verdict_words(row: pd.Series, meta: Meta, thresholds: Thresholds | None = None) -> str:
    """Describe a row of `verdicts`, with tolerance and clear gap of its workload."""
    thresholds = thresholds or Thresholds()
    if row["verdict"] == JACKPOT:
        above = f"more than {meta.clear_gap:g} pp above re-initialised and small dense"
        return f"{JACKPOT}: as good as the best dense network (within {meta.tolerance:g} pp), {above}"
    if row["verdict"] == SECONDARY:
        return f"{SECONDARY}: as good as dense at this learning rate, below the best dense by more than {meta.tolerance:g} pp"
    if row["verdict"] == NEITHER:
        return f"{NEITHER}: {_failure(row, thresholds)}"
    return PENDING if row["verdict"] == "pending" else f"{row['verdict']}: {_gaps_in_evidence(row, thresholds)}"


def rank_words(row: pd.Series) -> str:
    """Describe a row of `ranking`, whose index is the position. The two numbers in brackets are simultaneous bounds."""
    if row["partial"]:
        return "partial: no rank"
    return f"{row.name} ({row['rank_low']}–{row['rank_high']}), group {group_letter(row['group'])}"


def footer(meta: Mapping[str, Meta], alpha: float = ALPHA, crossed: bool = False) -> str:
    """Return the note below every table; `crossed` adds a line for intervals on new images."""
    sizes = [f"{n:,}" for n in sorted({m.n_test for m in meta.values()})]
    test_set = (
        f"test set of {sizes[0]} images does" if len(sizes) == 1 else f"test sets of {' and '.join(sizes)} images do"
    )
    also = " Intervals marked 'on new images' allow for new test images too." if crossed else ""
    return (
        f"At most {100 * alpha:g} % of such tables carry a false prize, and at most {100 * alpha:g} % of the wins shown are false. "
        "Each interval is a 95 % interval, so one that excludes 0 in an undecided cell is normal. "
        f"Seeds vary, **the {test_set} not**: read 'on this test set'.{also}"
    )


def _outcome(row: pd.Series, tolerance: float) -> str:
    difference, low, high = row["difference"], row["low"], row["high"]
    if row["outcome"] == "tie":
        return f"tie: within {tolerance:g} pp of each other ({_pp(low, difference)} to {_pp(high, difference)})"
    if row["outcome"] == "undecided":
        return f"undecided: {_pp(difference)} pp ({_pp(low, difference)} to {_pp(high, difference)})"
    if _turned(row):
        difference, low, high = -difference, -high, -low
    small = f", less than the {tolerance:g} pp that counts as similar" if row["small"] else ""
    return f"{row['outcome']} ahead by {_pp(difference)} pp ({_pp(low, difference)} to {_pp(high, difference)}){small}"


def _turned(row: pd.Series) -> bool:
    """Tell whether the row is described from the side of b, which is ahead."""
    return row["outcome"] not in ("tie", "undecided") and row["difference"] < 0


def _kept(row: pd.Series, a: str, b: str) -> str:
    if row["n"] == row["n_pairs"] and row["note"] != SEPARATED:
        return ""
    steady = a if row["collapsed_a"] < row["collapsed_b"] else b
    return f" on the {row['n']} seeds on which {f'{steady} did not collapse' if row['note'] == SEPARATED else 'neither collapsed'}"


def _collapses(row: pd.Series, a: str, b: str) -> str:
    sides = [(a, row["collapsed_a"]), (b, row["collapsed_b"])]
    fallen = [f"{name} collapsed in {count} of {row['n_pairs']}" for name, count in sides if count]
    return f"; {', '.join(fallen)}" if fallen else ""


def _failure(row: pd.Series, thresholds: Thresholds) -> str:
    if row["failed"] == "1":
        trivial = row["sparsity"] < thresholds.nontrivial_sparsity
        return f"sparsity {row['sparsity']:g} is trivial" if trivial else "the recipe is not marked sufficient"
    failed = [int(k) for k in row["failed"].split()]
    sides = [
        f"{CONTROLS[k]} is {_pp(abs(row[f'gap_{k}']))} pp {'above' if row[f'gap_{k}'] < 0 else 'below'}" for k in failed
    ]
    return f"{_conditions(failed)} {'fails' if len(failed) == 1 else 'fail'} ({', '.join(sides)})"


def _gaps_in_evidence(row: pd.Series, thresholds: Thresholds) -> str:
    if row["n"] < thresholds.min_seeds:
        return f"{row['n']} of the {thresholds.min_seeds} seeds that every comparison needs"
    said = ["at least a secondary prize"] if row["at_least"] else []
    if unproven := [int(k) for k in row["unproven"].split()]:
        said.append(f"{_conditions(unproven)} open ({', '.join(_pp(row[f'gap_{k}']) for k in unproven)} pp)")
    return "; ".join([*said, _seeds(row["seeds_needed"], thresholds)])


def _advice(row: pd.Series, thresholds: Thresholds) -> str:
    if row["outcome"] != "undecided":
        return ""
    if math.isnan(row["seeds_needed"]):
        return "; the side that collapsed more often may claim nothing"
    return f"; {_seeds(row['seeds_needed'], thresholds)} if the present gap is the true one"


def _conditions(numbers: list[int]) -> str:
    *most, last = map(str, numbers)
    return f"conditions {', '.join(most)} and {last}" if most else f"condition {last}"


def _seeds(needed: float, thresholds: Thresholds) -> str:
    return (
        f"{needed:.0f} seeds would decide"
        if math.isfinite(needed)
        else f"more than {thresholds.max_seeds} seeds would be needed"
    )


def _pp(value: float, scale: float | None = None) -> str:
    decimals = 1 if abs(value if scale is None else scale) >= 1 else 2
    return f"{round(value, decimals) + 0.0:.{decimals}f}".replace("-", "−")
