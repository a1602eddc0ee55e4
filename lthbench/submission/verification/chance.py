"""Chance: seeds and permutations that no author has seen, and tests of runs where equal bits cannot be asked."""

import math
import random
from collections.abc import Sequence

import numpy as np
from scipy import stats

from lthbench.scoring.contrast import ALPHA
from lthbench.submission.battery.check import Finding
from lthbench.submission.verification.report import finding

BIAS = 0.01  # of the test that no side is better: one-sided, as it is the author who gains
CHANCE = 0.001  # how seldom an honest run falls as short as the limit
MOST = 15.0  # pp: no limit is wider, however few runs there are
FIRST, LAST = 1_000_000, 2**31 - 1  # suites have seeds from 0 on


def seed(rng: random.Random) -> int:
    """Draw a seed that no suite has."""
    return rng.randint(FIRST, LAST)


def permutation(classes: int, rng: random.Random) -> list[int]:
    """Draw a permutation of the classes that leaves none where it was (Sattolo 1986)."""
    order = list(range(classes))
    for last in range(classes - 1, 0, -1):
        other = rng.randrange(last)
        order[last], order[other] = order[other], order[last]
    return order


def equivalence(gaps: list[float]) -> Finding:
    """Test whether differences (again - handed in), in units of the tolerance, lie within one and are not biased.

    Within: two one-sided t tests (Schuirmann 1987) at 5 %. Bias: a one-sided t test of a mean below 0, at 1 %.
    """
    worst = max(map(abs, gaps), default=0.0)
    if len(gaps) < 2 or np.ptp(gaps) == 0:
        within = float(not (len(gaps) > 1 and worst < 1))
        bias = 0.0 if len(gaps) > 1 and gaps[0] < 0 else 1.0
    else:
        within = max(stats.ttest_1samp(gaps, s, alternative=a).pvalue for s, a in ((-1, "greater"), (1, "less")))
        bias = stats.ttest_1samp(gaps, 0, alternative="less").pvalue
    where = f"{len(gaps)} runs in another environment"
    problems = [
        None
        if within < ALPHA
        else f"{where}, not shown to be within the tolerance (p = {within:.3g}, worst {worst:.2g})",
        None if bias >= BIAS else f"{where}, worse on the whole than those handed in (p = {bias:.3g})",
    ]
    return finding("equivalence", problems, f"{where}, within the tolerance (p = {within:.2g})")


def shortfall(
    here: Sequence[float], cells: Sequence[Sequence[float]], again: float, tolerance: float
) -> tuple[float, float]:
    """Return how far a run falls short of its cell's mean in pp, and how far chance may let it.

    The limit is that of a new run of the cell (a prediction interval), with the standard deviation of all cells together.
    """
    squares = sum(float(np.var(cell)) * len(cell) for cell in cells)
    df = sum(len(cell) - 1 for cell in cells)
    deviation = max(math.sqrt(squares / df) if df else 0.0, tolerance)
    factor = float(stats.t.ppf(1 - CHANCE, max(df, 2))) * math.sqrt(1 + 1 / len(here))
    return float(np.mean(here)) - again, min(MOST, factor * deviation)
