"""Worlds in which the truth is known (specification, section 9): suites of accuracies with realistic noise.

`CIFAR` has two workloads, three learning rates, six sparsities. The noise of a run has the standard deviation that its error implies,
sd = sd at dense error · (error / dense error)^1.7, scattered between cells (lognormal, 0.25); its shape is t5 at low and left-skewed
(skewness -1) at high sparsity; runs of one seed are correlated, 0.15 over cells and 0.35 over the methods of one cell. Accuracies are
rounded to the images counted.

The specification leaves open how large errors are, and noise grows with them. Duels here lose accuracy with sparsity and at small
rates as `null_duel` says: one curve with which its power, ties and undecided cells come out at 3, 5 and 10 seeds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from lthbench.scoring.contrast import Meta

WORKLOADS, RATES, SPARSITIES = ("c10", "c100"), (0.01, 0.05, 0.1), (0.5, 0.7, 0.8, 0.9, 0.95, 0.98)
META = {"c10": Meta(10, 10000, 0.5), "c100": Meta(100, 10000, 1.0)}
DELTA = np.array([0.5, 1.0])
GRID = (len(WORKLOADS), len(RATES), len(SPARSITIES))
CHANCE = np.array([100 / META[workload].classes for workload in WORKLOADS])


@dataclass(frozen=True)
class World:
    """What the runs of a suite are like. Errors and standard deviations are in pp; `lost` and `slow` say what sparsities and rates cost.

    `scatter` is the sd of ln sd around what the error implies, one draw a cell or, with `scattered_methods`, one a run's method and cell.
    `shape` of the noise is `mixed` (t5, skewed at high sparsity), `heavy` (t3) or `normal`. With `fallen`, one run of one of the two
    methods, drawn at random, has collapsed in every cell of the two highest sparsities.
    """

    meta: dict[str, Meta] = field(default_factory=lambda: META)
    dense_error: tuple[float, float] = (7.0, 30.0)
    dense_sd: tuple[float, float] = (0.17, 0.30)
    lost: tuple[float, ...] = (0.5, 1.0, 1.5, 3.0, 5.0, 10.0)
    slow: tuple[float, ...] = (2.0, 0.5, 0.0)
    scatter: float = 0.25
    scattered_methods: bool = False
    shape: str = "mixed"
    fallen: bool = False

    @property
    def images(self) -> np.ndarray:
        """Test images, to be broadcast over (workloads, rates, sparsities, seeds)."""
        return _of_workloads([self.meta[workload].n_test for workload in WORKLOADS])


CIFAR = World()
DENSE_ERROR, DENSE_SD = np.array(CIFAR.dense_error), np.array(CIFAR.dense_sd)
DIGITS = World(
    meta=dict.fromkeys(WORKLOADS, Meta(10, 500, 1.0)),
    dense_error=(3.0, 3.0),
    dense_sd=(0.3, 0.3),
    lost=(0.5, 0.6, 0.8, 1.2, 4.0, 22.0),
    slow=(1.0, 0.3, 0.0),
)
WORLDS = {
    "cifar": CIFAR,
    "digits": DIGITS,
    "heavy tails": replace(CIFAR, shape="heavy"),
    "one collapsed seed": replace(CIFAR, fallen=True),
    "heteroscedastic": replace(CIFAR, scatter=1.0, scattered_methods=True, shape="normal"),
}


def realistic(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """True accuracies by method (workload, rate, sparsity): tickets fade with sparsity, and beat re-initialisation at small rates only."""
    best = 100 - DENSE_ERROR[:, None, None]
    dense = best + np.array([-1.7, -0.3, 0.0])[:, None] + np.zeros(GRID)
    ticket = dense - np.array([0.0, 0.1, 0.25, 0.6, 1.3, 3.0]) + rng.normal(0, 0.15, GRID)
    ahead = np.array([[0.2, 0.4, 0.8, 1.5, 2.5, 3.0], [0.1, 0.2, 0.4, 0.6, 0.9, 1.2], [0.0, 0.05, 0.1, 0.2, 0.3, 0.4]])
    reinit = ticket - ahead + rng.normal(0, 0.1, GRID)
    small = ticket - 1.5 - rng.uniform(0, 1, GRID)
    return {"dense": dense, "lottery-ticket": ticket, "random-reinit": reinit, "small-dense": small}


def boundary(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """All holds clearly but condition 5, on whose edge every ticket lies: exactly the tolerance below the best dense network."""
    best = 100 - DENSE_ERROR[:, None, None] + np.zeros(GRID)
    dense = best + np.array([-2.0, -2.0, 0.0])[:, None]
    ticket = best - DELTA[:, None, None]
    return {"dense": dense, "lottery-ticket": ticket, "random-reinit": ticket - 3, "small-dense": ticket - 3}


def null_duel(rng: np.random.Generator, world: World = CIFAR) -> dict[str, np.ndarray]:
    """Two methods of the same true accuracy in every cell."""
    dense = 100 - np.array(world.dense_error)[:, None, None] - np.array(world.slow)[:, None] + np.zeros(GRID)
    same = dense - np.array(world.lost)
    return {"dense": dense, "lottery-ticket": same, "prune-finetune": same}


def mixed_duel(rng: np.random.Generator, world: World = CIFAR) -> dict[str, np.ndarray]:
    """Half of the cells equal, the others 0.2, 0.5 or 1 pp apart, either way."""
    same = null_duel(rng, world)
    sizes = np.array([0.2, 0.5, 1.0])[rng.integers(0, 3, GRID)] * rng.choice([-1, 1], GRID)
    gap = np.where(rng.random(GRID) < 0.5, 0.0, sizes)
    return same | {"lottery-ticket": same["prune-finetune"] + gap}


def jackpots(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Every ticket equals the best dense network exactly, that of one rate, and is 3 pp above its controls."""
    edge = boundary(rng)
    best = edge["dense"].max(axis=1, keepdims=True) + np.zeros(GRID)
    return edge | {"lottery-ticket": best, "random-reinit": best - 3, "small-dense": best - 3}


