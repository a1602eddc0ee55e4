"""The report on Frankle and Carbin: its statements about runs with a known truth."""

import re
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from lthbench.report.measured import Measured
from lthbench.report.papers import frankle2019
from lthbench.report.papers.frankle2019 import DENSE, ONE_SHOT, REINIT, TICKET, Estimate, estimate, verdict
from lthbench.report.published import Statement, paper
from lthbench.suite import Suite
from tests.report.synthetic import records

SEEDS = range(5)
ROUNDS = (3, 7, 9, 12, 15)


def runs(steps: Callable[[str, int], float], accuracy: Callable[[str, int], float]) -> pd.DataFrame:
    """The table of `by_seed`, with noise that all arms of a seed share, and a little of each one's own."""
    g, rows = np.random.default_rng(0), []
    for seed in SEEDS:
        common = g.normal()
        for arm in (DENSE, TICKET, REINIT, ONE_SHOT):
            for rounds in (0,) if arm == DENSE else ROUNDS:
                own = g.normal(0, 0.02)
                step = steps(arm, rounds) * np.exp(0.2 * common + own)
                right = accuracy(arm, rounds) + 0.2 * common + own
                rows.append(("mlp/x", 0.1, rounds, arm, seed, step, right, right, 100.0))
    names = ["workload", "learning_rate", "rounds", "arm", "seed", "step", "stopped", "test", "train"]
    return pd.DataFrame(rows, columns=names)


def as_published(found: pd.DataFrame) -> dict[str, str]:
    return {s.what: verdict(s, f) if (f := estimate(s, found)) else "" for s in paper("frankle2019").statements}


def paper_steps(arm: str, rounds: int) -> float:
    earlier = {TICKET: {3: 0.8, 7: 0.62, 15: 1.0}, REINIT: {7: 1.56}, ONE_SHOT: {3: 0.9, 7: 0.9}}
    return 6000 * earlier.get(arm, {}).get(rounds, 1.0)


def paper_accuracy(arm: str, rounds: int) -> float:
    more = {TICKET: {3: 0.2, 7: 0.3, 9: 0.4}, REINIT: {7: -0.2, 9: -0.4}, ONE_SHOT: {7: 0.2, 12: 0.1, 15: -1}}
    return 98 + more.get(arm, {}).get(rounds, 0.0)


def test_a_world_as_the_paper_has_it_shows_every_statement_that_was_run() -> None:
    found = as_published(runs(paper_steps, paper_accuracy))
    assert set(found.values()) == {"shown", "no difference shown", "as published", ""}
    assert [what for what, word in found.items() if not word] == [
        "The ticket's accuracy at early stopping falls off from 2.9 % on"
    ]


def test_the_opposite_world_contradicts_every_direction() -> None:
    found = runs(lambda a, k: 6000 / (paper_steps(a, k) / 6000), lambda a, k: 98 - (paper_accuracy(a, k) - 98))
    for statement in paper("frankle2019").statements:
        if (estimated := estimate(statement, found)) and statement.claims != "same":
            assert verdict(statement, estimated) == "contradicted", statement.what


def test_a_world_without_differences_shows_none() -> None:
    found = as_published(runs(lambda a, k: 6000, lambda a, k: 98))
    words = list(found.values())
    assert words.count("shown") + words.count("contradicted") <= 2  # of 15 directions at 95 %


def test_steps_are_compared_as_ratios_paired_by_seed() -> None:
    own = Statement(what="", tag="read", measure="step", arm=REINIT, other=TICKET, rounds=7, claims="more")
    found = estimate(own, runs(paper_steps, paper_accuracy))
    assert found and found.low < 1.56 / 0.62 < found.high and found.high / found.low < 1.1
    assert re.fullmatch(r"2\.\d\d times \(2\.\d\d to 2\.\d\d\)", str(found))


def test_one_seed_is_no_evidence() -> None:
    found = runs(paper_steps, paper_accuracy)
    assert not any(as_published(found[found["seed"] == 0]).values())


@pytest.mark.parametrize(
    ("claims", "low", "high", "word"),
    [
        ("more", 0.1, 0.3, "shown"),
        ("more", -0.3, -0.1, "contradicted"),
        ("more", -0.1, 0.1, "undecided"),
        ("less", -0.3, -0.1, "shown"),
        ("less", 0.1, 0.3, "contradicted"),
        ("same", -0.1, 0.1, "no difference shown"),
        ("same", 0.1, 0.3, "a difference is shown"),
    ],
)
def test_the_interval_decides(claims: str, low: float, high: float, word: str) -> None:
    own = Statement(what="", tag="read", measure="test", arm=TICKET, other=DENSE, rounds=7, claims=claims)  # type: ignore[arg-type]
    assert verdict(own, Estimate((low + high) / 2, low, high, 0.0, "pp")) == word


@pytest.mark.parametrize(
    ("mean", "low", "high", "word"),
    [
        (100.0, 100.0, 100.0, "as published"),
        (99.999, 99.998, 99.9995, "as published"),
        (99.9, 99.7, 100.1, "no difference shown"),
        (99.9, 99.8, 99.95, "a difference is shown"),
    ],
)
def test_a_figure_that_comes_out_again_is_as_published(mean: float, low: float, high: float, word: str) -> None:
    own = Statement(what="", tag="read", measure="train", arm=TICKET, rounds=15, claims="same", value=100.0)
    assert verdict(own, Estimate(mean, low, high, 100.0, "%")) == word


def test_draws_of_a_seed_are_one_run_of_it() -> None:
    suite = Suite.read("frankle2019-digits").model_copy(update={"seeds": 2})
    made = records(suite, lambda method, cell: 90 + 3 * str(method.defaults.get("start")).endswith("-3"))
    found = frankle2019.by_seed(Measured(suite, made))
    again = found[found["arm"] == REINIT]
    assert len(again) == 2 * len(suite.sparsities) and set(again["rounds"]) == {3, 7, 9, 15}
    assert abs(again["test"] - 91).max() < 0.5  # of 90, 90 and 93
    assert set(found.loc[found["arm"] == DENSE, "rounds"]) == {0}


def test_runs_that_nobody_watched_have_no_early_stopping() -> None:
    suite = Suite.read("frankle2019-digits")
    suite = suite.model_copy(update={"seeds": 2, "recipe": suite.recipe.replace(watch=None)})
    claim, curves = frankle2019.sections(Measured(suite, records(suite, lambda method, cell: 90)))
    assert "not run here: 17" in claim.text and list(curves.charts) == ["test", "train"]


def test_early_stopping_is_read_from_the_record() -> None:
    suite = Suite.read("frankle2019-digits").model_copy(update={"seeds": 2})
    made = records(suite, lambda method, cell: 90)
    claim, curves = frankle2019.sections(Measured(suite, made))
    assert list(curves.charts) == ["step", "stopped", "test", "train"] and "not run here: 2" in claim.text
    assert frankle2019.early_stopping(made[0].result) == (500, made[0].result.test.percent)


@pytest.mark.parametrize(("epochs", "said"), [(40, False), (26, True)])  # 680 and 442 steps; all stop at 500 or never
def test_steps_at_the_end_are_called_lower_bounds(epochs: int, said: bool) -> None:
    suite = Suite.read("frankle2019-digits")
    suite = suite.model_copy(update={"seeds": 2, "recipe": suite.recipe.replace(epochs=epochs)})
    claim = frankle2019.claim(found := Measured(suite, records(suite, lambda m, c: 90)), frankle2019.by_seed(found))
    assert ("In 42 of 42 runs it lies in the last 5% of the training" in claim.text) == said
