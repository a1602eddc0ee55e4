"""The whole acceptance by simulation, as a table for docs/log.md: false claims, coverage and power at 3, 5 and 10 seeds.

python -m tests.scoring.acceptance [SUITES]             some minutes for 1,000 suites a row
python -m tests.scoring.acceptance [SUITES] worlds      false wins, coverage and power of duels in all `WORLDS`
"""

import sys
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
from tabulate import tabulate

from lthbench.scoring.correction import bh, holm
from lthbench.scoring.duel import duel
from lthbench.scoring.verdicts import JACKPOT, verdicts
from tests.scoring import worlds

SEEDS = (3, 5, 10)
PAIR = ("lottery-ticket", "prune-finetune")
Truth = dict[str, np.ndarray]
World = Callable[[np.random.Generator], Truth]
TruthOf = Callable[[np.random.Generator, worlds.World], Truth]
SPECIFICATION = {
    "suites with a false jackpot, realistic": ".0006 / .0005 / .0008",
    "the same by the paper's rule": ".59 / .50 / .40",
    "suites with a false jackpot, boundary of condition 5": ".016 / .023 / .041",
    "jackpots found, of those there are": ".70 / .96 / 1",
    "suites with a false win, null duel, Holm": ".02 / .02 / .03",
    "false share of the wins, BH, mix": ".02 / .02 / .02",
    "power at 1 pp, BH": ".65 / .86 / .97",
    "ties found where there is no difference": ".53 / .77 / .90",
    "undecided": ".48 / .23 / .08",
    "coverage of the 95 % intervals": ".95 / .95 / .95",
}


def drawn(world: World, seeds: int, suites: int) -> Iterator[tuple[Truth, pd.DataFrame]]:
    rng = np.random.default_rng(seeds)
    for _ in range(suites):
        truth = world(rng)
        yield truth, next(iter(worlds.suites([truth], seeds, rng)))


def jackpot_rates(world: World, seeds: int, suites: int) -> pd.Series:
    """Return the shares of suites with a false jackpot, by the verdicts and by point estimates, and the share of true
    ones found."""
    rows = []
    for truth, records in drawn(world, seeds, suites):
        table = verdicts(records, worlds.META, "lottery-ticket")
        table = table[table["reading"] == "same"]
        true = worlds.prizes(truth).ravel() & (table["sparsity"] >= 0.6).to_numpy()
        found = (table["verdict"] == JACKPOT).to_numpy()
        by_points = (table["paper_rule"] == JACKPOT).to_numpy()
        power = found[true].mean() if true.any() else np.nan
        rows.append({"false": (found & ~true).any(), "points": (by_points & ~true).any(), "power": power})
    return pd.DataFrame(rows).astype(float).mean()


def duel_rates(seeds: int, suites: int) -> dict[str, float]:
    """Return the outcomes of the cells of duels in the mixed world, pooled over suites."""
    tables = []
    for truth, records in drawn(worlds.mixed_duel, seeds, suites):
        gap = (truth[PAIR[0]] - truth[PAIR[1]]).ravel()
        tables.append(duel(records, worlds.META, *PAIR).assign(truth=gap.round(6)))
    cells = pd.concat(tables)
    won, side = cells["outcome"].isin(PAIR), np.where(cells["outcome"] == PAIR[0], 1, -1)
    right = won & (np.sign(cells["truth"]) == side)
    return {
        "fdr": float((won & ~right).sum() / won.sum()),
        "power": float(right[cells["truth"].abs() == 1].mean()),
        "ties": float((cells["outcome"] == "tie")[cells["truth"] == 0].mean()),
        "undecided": float((cells["outcome"] == "undecided").mean()),
        "coverage": float(((cells["low"] <= cells["truth"]) & (cells["truth"] <= cells["high"])).mean()),
    }