def prizes(truth: dict[str, np.ndarray], clear: float = 0.5) -> np.ndarray:
    """Flags (workload, rate, sparsity): where the true means make a jackpot, comparing with re-initialisation at the same rate alone."""
    ticket, best = truth["lottery-ticket"], truth["dense"].max(axis=1, keepdims=True)
    controls = np.maximum(truth["random-reinit"], truth["small-dense"])
    # An edge that is met exactly is a jackpot by the paper's words, but nothing can show it; it counts as false here.
    return (ticket - controls > clear) & (ticket - best > -DELTA[:, None, None])


def suites(
    truths: list[dict[str, np.ndarray]], seeds: int, rng: np.random.Generator, world: World = CIFAR
) -> Iterator[pd.DataFrame]:
    """The records of one suite a truth, all drawn at once; dense is run once a rate, at sparsity 0."""
    methods = list(truths[0])
    means = np.stack([np.stack([truth[m] for m in methods]) for truth in truths])[..., None]
    correct = np.round((means + _noise(means, seeds, rng, world)) * world.images / 100)
    accuracy = (100 * correct / world.images).clip(0, 100)
    if world.fallen:
        accuracy = _one_fallen(accuracy, rng)
    frame = _frame(methods, seeds)
    once = ((frame["method"] != "dense") | (frame["sparsity"] == SPARSITIES[0])).to_numpy()
    frame.loc[frame["method"] == "dense", "sparsity"] = 0.0
    for values in accuracy.reshape(len(truths), -1):
        yield frame.assign(accuracy=values)[once]


def _noise(means: np.ndarray, seeds: int, rng: np.random.Generator, world: World) -> np.ndarray:
    """(suites, methods, workloads, rates, sparsities, seeds) in pp."""
    n, methods = means.shape[:2]
    sd = _of_workloads(world.dense_sd) * ((100 - means) / _of_workloads(world.dense_error)) ** 1.7
    sd = sd * np.exp(world.scatter * rng.normal(size=(n, methods if world.scattered_methods else 1, *GRID, 1)))
    of_seed = rng.normal(size=(n, 1, len(WORKLOADS), 1, 1, seeds))
    of_cell = rng.normal(size=(n, 1, *GRID, seeds))
    own = _own_noise((n, methods, *GRID, seeds), rng, world.shape)
    return sd * (np.sqrt(0.15) * of_seed + np.sqrt(0.20) * of_cell + np.sqrt(0.65) * own)


def _own_noise(size: tuple[int, ...], rng: np.random.Generator, shape: str) -> np.ndarray:
    """What a run shares with no other: mean 0, variance 1."""
    if shape == "normal":
        return rng.normal(size=size)
    if shape == "heavy":
        return rng.standard_t(3, size=size) / np.sqrt(3)
    t5 = rng.standard_t(5, size=size) / np.sqrt(5 / 3)
    return np.where(np.array(SPARSITIES)[:, None] >= 0.9, (4 - rng.gamma(4, size=size)) / 2, t5)


def _one_fallen(accuracy: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The accuracies, with the first seed of the last method or of the one before at chance in each cell of high sparsity."""
    fell = rng.integers(0, 2, (len(accuracy), *GRID))
    high = np.array(SPARSITIES) >= 0.95
    for side in (0, 1):
        first = accuracy[:, side - 2, ..., 0]
        first[...] = np.where((fell == side) & high, CHANCE[:, None, None], first)
    return accuracy


def _of_workloads(values: Sequence[float]) -> np.ndarray:
    return np.array(values, dtype=float)[:, None, None, None]


def _frame(methods: list[str], seeds: int) -> pd.DataFrame:
    index = pd.MultiIndex.from_product(
        [methods, WORKLOADS, RATES, SPARSITIES, range(seeds)],
        names=["method", "workload", "learning_rate", "sparsity", "seed"],
    )
    return index.to_frame(index=False)
