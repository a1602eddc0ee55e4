"""The uncertainty from test images, which seeds do not show (specification, end of section 8).

Seeds and images crossed: d_ij = 100 (correct_a - correct_b) for seed i and image j, n seeds, N images.

    MS_image = n sum_j (mean_j - mean)² / (N - 1)      MS_rest = sum (d_ij - mean_i - mean_j + mean)² / ((n - 1)(N - 1))
    se²      = var_i(mean_i) / n + max(0, MS_image - MS_rest) / (n N)

The first term is the variance over seeds, moderated where the contrast is. The second is the variance that the images
add. The binomial noise of single images is part of the first and is not added again. Intervals use the degrees of
freedom of the seeds, which are fewer.

For a marginal mean, x_ij is the mean of d_ij over the cells in which seed i was kept, so that its mean over images is
the x_i of the duel. The standard deviations that images add to several workloads are summed, since workloads may share
a test set.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from lthbench import bits
from lthbench.scoring.contrast import KEYS, Array, Flags
from lthbench.scoring.moderation import with_interval

COLUMNS = ["low_images", "high_images", "se_images"]


def se_on_new_images(correct_a: ArrayLike, correct_b: ArrayLike, se: float | None = None) -> float:
    """Return the standard error in pp of the mean difference a - b when seeds *and* test images are drawn anew.

    `correct_*` are (seeds, images) of 0 and 1, paired along both axes. `se` in pp, if given, is the moderated standard
    error over seeds and replaces the first term. Only this number justifies the words "on new images". Raises
    ValueError for unequal or too small shapes.
    """
    a, b = np.asarray(correct_a, dtype=float), np.asarray(correct_b, dtype=float)
    if a.shape != b.shape or a.ndim != 2 or min(a.shape) < 2:
        raise ValueError(
            f"equal shapes (seeds, images) of at least (2, 2) are needed; got {a.shape} and {b.shape}; pair the seeds first"
        )
    d = 100 * (a - b)
    over_seeds = d.mean(axis=1).var(ddof=1) / len(d) if se is None else se**2
    return float(np.sqrt(over_seeds + of_images(d)))


def of_images(d: Array) -> float:
    """Return the variance that images add, max(0, MS_image - MS_rest) / (n N) in pp², from differences d (seeds,
    images) in pp."""
    n, images = d.shape
    by_image = d.mean(axis=0) - d.mean()
    rest = d - d.mean(axis=1, keepdims=True) - by_image
    ms_image = n * (by_image @ by_image) / (images - 1)
    ms_rest = np.vdot(rest, rest) / ((n - 1) * (images - 1))
    return float(max(0.0, ms_image - ms_rest) / (n * images))


@dataclass(frozen=True)
class Answers:
    """The test images that the runs of a and b classified correctly: arrays (contrasts, seeds) of texts of
    `lthbench.bits`.

    An entry without text is a run that did not record them.
    """

    a: NDArray[np.object_]
    b: NDArray[np.object_]
    n_test: Array

    def add(self, contrasts: Iterable[int], kept: Flags) -> float:
        """Return the variance in pp² that images add to the mean of some contrasts; `kept` (contrasts, seeds) marks its
        seeds.

        It is NaN with fewer than two seeds, or if a run did not record its correct images.
        """
        seen, rows = kept.sum(axis=0) > 0, list(contrasts)
        texts = [*self.a[rows][kept], *self.b[rows][kept]]
        if seen.sum() < 2 or not all(isinstance(text, str) for text in texts):
            return np.nan
        x = np.zeros((len(seen), int(self.n_test[rows[0]])))
        for row, seeds in zip(rows, kept, strict=True):
            for i in np.flatnonzero(seeds):
                a, b = (bits.flags(side[row, i], x.shape[1]) for side in (self.a, self.b))
                x[i] += a.astype(float) - b
        return of_images(100 * x[seen] / kept.sum(axis=0)[seen, None])


def answers(records: pd.DataFrame, a: pd.MultiIndex, b: pd.MultiIndex, seeds: pd.Index, n_test: Array) -> Answers:
    """Return the answers of rows `a` and `b` of the accuracy table, whose columns are `seeds`.

    Records without `correct` have none.
    """
    if "correct" not in records:
        nothing = np.full((len(a), len(seeds)), None, dtype=object)
        return Answers(nothing, nothing, n_test)
    methods = {*a.unique("method"), *b.unique("method")}
    there = records[records["method"].isin(methods)].set_index([*KEYS, "seed"])["correct"].astype(object)
    table = there.unstack("seed").reindex(columns=seeds)
    of_a, of_b = (table.reindex(rows).to_numpy(dtype=object) for rows in (a, b))
    return Answers(of_a, of_b, n_test)


def with_images(estimates: pd.DataFrame, added: ArrayLike) -> pd.DataFrame:
    """Return the estimates with se_images and the 95 % interval low_images, high_images (pp).

    `added` is the variance that images add, in pp². Where it is NaN, so are they.
    """
    se = np.sqrt(estimates["se"] ** 2 + np.asarray(added, dtype=float))
    wider = with_interval(estimates[["difference", "df"]].assign(se=se))
    return estimates.assign(low_images=wider["low"], high_images=wider["high"], se_images=se)
