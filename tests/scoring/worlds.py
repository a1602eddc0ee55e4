"""Worlds in which the truth is known (specification, section 9, `cifar`): suites of accuracies with realistic noise.

Two workloads, three learning rates, six sparsities. The noise of a run has the standard deviation that its error
implies, sd = sd at dense error · (error / dense error)^1.7, scattered between cells (lognormal, 0.25). Its shape is t5
at low sparsity and left-skewed (skewness -1) at high sparsity. Runs of one seed are correlated, 0.15 over cells and
0.35 over the methods of one cell. Accuracies are rounded to whole numbers of images.

The specification does not give the size of the errors, and noise grows with them. Duels here lose accuracy with
sparsity and at small learning rates as in `null_duel`: with this one curve the power, ties and undecided cells agree at
3, 5 and 10 seeds.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from lthbench.scoring.contrast import Meta

WORKLOADS, RATES, SPARSITIES = ("c10", "c100"), (0.01, 0.05, 0.1), (0.5, 0.7, 0.8, 0.9, 0.95, 0.98)
META = {"c10": Meta(10, 10000, 0.5), "c100": Meta(100, 10000, 1.0)}
DENSE_ERROR, DENSE_SD = np.array([7.0, 30.0]), np.array([0.17, 0.30])
DELTA = np.array([0.5, 1.0])
GRID = (len(WORKLOADS), len(RATES), len(SPARSITIES))


def realistic(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw true accuracies by method (workload, learning rate, sparsity).

    Tickets fade with sparsity, and beat re-initialisation only at small learning rates.
    """
    best = 100 - DENSE_ERROR[:, None, None]
    dense = best + np.array([-1.7, -0.3, 0.0])[:, None] + np.zeros(GRID)
    ticket = dense - np.array([0.0, 0.1, 0.25, 0.6, 1.3, 3.0]) + rng.normal(0, 0.15, GRID)
    ahead = np.array([[0.2, 0.4, 0.8, 1.5, 2.5, 3.0], [0.1, 0.2, 0.4, 0.6, 0.9, 1.2], [0.0, 0.05, 0.1, 0.2, 0.3, 0.4]])
    reinit = ticket - ahead + rng.normal(0, 0.1, GRID)
    small = ticket - 1.5 - rng.uniform(0, 1, GRID)
    return {"dense": dense, "lottery-ticket": ticket, "random-reinit": reinit, "small-dense": small}


def boundary(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw worlds in which every condition but 5 holds clearly, and every ticket is on the boundary of condition 5.

    It is exactly the tolerance below the best dense network.
    """
    best = 100 - DENSE_ERROR[:, None, None] + np.zeros(GRID)
    dense = best + np.array([-2.0, -2.0, 0.0])[:, None]
    ticket = best - DELTA[:, None, None]
    return {"dense": dense, "lottery-ticket": ticket, "random-reinit": ticket - 3, "small-dense": ticket - 3}


def null_duel(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw two methods of the same true accuracy in every cell."""
    dense = 100 - DENSE_ERROR[:, None, None] - np.array([2.0, 0.5, 0.0])[:, None] + np.zeros(GRID)
    same = dense - np.array([0.5, 1.0, 1.5, 3.0, 5.0, 10.0])
    return {"dense": dense, "lottery-ticket": same, "prune-finetune": same}


def mixed_duel(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw duels in which half of the cells are equal, and the others differ by 0.2, 0.5 or 1 pp in either direction."""
    same = null_duel(rng)
    sizes = np.array([0.2, 0.5, 1.0])[rng.integers(0, 3, GRID)] * rng.choice([-1, 1], GRID)
    gap = np.where(rng.random(GRID) < 0.5, 0.0, sizes)
    return same | {"lottery-ticket": same["prune-finetune"] + gap}


def jackpots(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw worlds in which every ticket equals the best dense network, at one learning rate, and is 3 pp above its
    controls."""
    edge = boundary(rng)
    best = edge["dense"].max(axis=1, keepdims=True) + np.zeros(GRID)
    return edge | {"lottery-ticket": best, "random-reinit": best - 3, "small-dense": best - 3}


def prizes(truth: dict[str, np.ndarray], clear: float = 0.5) -> np.ndarray:
    """Flag (workload, learning rate, sparsity) where the true means make a jackpot, with re-initialisation at the same
    learning rate."""
    ticket, best = truth["lottery-ticket"], truth["dense"].max(axis=1, keepdims=True)
    controls = np.maximum(truth["random-reinit"], truth["small-dense"])
    # By the paper's words, meeting the boundary exactly is a jackpot, but nothing can show it; it counts as false here.
    return (ticket - controls > clear) & (ticket - best > -DELTA[:, None, None])


def suites(truths: list[dict[str, np.ndarray]], seeds: int, rng: np.random.Generator) -> Iterator[pd.DataFrame]:
    """Yield the records of one suite for each truth, all drawn at once. Dense runs once at each learning rate, at
    sparsity 0."""
    methods = list(truths[0])
    means = np.stack([np.stack([truth[m] for m in methods]) for truth in truths])[..., None]
    accuracy = np.round(means + _noise(means, seeds, rng), 2).clip(0, 100)
    frame = _frame(methods, seeds)
    once = ((frame["method"] != "dense") | (frame["sparsity"] == SPARSITIES[0])).to_numpy()
    frame.loc[frame["method"] == "dense", "sparsity"] = 0.0
    for values in accuracy.reshape(len(truths), -1):
        yield frame.assign(accuracy=values)[once]


def _noise(means: np.ndarray, seeds: int, rng: np.random.Generator) -> np.ndarray:
    """Draw noise in pp: (suites, methods, workloads, learning rates, sparsities, seeds)."""
    n, methods = means.shape[:2]
    sd = DENSE_SD[:, None, None, None] * ((100 - means) / DENSE_ERROR[:, None, None, None]) ** 1.7
    sd = sd * np.exp(0.25 * rng.normal(size=(n, 1, *GRID, 1)))
    of_seed = rng.normal(size=(n, 1, len(WORKLOADS), 1, 1, seeds))
    of_cell = rng.normal(size=(n, 1, *GRID, seeds))
    t5 = rng.standard_t(5, size=(n, methods, *GRID, seeds)) / np.sqrt(5 / 3)
    skewed = (4 - rng.gamma(4, size=t5.shape)) / 2
    own = np.where(np.array(SPARSITIES)[:, None] >= 0.9, skewed, t5)
    return sd * (np.sqrt(0.15) * of_seed + np.sqrt(0.20) * of_cell + np.sqrt(0.65) * own)


def _frame(methods: list[str], seeds: int) -> pd.DataFrame:
    index = pd.MultiIndex.from_product(
        [methods, WORKLOADS, RATES, SPARSITIES, range(seeds)],
        names=["method", "workload", "learning_rate", "sparsity", "seed"],
    )
    return index.to_frame(index=False)
