"""The verdict on a ticket in a cell: jackpot, secondary prize or neither (specification, section 6; Ma et al. 2021).

Ticket t at (workload, learning rate l, sparsity s); D dense, R re-initialised with t's mask, Z small dense; gamma =
clear gap, delta = tolerance:

    1  s >= nontrivial sparsity, recipe sufficient     by definition
    2  t - Z > gamma       at all rates of the reading     shown: max p_more(gamma)     refuted: min(1, # min p_less(gamma))
    3  t - R > gamma       at all rates of the reading     shown: max p_more(gamma)     refuted: min(1, # min p_less(gamma))
    4  t - D_l >= -delta                                   shown: p_more(-delta)        refuted: p_less(-delta)
    5  t - D_l' >= -delta  at every rate l'                shown: max p_more(-delta)    refuted: min(1, L min p_less(-delta))

    p_prize = max(p2, p3, p4)    p_jackpot = max(p_prize, p5)    p_secondary = max(p_prize, r5)    p_neither = min(1, 3 min(r2, r3, r4))

Reading `any` takes every learning rate in conditions 2 and 3 (the paper's words). Reading `same` takes only l' = l (the
paper's examples). A prize is Holm-adjusted and `neither` BH-adjusted, over the cells of the reading with condition 1
and enough seeds in every contrast.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from lthbench.scoring.contrast import (
    CELL,
    Array,
    Flags,
    Meta,
    Thresholds,
    accuracy_table,
    barred,
    collapse_limits,
    contrast,
    keys,
    known,
    p_less,
    p_more,
    pairs_at,
)
from lthbench.scoring.correction import bh, holm, seeds_needed, within
from lthbench.scoring.moderation import borrowed

JACKPOT, SECONDARY, NEITHER, OPEN = "jackpot", "secondary prize", "neither", "not enough evidence"
READINGS = ("any", "same")
CONDITIONS = (2, 3, 4, 5)
VERDICT_COLUMNS = [*CELL, "n", "verdict", "at_least", "failed", "unproven"]
VERDICT_COLUMNS += [f"{name}_{k}" for name in ("gap", "p_show", "p_refute") for k in CONDITIONS]
VERDICT_COLUMNS += [
    "p_claim_adjusted",
    "p_prize_adjusted",
    "p_neither_adjusted",
    "seeds_needed",
    "reading",
    "paper_rule",
    *[f"pairs_{k}" for k in CONDITIONS],
]


def verdicts(
    records: pd.DataFrame,
    meta: Mapping[str, Meta],
    ticket: str,
    *,
    dense: str | None = "dense",
    reinit: str | None = "random-reinit",
    small: str | None = "small-dense",
    sufficient: bool = True,
    thresholds: Thresholds | None = None,
) -> pd.DataFrame:
    """Return one row for each cell of the ticket, first in reading `any`, then in `same`, with `VERDICT_COLUMNS`; gaps
    in pp.

    A control that was not run is named None: its p is 1, and no prize can be shown. `sufficient` says whether the
    recipe satisfies condition 1. A suite with k ticket methods passes `Thresholds(alpha=0.05 / k)`. At alpha 0 every
    verdict is `pending`. `n` is the smallest number of pairs in a contrast, `gap_k` the smallest difference over the
    reading, and `pairs_k` the smallest number of pairs of a condition. `failed` and `unproven` list conditions as in "3
    4". `seeds_needed` is inf if `max_seeds` are too few or collapses forbid the claim, and NaN if there is no advice.
    `paper_rule` is the verdict of the point estimates.

    Raises ValueError for bad records or a named method without runs.
    """
    thresholds = thresholds or Thresholds()
    table = accuracy_table(records, meta)
    for method in (ticket, dense, reinit, small):
        if method is not None:
            known(table, method)
    controls = {"dense": dense, "reinit": reinit, "small": small}
    cells, contrasts = _contrasts(table, meta, ticket, controls, thresholds)
    nontrivial = (cells["sparsity"] >= thresholds.nontrivial_sparsity).to_numpy() & sufficient
    readings = [_read(cells, nontrivial, _parts(contrasts, reading, meta), reading, thresholds) for reading in READINGS]
    return pd.concat(readings, ignore_index=True)[VERDICT_COLUMNS]


def _contrasts(
    table: pd.DataFrame,
    meta: Mapping[str, Meta],
    ticket: str,
    controls: Mapping[str, str | None],
    thresholds: Thresholds,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the ticket's cells, and their contrasts with each control.

    There is one contrast for each learning rate at which the ticket or a control was run. One workload is one pool.
    """
    limits = collapse_limits(table, meta, controls["dense"] or "", thresholds)
    cells = table.xs(ticket, level="method").index.sort_values().to_frame(index=False)
    named = [ticket, *(method for method in controls.values() if method)]
    runs = table.index[table.index.get_level_values("method").isin(named)].to_frame(index=False)
    rates = runs[["workload", "learning_rate"]].drop_duplicates().rename(columns={"learning_rate": "rate"})
    grid = (
        cells.rename_axis("cell")
        .reset_index()
        .merge(rates, on="workload")
        .sort_values(["cell", "rate"], ignore_index=True)
    )
    against = []
    for kind, method in controls.items():
        of_kind = grid.assign(kind=kind, at=0.0 if kind == "dense" else grid["sparsity"])
        pairs = pairs_at(table, meta, limits, of_kind, keys(of_kind, ticket), keys(of_kind, method or "", "rate", "at"))
        against.append(pd.concat([of_kind, contrast(pairs)], axis=1))
    return cells, borrowed(pd.concat(against, ignore_index=True), thresholds)


