"""Acceptance by simulation (specification, end of section 11): the frequency of false claims in worlds with a known
truth.

The whole run is `LTHBENCH_ACCEPTANCE_SUITES=2000 pytest tests/scoring/test_acceptance.py`, some minutes. Without the
variable there are 80 suites, and the bounds are wider by 2.5 standard errors of the count. The shares are printed, for
pytest -s.
"""

import os
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from lthbench.scoring.correction import holm
from lthbench.scoring.duel import duel
from lthbench.scoring.verdicts import verdicts
from tests.scoring import acceptance, worlds

SUITES = int(os.environ.get("LTHBENCH_ACCEPTANCE_SUITES", "80"))
SEEDS = 5
Truth = dict[str, np.ndarray]


def bound(rate: float) -> float:
    """Return the share of suites that may carry a false claim: `rate` in the whole run, and more in a short one, by
    chance."""
    return rate if SUITES >= 2000 else rate + 2.5 * np.sqrt(rate * (1 - rate) / SUITES)


def drawn(world: Callable[[np.random.Generator], Truth], seed: int) -> list[tuple[Truth, pd.DataFrame]]:
    rng = np.random.default_rng(seed)
    truths = [world(rng) for _ in range(SUITES)]
    return list(zip(truths, worlds.suites(truths, SEEDS, rng), strict=True))


def false_jackpots(suites: list[tuple[Truth, pd.DataFrame]]) -> pd.DataFrame:
    """Tell whether each suite carries a false jackpot, by the verdicts and by the paper's rule, in the reading `same`."""
    rows = []
    for truth, records in suites:
        table = verdicts(records, worlds.META, "lottery-ticket")
        table = table[table["reading"] == "same"]
        true = worlds.prizes(truth).ravel()
        rows.append({rule: ((table[rule] == "jackpot") & ~true).any() for rule in ("verdict", "paper_rule")})
    return pd.DataFrame(rows)


def test_a_realistic_world_hardly_ever_gets_a_false_jackpot() -> None:
    rates = false_jackpots(drawn(worlds.realistic, 1)).mean()
    print("false jackpots:", rates.to_dict())
    assert rates["verdict"] <= bound(0.005)
    assert rates["paper_rule"] > 0.2, "the world is too easy to test anything"


def test_the_least_favourable_truth_gets_a_false_jackpot_in_one_suite_of_twenty() -> None:
    rates = false_jackpots(drawn(worlds.boundary, 2)).mean()
    print("false jackpots:", rates.to_dict())
    assert rates["verdict"] <= bound(0.05)
    assert rates["paper_rule"] > 0.9, "the world is too easy to test anything"


def test_null_duels_rarely_get_a_false_win() -> None:
    tables = [
        duel(records, worlds.META, "lottery-ticket", "prune-finetune") for _, records in drawn(worlds.null_duel, 3)
    ]
    rates = {
        "holm": np.mean([holm(t["p"]).min() <= 0.05 for t in tables]),
        "plain": np.mean([t["p"].min() <= 0.05 for t in tables]),
    }
    print("false wins:", {k: float(v) for k, v in rates.items()})
    assert rates["holm"] <= bound(0.06)
    assert rates["plain"] > 0.5, "the world is too easy to test anything"


def test_intervals_cover_and_wins_are_true_where_variances_scatter_widely() -> None:
    false, coverage, _ = acceptance.world_rates("heteroscedastic", 3, max(SUITES, 200))
    print("false wins:", false, "coverage:", coverage)
    assert false <= bound(0.08)
    assert coverage >= 0.945


@pytest.mark.parametrize("name", list(worlds.WORLDS))
def test_no_world_gets_more_false_wins_than_it_may(name: str) -> None:
    false, coverage, power = acceptance.world_rates(name, SEEDS, SUITES)
    assert false <= bound(0.06)
    assert coverage >= 0.94
    assert power > 0.2, "nothing is found, so that nothing could be false"


def test_one_run_has_collapsed_in_every_cell_of_the_two_highest_sparsities() -> None:
    cells = acceptance.tested_duels(3, 20, worlds.WORLDS["one collapsed seed"], worlds.null_duel)
    fallen = cells[["collapsed_a", "collapsed_b"]]
    assert (fallen.sum(axis=1) == cells["sparsity"].ge(0.95)).all()
    assert fallen.sum().min() > 80, "either method is hit"


def test_many_suites_at_once_are_tested_as_one_by_one() -> None:
    together = acceptance.tested_duels(5, 3, worlds.CIFAR, worlds.mixed_duel)
    rng = np.random.default_rng(5)
    truths = [worlds.mixed_duel(rng) for _ in range(3)]
    for i, records in enumerate(worlds.suites(truths, 5, rng)):
        alone = duel(records, worlds.META, *acceptance.PAIR)
        cells = together[together["suite"] == f"{i:04}"]
        np.testing.assert_array_equal(cells["p"], alone["p"])
        gap = truths[i]["lottery-ticket"] - truths[i]["prune-finetune"]
        np.testing.assert_allclose(cells["truth"], gap.ravel(), atol=1e-6)


def test_digits_are_as_hard_as_the_specification_says() -> None:
    _, _, power = acceptance.world_rates("digits", SEEDS, 160)
    assert power == pytest.approx(0.33, abs=0.06)


@pytest.mark.parametrize(("method", "sparsity"), [("dense", 0.0), ("lottery-ticket", 0.5), ("prune-finetune", 0.98)])
def test_the_worlds_have_the_noise_that_they_promise(method: str, sparsity: float) -> None:
    rng = np.random.default_rng(4)
    truth = worlds.null_duel(rng)
    runs = pd.concat(worlds.suites([truth] * 80, 30, rng))
    runs = runs[runs["method"].eq(method) & runs["sparsity"].eq(sparsity) & runs["learning_rate"].eq(0.1)]
    at = runs.groupby("workload")["accuracy"]
    larger = ((100 - at.mean()) / worlds.DENSE_ERROR) ** 1.7
    assert (at.std() / larger / worlds.DENSE_SD).tolist() == pytest.approx([np.exp(0.25**2)] * 2, rel=0.1)


def test_the_worlds_are_as_hard_as_the_specification_says() -> None:
    cells = acceptance.duel_rates(SEEDS, 40)
    assert cells["power"] == pytest.approx(0.86, abs=0.06)
    assert cells["ties"] == pytest.approx(0.77, abs=0.08)
    assert cells["undecided"] == pytest.approx(0.23, abs=0.06)
    assert acceptance.jackpot_rates(worlds.jackpots, SEEDS, 20)["power"] == pytest.approx(0.96, abs=0.08)
