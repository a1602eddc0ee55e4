"""The winning property of Liu et al. (2021, section 1).

At its learning rate, the ticket is as good as dense and clearly better than re-initialised weights under its mask. Both
must hold, so p = max; one of them refutes it, so p = 2 min.

    holds:  p = max(p_more(t - R, gamma), p_more(t - D_l, -delta))          Holm over the cells
    fails:  p = min(1, 2 min(p_less(t - R, gamma), p_less(t - D_l, -delta)))    BH over the cells

These are conditions 3 and 4 of the verdicts in the reading `same`, at every sparsity. They show at which learning rates
the property holds.
"""

import numpy as np
import pandas as pd

from lthbench.scoring.contrast import CELL, Thresholds
from lthbench.scoring.correction import bh, holm, within

HOLDS, FAILS, OPEN = "holds", "fails", "open"
WINNING_COLUMNS = [*CELL, "n", "winning", "gap_reinit", "gap_dense", "p_holds_adjusted", "p_fails_adjusted"]


def winning(verdicts: pd.DataFrame, thresholds: Thresholds | None = None) -> pd.DataFrame:
    """Return one row for each cell of `verdicts`, with `WINNING_COLUMNS`; gaps in pp.

    The winning property `holds`, `fails`, is `open`, or is `pending` at alpha 0.
    """
    thresholds = thresholds or Thresholds()
    rows = verdicts[verdicts["reading"] == "same"].reset_index(drop=True)
    rows["n"] = rows[["pairs_3", "pairs_4"]].min(axis=1)  # the same with or without a small dense network
    family = rows["n"] >= thresholds.min_seeds
    holds = within(family, np.maximum(rows["p_show_3"], rows["p_show_4"]), holm)
    fails = within(family, np.minimum(1.0, 2 * np.minimum(rows["p_refute_3"], rows["p_refute_4"])), bh)
    state = np.select([holds <= thresholds.alpha, fails <= thresholds.alpha], [HOLDS, FAILS], OPEN).astype(object)
    said = state if thresholds.alpha > 0 else np.full(len(rows), "pending", dtype=object)
    rows = rows.assign(winning=said, gap_reinit=rows["gap_3"], gap_dense=rows["gap_4"])
    return rows.assign(p_holds_adjusted=holds, p_fails_adjusted=fails)[WINNING_COLUMNS]
