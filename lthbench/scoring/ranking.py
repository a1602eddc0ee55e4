"""Ranking by mean place among a fixed field of reference methods (specification, section 7).

    place of m in a run = 1/2 + sum over b in the field of [b above m] + 1/2 [b equal to m]
    score = mean over the cells of a workload, for one seed         mean_place = mean over seeds, then over workloads
    each pair: v_w = max(var(score difference), (1/2 / C_w)² / 6) / n_w,  V = sum v_w / W²,  V moderated over the pairs without a trend,
    two-sided t, Holm over all pairs

The field is fixed because a place among all rows would let five clones of one method reorder the others.
"""

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from lthbench.scoring.contrast import CELL, Array, Flags, Meta, Thresholds, accuracy_table, known, satterthwaite
from lthbench.scoring.correction import holm
from lthbench.scoring.duel import overall
from lthbench.scoring.moderation import moderate

RANKING_COLUMNS = ["method", "mean_place", "rank_low", "rank_high", "group", "partial"]
RANKING_COLUMNS += ["place_without_low", "place_without_high", "gap", "gap_low", "gap_high"]
PAIR_COLUMNS = ["method", "other", "difference", "se", "df", "p", "p_adjusted", "apart"]


def ranking(
    records: pd.DataFrame,
    meta: Mapping[str, Meta],
    field: Collection[str],
    *,
    reference: str | None = None,
    dense: str = "dense",
    thresholds: Thresholds | None = None,
) -> pd.DataFrame:
    """Rank the methods with runs where the field has them: one row each, best first, with `RANKING_COLUMNS`.

    The index is the position, from 1. A method needs every (cell, seed) in which a method of the field has a run. A
    method that lacks one is `partial`: it comes last by name, has no rank and, if it is of the field, does not count in
    it. Ranks rank_low to rank_high hold for all rows at once at 1 - alpha; `group` counts from 1. `place_without_*` are
    the best and worst position with one workload, learning rate or sparsity left out. `gap`, for reading only, is the
    overall difference to `reference` in pp with its 95 % interval.

    Raises ValueError for bad records, or a field or reference without runs.
    """
    thresholds = thresholds or Thresholds()
    places, methods = _places(records, meta, field)
    means = _mean_places(places)
    order = _order(means)
    apart = _apart(pairs(records, meta, field, thresholds=thresholds), order)
    names = pd.Series([*order, *sorted(set(methods) - set(order))], name="method", dtype=object)
    names.index = pd.RangeIndex(1, len(names) + 1, name="position")
    rows = pd.DataFrame({"method": names, "mean_place": names.map(means).astype(float), "partial": ~names.isin(order)})
    ranks = _ranks(apart, places, order).set_axis(names.index[: len(order)]).reindex(names.index).astype("Int64")
    return pd.concat([rows, ranks, _gaps(records, meta, names, reference, dense, thresholds)], axis=1)[RANKING_COLUMNS]


def group_letter(group: int) -> str:
    """Return the name of a group: A for the first; its number behind Z."""
    return chr(ord("A") + group - 1) if group <= 26 else str(group)


def pairs(
    records: pd.DataFrame, meta: Mapping[str, Meta], field: Collection[str], *, thresholds: Thresholds | None = None
) -> pd.DataFrame:
    """Test every pair of complete methods: one row each, `method` ahead of `other`, with `PAIR_COLUMNS`.

    The difference is one of mean places.
    """
    thresholds = thresholds or Thresholds()
    places, _ = _places(records, meta, field)
    order = _order(_mean_places(places))
    i, j = np.triu_indices(len(order), 1)
    frame = pd.DataFrame({"method": np.array(order, dtype=object)[i], "other": np.array(order, dtype=object)[j]})
    difference, variance, f = _differences(places[order], i, j)
    borrowed = moderate(variance, f, np.zeros(len(f)), thresholds.prior_df_cap, thresholds.min_pool)
    frame["difference"], frame["se"], frame["df"] = difference, np.sqrt(borrowed.variance), borrowed.df
    p = 2 * stats.t.sf(np.abs(difference) / np.sqrt(borrowed.variance), borrowed.df)
    few = places.reset_index().groupby("workload")["seed"].nunique().min() < thresholds.min_seeds
    frame["p"] = 1.0 if few else p
    frame["p_adjusted"] = holm(frame["p"])
    return frame.assign(apart=frame["p_adjusted"] <= thresholds.alpha)[PAIR_COLUMNS]


def at_best_rate(records: pd.DataFrame) -> pd.DataFrame:
    """Return the runs of each method at its best learning rate, in each workload and at each sparsity.

    The best learning rate has the highest mean *validation* accuracy over seeds. A diverged run counts as 0, and a tie
    goes to the smaller rate. The runs get learning_rate 0, so that methods meet in one cell for each workload and
    sparsity, whichever learning rate each chose. Raises ValueError if there is no validation accuracy: the suite then
    has no such table.
    """
    if "validation_accuracy" not in records or records["validation_accuracy"].isna().all():
        raise ValueError(
            "the best learning rate needs validation_accuracy, but the records have none; choose a suite that holds images out"
        )
    where = ["workload", "method", "sparsity"]
    means = (
        records.fillna({"validation_accuracy": 0.0})
        .groupby([*where, "learning_rate"], sort=True)["validation_accuracy"]
        .mean()
    )
    best = means.groupby(level=where).idxmax().tolist()
    chosen = pd.MultiIndex.from_frame(records[[*where, "learning_rate"]]).isin(best)
    return records[chosen].assign(learning_rate=0.0)