def _parts(contrasts: pd.DataFrame, reading: str, meta: Mapping[str, Meta]) -> pd.DataFrame:
    """Return the contrasts that each condition asks about, with `margin` (pp), p_show and p_refute, and their `count`."""
    kind, here = contrasts["kind"], contrasts["rate"] == contrasts["learning_rate"]
    read = here | (reading == "any")
    asked = {2: kind.eq("small") & read, 3: kind.eq("reinit") & read, 4: kind.eq("dense") & here, 5: kind.eq("dense")}
    parts = pd.concat(
        [contrasts[rows].assign(condition=condition) for condition, rows in asked.items()], ignore_index=True
    )
    gamma, delta = (
        np.array([(meta[w].clear_gap, meta[w].tolerance) for w in parts["workload"]], dtype=float).reshape(-1, 2).T
    )
    parts["margin"] = np.where(parts["condition"] <= 3, gamma, -delta)
    count = parts.groupby(["cell", "condition"])["kind"].transform("size")
    # On the grid of counts a mean can equal its margin. Rounding keeps the tenth decimal from deciding the side.
    gap = (parts["difference"] - parts["margin"]).round(9)
    return parts.assign(
        p_show=p_more(parts, parts["margin"]), p_refute=p_less(parts, parts["margin"]), count=count, gap=gap
    )


def _read(
    cells: pd.DataFrame, nontrivial: Flags, parts: pd.DataFrame, reading: str, thresholds: Thresholds
) -> pd.DataFrame:
    """Return the rows of one reading, which is one family."""
    rows = pd.concat([cells, _conditions(parts)], axis=1)
    show, refute = ({k: rows[f"p_{name}_{k}"] for k in CONDITIONS} for name in ("show", "refute"))
    p_prize = np.maximum.reduce([show[2], show[3], show[4]])
    p_jackpot, p_secondary = np.maximum(p_prize, show[5]), np.maximum(p_prize, refute[5])
    p_neither = np.minimum(1.0, 3 * np.minimum.reduce([refute[2], refute[3], refute[4]]))
    family = nontrivial & (rows["n"] >= thresholds.min_seeds).to_numpy()
    rows["p_claim_adjusted"] = within(family, np.minimum(p_jackpot, p_secondary), holm)
    rows["p_prize_adjusted"], rows["p_neither_adjusted"] = within(family, p_prize, holm), within(family, p_neither, bh)
    claimed, refuted = rows["p_claim_adjusted"] <= thresholds.alpha, rows["p_neither_adjusted"] <= thresholds.alpha
    rows["verdict"] = _first(
        [~nontrivial, claimed & (p_jackpot <= p_secondary), claimed, refuted],
        [NEITHER, JACKPOT, SECONDARY, NEITHER, OPEN],
    )
    rows["paper_rule"] = _paper_rule(rows, nontrivial)
    rows["seeds_needed"] = _advice(parts, rows, family, thresholds)
    return _explained(rows, nontrivial, thresholds).assign(reading=reading)