def null_rate(seeds: int, suites: int) -> float:
    tables = (duel(records, worlds.META, *PAIR) for _, records in drawn(worlds.null_duel, seeds, suites))
    return float(np.mean([holm(table["p"]).min() <= 0.05 for table in tables]))


def tested_duels(seeds: int, suites: int, world: worlds.World, truth_of: TruthOf) -> pd.DataFrame:
    """The duel's cells of many suites, with the `suite` and the `truth` (pp) of each.

    Each suite has its own names of workloads, so that all are tested at once: pools are workloads. What is adjusted over the suite, is
    to be adjusted again by suite.
    """
    rng = np.random.default_rng(seeds)
    truths = [truth_of(rng, world) for _ in range(suites)]
    named = [
        records.assign(workload=records["workload"] + f" {i:04}")
        for i, records in enumerate(worlds.suites(truths, seeds, rng, world))
    ]
    meta = {f"{w} {i:04}": m for i in range(suites) for w, m in world.meta.items()}
    cells = duel(pd.concat(named, ignore_index=True), meta, *PAIR)
    gaps = np.concatenate([(truth[PAIR[0]] - truth[PAIR[1]])[w] for w in range(2) for truth in truths])
    return cells.assign(suite=cells["workload"].str[-4:], truth=gaps.ravel().round(6))


def world_rates(name: str, seeds: int, suites: int) -> list[float]:
    """In one of `WORLDS`: suites with a false win under Holm where all is equal, coverage there, and the mix's power at 1 pp under BH."""
    world = worlds.WORLDS[name]
    null = tested_duels(seeds, suites, world, worlds.null_duel)
    false = null.groupby("suite")["p"].agg(lambda p: holm(p).min() <= 0.05).mean()
    mix = tested_duels(seeds, max(suites // 4, 1), world, worlds.mixed_duel)
    q = mix.groupby("suite")["p"].transform(bh)
    right = (q <= 0.05) & (np.sign(mix["difference"]) == np.sign(mix["truth"]))
    coverage = (null["low"] <= 0) & (null["high"] >= 0)
    return [float(false), float(coverage.mean()), float(right[mix["truth"].abs() == 1].mean())]


def of_worlds(suites: int) -> None:
    """Print a row a world, with the figures of 3, 5 and 10 seeds in a cell."""
    rows = []
    for name in worlds.WORLDS:
        of_seeds = np.array([world_rates(name, seeds, suites) for seeds in SEEDS]).T
        rows.append([name, *(" / ".join(f"{v:.{3 + (i == 0)}f}".lstrip("0") for v in of_seeds[i]) for i in range(3))])
    headers = [f"{suites} suites", "false win, null, Holm", "coverage", f"power at 1 pp ({suites // 4} suites)"]
    print(tabulate(rows, headers, tablefmt="pipe"))


def column(seeds: int, suites: int) -> list[float]:
    """Return the figures of `SPECIFICATION`, in its order."""
    realistic, edge = (jackpot_rates(world, seeds, suites) for world in (worlds.realistic, worlds.boundary))
    power = jackpot_rates(worlds.jackpots, seeds, suites // 4)["power"]
    cells = duel_rates(seeds, suites)
    verdict = [realistic["false"], realistic["points"], edge["false"], power, null_rate(seeds, suites)]
    return [*map(float, verdict), *(cells[k] for k in ("fdr", "power", "ties", "undecided", "coverage"))]


def main(suites: int) -> None:
    columns = [column(seeds, suites) for seeds in SEEDS]
    rows = [[what, said, *(c[i] for c in columns)] for i, (what, said) in enumerate(SPECIFICATION.items())]
    headers = [f"{suites} suites, world cifar", "specification, n = 3 / 5 / 10", *(f"n = {n}" for n in SEEDS)]
    print(tabulate(rows, headers, tablefmt="pipe", floatfmt=".4f"))


if __name__ == "__main__":
    table = of_worlds if sys.argv[2:] == ["worlds"] else main
    table(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