def _places(records: pd.DataFrame, meta: Mapping[str, Meta], field: Collection[str]) -> tuple[pd.DataFrame, list[str]]:
    """Return places (runs, complete methods), rows (workload, learning_rate, sparsity, seed), and all methods with such
    runs."""
    table = accuracy_table(records, meta)
    declared = sorted({known(table, method) for method in field})
    runs = pd.DataFrame(table.stack().unstack("method")).sort_index()
    runs = runs[runs[declared].notna().any(axis=1)]
    complete = runs.columns[runs.notna().all()]
    within = [method for method in declared if method in complete]
    complete = complete if within else complete[:0]
    accuracy, among = (runs[list(names)].to_numpy(dtype=float) for names in (complete, within))
    accuracy, among = accuracy[:, :, None], among[:, None, :]
    places = 0.5 + (among > accuracy).sum(axis=2) + 0.5 * (among == accuracy).sum(axis=2)
    return pd.DataFrame(places, index=runs.index, columns=complete), [
        str(method) for method in runs.columns[runs.notna().any()]
    ]


def _mean_places(places: pd.DataFrame) -> pd.Series:
    return places.groupby(level=["workload", "seed"]).mean().groupby(level="workload").mean().mean()


def _order(means: pd.Series) -> list[str]:
    """Order methods by mean place, then by name. Places are rounded, since the tenth decimal of a sum must not decide."""
    return means.sort_index().round(9).sort_values(kind="stable").index.tolist()


def _differences(places: pd.DataFrame, i: NDArray[np.intp], j: NDArray[np.intp]) -> tuple[Array, Array, Array]:
    """Return mean difference, its variance and degrees of freedom for each pair of columns i, j."""
    scores = places.groupby(level=["workload", "seed"]).mean()
    cells = places.reset_index()[CELL].drop_duplicates()["workload"].value_counts()
    means, variances, df = [], [], []
    for workload in scores.index.unique("workload"):
        of_seeds = scores.xs(workload, level="workload").to_numpy()
        d = of_seeds[:, i] - of_seeds[:, j]
        floor = (0.5 / cells[workload]) ** 2 / 6
        spread = ((d - d.mean(axis=0)) ** 2).sum(axis=0) / max(len(d) - 1, 1)
        means.append(d.mean(axis=0))
        variances.append(np.maximum(spread, floor) / len(d))
        df.append(np.full(len(i), max(len(d) - 1, 1), dtype=float))
    return np.mean(means, axis=0), *satterthwaite(np.array(variances), np.array(df))


def _apart(tested: pd.DataFrame, order: list[str]) -> Flags:
    """Return the pairs told apart as a symmetric (M, M) array of flags, in the order of the ranking."""
    apart = np.zeros((len(order), len(order)), dtype=bool)
    apart[np.triu_indices(len(order), 1)] = tested["apart"]
    return apart | apart.T


def _ranks(apart: Flags, places: pd.DataFrame, order: list[str]) -> pd.DataFrame:
    better, worse = np.triu(apart).sum(axis=0), np.tril(apart).sum(axis=0)
    ranks = pd.DataFrame({"rank_low": 1 + better, "rank_high": len(order) - worse, "group": _groups(apart)})
    return pd.concat([ranks, _places_without(places, order)], axis=1)


def _groups(apart: Flags) -> list[int]:
    """Group the methods in order: one that is not apart from the first member joins its group, any other opens the next
    group."""
    groups: list[int] = []
    first = 0
    for m in range(len(apart)):
        opens = m > 0 and apart[first, m]
        first = m if opens else first
        groups.append(1 if m == 0 else groups[-1] + bool(opens))
    return groups


def _places_without(places: pd.DataFrame, order: list[str]) -> pd.DataFrame:
    """Return the extreme positions of each method over all ways to leave one level out.

    It is the method's own position if every factor has only one level.
    """
    levels = [
        (factor, level)
        for factor in CELL
        for level in places.index.unique(factor)
        if places.index.unique(factor).size > 1
    ]
    fewer = [places[places.index.get_level_values(factor) != level] for factor, level in levels] or [places]
    orders = [_order(_mean_places(rest)) for rest in fewer]
    positions = pd.DataFrame(
        [[names.index(method) + 1 for method in order] for names in orders], columns=range(len(order))
    )
    return pd.DataFrame({"place_without_low": positions.min(), "place_without_high": positions.max()})


def _gaps(
    records: pd.DataFrame,
    meta: Mapping[str, Meta],
    methods: pd.Series,
    reference: str | None,
    dense: str,
    thresholds: Thresholds,
) -> pd.DataFrame:
    columns = ["difference", "low", "high"]
    gaps = pd.DataFrame(np.nan, index=methods.index, columns=columns)
    for position, method in methods.items():
        if reference is not None and method != reference:
            gaps.loc[position] = overall(records, meta, method, reference, dense=dense, thresholds=thresholds)[
                columns
            ].astype(float)
    return gaps.set_axis(["gap", "gap_low", "gap_high"], axis=1)