def _conditions(parts: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each cell: n, and for each condition k gap_k, p_show_k, p_refute_k, and over_k.

    over_k is the smallest gap to the margin.
    """
    grouped = parts.groupby(["cell", "condition"])
    summary = grouped.agg(
        gap=("difference", "min"),
        over=("gap", "min"),
        p_show=("p_show", "max"),
        p_refute=("p_refute", "min"),
        pairs=("n_pairs", "min"),
    )
    summary["p_refute"] = np.minimum(1.0, summary["p_refute"] * grouped.size())
    wide = [summary.xs(k, level="condition").add_suffix(f"_{k}") for k in CONDITIONS]
    return pd.concat([*wide, parts.groupby("cell")["n_pairs"].min().rename("n")], axis=1)


def _first(holds: Sequence[ArrayLike], words: Sequence[str]) -> NDArray[np.object_]:
    """Return, for each row, the word of the first flag that holds, or the last word."""
    return np.select([np.asarray(flags, dtype=bool) for flags in holds], list(words[:-1]), words[-1]).astype(object)


def _paper_rule(rows: pd.DataFrame, nontrivial: Flags) -> NDArray[np.object_]:
    """Return the verdict of the point estimates, without any evidence. It is shown in grey beside the verdict."""
    prize = (rows["over_2"] > 0) & (rows["over_3"] > 0) & (rows["over_4"] >= 0)
    unknown = rows[[f"over_{k}" for k in CONDITIONS]].isna().any(axis=1)
    return _first([~nontrivial, unknown, ~prize, rows["over_5"] >= 0], [NEITHER, OPEN, NEITHER, JACKPOT, SECONDARY])


def _explained(rows: pd.DataFrame, nontrivial: Flags, thresholds: Thresholds) -> pd.DataFrame:
    """Add the conditions that failed, those that are open, and the prize that is certain all the same.

    Each is added only where the verdict leaves it open.
    """
    open_, tested = rows["verdict"].eq(OPEN), rows["verdict"].eq(NEITHER) & nontrivial
    failing = _listed({k: tested & (3 * rows[f"p_refute_{k}"] <= thresholds.alpha) for k in (2, 3, 4)})
    rows["failed"] = np.where(nontrivial, failing, "1")
    rows["unproven"] = _listed({k: open_ & (rows[f"p_show_{k}"] > thresholds.alpha) for k in CONDITIONS})
    rows["at_least"] = np.where(open_ & (rows["p_prize_adjusted"] <= thresholds.alpha), SECONDARY, "")
    if thresholds.alpha == 0:
        rows[["verdict", "failed", "unproven", "at_least"]] = ["pending", "", "", ""]
    return rows


def _listed(holds: Mapping[int, pd.Series]) -> list[str]:
    return [
        " ".join(str(k) for k, flags in holds.items() if flags.iloc[i]) for i in range(len(next(iter(holds.values()))))
    ]


def _advice(parts: pd.DataFrame, rows: pd.DataFrame, family: Flags, thresholds: Thresholds) -> Array:
    """Return the seeds at which each open cell would get the verdict that its point estimates imply.

    The level is the next one in its family.
    """
    open_ = family & rows["verdict"].eq(OPEN).to_numpy() & (thresholds.alpha > 0)
    asked = parts[open_[parts["cell"]]]
    implied, condition = rows["paper_rule"].to_numpy()[asked["cell"]], asked["condition"]
    not_5 = (implied == SECONDARY) & (condition == 5)
    level = np.where(
        implied == NEITHER,
        _neither_level(rows, family, thresholds) / asked["count"],
        _prize_level(rows, family, thresholds),
    )
    level = np.where(not_5, level / asked["count"], level)
    needed = seeds_needed(
        asked["gap"], np.sqrt(asked["variance_moderated"]), asked["prior_df"], asked["n"], level, thresholds
    )
    asked = asked.assign(needed=np.where(np.isnan(needed) | barred(asked, asked["gap"]), np.inf, needed))
    # A prize needs every contrast of its conditions. One contrast is enough for a condition to fail.
    every = asked[((implied == JACKPOT) & (condition != 4)) | ((implied == SECONDARY) & (condition != 5))]
    one = asked[(not_5 & (asked["gap"] < 0)) | ((implied == NEITHER) & (condition != 5) & (asked["gap"] <= 0))]
    advice = pd.concat([every.groupby("cell")["needed"].max(), one.groupby("cell")["needed"].min()], axis=1).max(axis=1)
    return np.where(open_, advice.reindex(rows.index), np.nan)


def _prize_level(rows: pd.DataFrame, family: Flags, thresholds: Thresholds) -> float:
    claimed = (family & rows["verdict"].isin([JACKPOT, SECONDARY])).sum()
    return thresholds.alpha / max(family.sum() - claimed, 1)


def _neither_level(rows: pd.DataFrame, family: Flags, thresholds: Thresholds) -> float:
    refuted = (family & rows["verdict"].eq(NEITHER)).sum()
    return thresholds.alpha * (refuted + 1) / max(family.sum(), 1) / 3
