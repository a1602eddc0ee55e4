"""One contrast: method a against method b in one cell, paired by seed (specification, section 2).

The unit of evidence is the seed: d_i = a_i - b_i in percentage points (pp) of test accuracy. What a collapsed run counts for is said
once, in RULES.md, section 5, "Collapse". Here is how it is told, and what the pairs that are kept give:

    limit    = c + collapse * (D - c)      c = chance, D = the best of dense's medians over seeds
    variance = max(sum (d - mean d)^2 / (n - 1), u)      u = (100 / n_test)^2 / 6, the rounding noise of two accuracies
    log_error = ln max(100 - min(mean a, mean b), 50 / n_test)

A diverged run (accuracy NaN) scores 0, which is below every limit. In the tables of this package NaN means a missing
run.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

CELL = ["workload", "learning_rate", "sparsity"]
KEYS = ["workload", "method", "learning_rate", "sparsity"]
COLUMNS = [*KEYS, "seed", "accuracy"]
BOTH, SEPARATED = "both collapsed", "separated"


@dataclass(frozen=True)
class Meta:
    """The scale of a workload's numbers: its classes, its test images, the tolerance and the clear gap in pp.

    Two accuracies within the tolerance count as similar, and one above another by more than the clear gap as clearly better.
    `majority`: accuracy in pp of always naming the largest class; None for 100 / classes.
    """

    classes: int
    n_test: int
    tolerance: float
    majority: float | None = None
    clear_gap: float = 0.5

    @property
    def chance(self) -> float:
        """Accuracy in pp that a constant answer can reach."""
        return 100 / self.classes if self.majority is None else self.majority


ALPHA = 0.05  # the significance level of every family


@dataclass(frozen=True)
class Thresholds:
    """The constants of the specification.

    `alpha` is the level of one family at one look. Between looks it is 0, and every outcome is *pending*.
    """

    alpha: float = ALPHA
    nontrivial_sparsity: float = 0.6
    prior_df_cap: float = 4.0
    min_pool: int = 8  # contrasts; a smaller pool borrows no variance
    min_seeds: int = 3  # fewer show nothing
    collapse: float = 0.1  # of the way from chance to dense
    power: float = 0.8
    max_seeds: int = 100


def accuracy_table(records: pd.DataFrame, meta: Mapping[str, Meta]) -> pd.DataFrame:
    """Return test accuracies in pp: rows (workload, method, learning_rate, sparsity), one column for each seed, both
    sorted.

    A missing run is NaN. Accuracies are rounded to their grid 100 * count / n_test, so that equal counts are equal
    numbers. Raises ValueError for missing or unknown columns, empty keys, two rows for one run, a workload without
    `Meta`, and an impossible accuracy.
    """
    _check(records, meta)
    n_test = records["workload"].map({workload: m.n_test for workload, m in meta.items()}).astype(float)
    correct = np.rint(records["accuracy"].fillna(0.0).astype(float) * n_test / 100)
    runs = records[[*KEYS, "seed"]].assign(accuracy=100 * correct / n_test).set_index([*KEYS, "seed"])["accuracy"]
    return runs.unstack("seed").sort_index().sort_index(axis=1)


def _check(records: pd.DataFrame, meta: Mapping[str, Meta]) -> None:
    missing = [c for c in COLUMNS if c not in records]
    unknown = [str(c) for c in records if c not in (*COLUMNS, "validation_accuracy", "correct")]
    if missing or unknown:
        raise ValueError(
            f"records need the columns {COLUMNS}; missing: {missing}, unknown: {unknown}; rename or drop columns"
        )
    if records[[*KEYS, "seed"]].isna().any(axis=None):
        raise ValueError(f"records have rows with an empty {' or '.join([*KEYS, 'seed'])}; fill or drop them")
    if records.duplicated([*KEYS, "seed"]).any():
        run = dict(records.loc[records.duplicated([*KEYS, "seed"]), [*KEYS, "seed"]].iloc[0])
        raise ValueError(
            f"each run needs exactly one row, but there are several for {run}; a repeated seed adds no evidence: keep one row"
        )
    if bare := sorted(set(records["workload"]) - set(meta)):
        raise ValueError(f"no Meta for workload {bare}; meta has {sorted(meta)}; add classes, n_test and tolerance")
    if not records["accuracy"].dropna().between(0, 100).all():
        raise ValueError("accuracies must be percentages from 0 to 100, or NaN for a diverged run; convert them")


def known(table: pd.DataFrame, method: str) -> str:
    """Return `method` if the table has runs of it. Otherwise raise a ValueError that lists the methods it has."""
    methods = sorted(table.index.unique("method"))
    if method not in methods:
        near = get_close_matches(method, methods, 1)
        raise ValueError(
            f"no runs of method {method!r}; there are {methods}; {f'did you mean {near[0]!r}?' if near else 'run it first'}"
        )
    return method


def collapse_limits(table: pd.DataFrame, meta: Mapping[str, Meta], dense: str, thresholds: Thresholds) -> pd.Series:
    """Return, by workload, the accuracy in pp below which a run counts as collapsed.

    Without runs of `dense`, the largest median of any cell is used.
    """
    medians = table.median(axis=1)
    of_dense = medians[medians.index.get_level_values("method") == dense]
    top = of_dense.groupby(level="workload").max()
    top = top.combine_first(medians.groupby(level="workload").max())
    chance = pd.Series({workload: meta[workload].chance for workload in top.index}, index=top.index, dtype=float)
    return chance + thresholds.collapse * (top - chance)


@dataclass(frozen=True)
class Pairs:
    """Runs of a and b side by side: arrays (contrasts, seeds) in pp, NaN for a missing run.

    `limit` and `n_test` have one entry for each contrast.
    """

    a: Array
    b: Array
    limit: Array
    n_test: Array

    @cached_property
    def paired(self) -> Flags:
        return ~np.isnan(self.a) & ~np.isnan(self.b)

    @cached_property
    def fell_a(self) -> Flags:
        return self.paired & (self.a < self.limit[:, None])

    @cached_property
    def fell_b(self) -> Flags:
        return self.paired & (self.b < self.limit[:, None])

    @cached_property
    def note(self) -> NDArray[np.object_]:
        """Return a note for each contrast: `both collapsed`, `separated` (exactly one side collapsed in every run), or
        nothing."""
        some = self.paired.any(axis=1)
        all_a, all_b = some & (self.fell_a == self.paired).all(axis=1), some & (self.fell_b == self.paired).all(axis=1)
        return np.where(all_a & all_b, BOTH, np.where(all_a | all_b, SEPARATED, "")).astype(object)

    @cached_property
    def differences(self) -> Array:
        """Return d (contrasts, seeds) of the pairs that are kept, and NaN elsewhere.

        A pair is kept if neither run collapsed or, in a separated contrast, if not both did.
        """
        dropped = np.where((self.note == SEPARATED)[:, None], self.fell_a & self.fell_b, self.fell_a | self.fell_b)
        return np.where(self.paired & ~dropped, self.a - self.b, np.nan)


def pairs_at(
    table: pd.DataFrame,
    meta: Mapping[str, Meta],
    limits: pd.Series,
    cells: pd.DataFrame,
    a: pd.MultiIndex,
    b: pd.MultiIndex,
) -> Pairs:
    """Pair rows `a` of the table with rows `b`, one contrast for each cell. A row missing from the table has no runs."""
    n_test = np.array([meta[workload].n_test for workload in cells["workload"]], dtype=float)
    limit = limits.reindex(cells["workload"]).to_numpy(dtype=float)
    return Pairs(table.reindex(a).to_numpy(dtype=float), table.reindex(b).to_numpy(dtype=float), limit, n_test)


def keys(
    cells: pd.DataFrame, method: str, learning_rate: str = "learning_rate", sparsity: str = "sparsity"
) -> pd.MultiIndex:
    """Return the rows of the accuracy table for `method` in these cells.

    `learning_rate` and `sparsity` name the columns of `cells` to take them from.
    """
    columns = dict(zip(KEYS, [cells["workload"], method, cells[learning_rate], cells[sparsity]], strict=True))
    return pd.MultiIndex.from_frame(pd.DataFrame(columns, index=cells.index))


def rounding_noise(n_test: ArrayLike) -> Array:
    """Return u in pp²: the variance of a difference of two accuracies that comes only from counting `n_test` images."""
    return (100 / np.asarray(n_test, dtype=float)) ** 2 / 6


def contrast(pairs: Pairs) -> pd.DataFrame:
    """Return one row for each contrast.

    The columns are n_pairs, n (kept), collapsed_a, collapsed_b, mean_a, mean_b, difference, variance (pp²), log_error
    and note.
    """
    d = pairs.differences
    kept = ~np.isnan(d)
    n = kept.sum(axis=1)
    mean_a, mean_b, difference = _mean(pairs.a, kept), _mean(pairs.b, kept), _mean(d, kept)
    squares = np.where(kept, (d - difference[:, None]) ** 2, 0.0).sum(axis=1)
    variance = np.where(n > 1, np.maximum(squares / np.maximum(n - 1, 1), rounding_noise(pairs.n_test)), np.nan)
    return pd.DataFrame(
        {
            "n_pairs": pairs.paired.sum(axis=1),
            "n": n,
            "collapsed_a": pairs.fell_a.sum(axis=1),
            "collapsed_b": pairs.fell_b.sum(axis=1),
            "mean_a": mean_a,
            "mean_b": mean_b,
            "difference": difference,
            "variance": variance,
            "log_error": np.log(np.maximum(100 - np.minimum(mean_a, mean_b), 50 / pairs.n_test)),
            "note": pairs.note,
        }
    )


def _mean(values: Array, kept: Flags) -> Array:
    n = kept.sum(axis=1)
    return np.where(n > 0, np.where(kept, values, 0.0).sum(axis=1) / np.maximum(n, 1), np.nan)


def p_more(contrasts: pd.DataFrame, margin: ArrayLike) -> Array:
    """Return, for each row, the one-sided p-value of a - b > margin (pp), from difference, se and df.

    It is 1 where a may claim nothing, or nothing is known.
    """
    return _one_sided(contrasts, margin, 1.0)


def p_less(contrasts: pd.DataFrame, margin: ArrayLike) -> Array:
    """Return the one-sided p-values of a - b < margin (pp): `p_more` with the sides exchanged."""
    return _one_sided(contrasts, margin, -1.0)


def barred(contrasts: pd.DataFrame, gap: ArrayLike) -> Flags:
    """Mark the rows in which the side that `gap` favours (a if positive, b if negative) collapsed more often.

    That side may claim nothing there.
    """
    excess = (contrasts["collapsed_a"] - contrasts["collapsed_b"]).to_numpy(dtype=float)
    return (np.sign(gap) * excess > 0) & (contrasts["note"] != SEPARATED).to_numpy()


def _one_sided(contrasts: pd.DataFrame, margin: ArrayLike, side: float) -> Array:
    difference, se, df = contrasts[["difference", "se", "df"]].to_numpy(dtype=float).T
    p = stats.t.sf(side * (difference - np.asarray(margin, dtype=float)) / se, df)
    return np.where(np.isnan(p) | barred(contrasts, side), 1.0, p)


def satterthwaite(variances: Array, df: Array) -> tuple[Array, Array]:
    """Return the variance of the mean of W independent estimates and its degrees of freedom, over axis 0.

    They are sum v / W² and (sum v)² / sum(v² / df).
    """
    total = variances.sum(axis=0)
    return total / len(variances) ** 2, total**2 / (variances**2 / df).sum(axis=0)
