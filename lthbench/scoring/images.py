"""New test images: what the seeds cannot see (specification, end of section 8).

Seeds and images crossed: d_ij = 100 (correct_a - correct_b) for seed i and image j, n seeds, N images.

    MS_image = n sum_j (mean_j - mean)² / (N - 1)      MS_rest = sum (d_ij - mean_i - mean_j + mean)² / ((n - 1)(N - 1))
    se²      = var_i(mean_i) / n + max(0, MS_image - MS_rest) / (n N)

The binomial noise of single images is already in the variance over seeds and is not added again.
"""

import numpy as np
from numpy.typing import ArrayLike


def se_on_new_images(correct_a: ArrayLike, correct_b: ArrayLike, se: float | None = None) -> float:
    """Standard error in pp of the mean difference a - b when seeds *and* test images are drawn anew.

    `correct_*` are (seeds, images) of 0 and 1, paired along both axes; `se` in pp, where given, is the moderated standard error over seeds
    and replaces the first term. Only with this number may words say "on new images". Raises ValueError for unequal or too small shapes.
    """
    a, b = np.asarray(correct_a, dtype=float), np.asarray(correct_b, dtype=float)
    if a.shape != b.shape or a.ndim != 2 or min(a.shape) < 2:
        raise ValueError(
            f"equal shapes (seeds, images) of at least (2, 2) are needed; got {a.shape} and {b.shape}; pair the seeds first"
        )
    d = 100 * (a - b)
    n, images = d.shape
    of_seed, of_image = d.mean(axis=1, keepdims=True), d.mean(axis=0, keepdims=True)
    ms_image = n * ((of_image - d.mean()) ** 2).sum() / (images - 1)
    ms_rest = ((d - of_seed - of_image + d.mean()) ** 2).sum() / ((n - 1) * (images - 1))
    over_seeds = of_seed.var(ddof=1) / n if se is None else se**2
    return float(np.sqrt(over_seeds + max(0.0, ms_image - ms_rest) / (n * images)))
