"""Section 6: verdicts in both readings.

Its numbers for `case_verdict.csv` are those of a prior by the term of d0. By that of the cap (docs/log.md, 2026-11-27) the adjusted p and
the seeds advised are slightly larger; the verdicts are the same.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lthbench.scoring.contrast import Meta, Thresholds
from lthbench.scoring.correction import bh, seeds_needed
from lthbench.scoring.verdicts import JACKPOT, NEITHER, OPEN, SECONDARY, VERDICT_COLUMNS, verdicts

Close = Callable[[object], object]
Metas = dict[str, Meta]
CONTROLS = {"reinit": "reinit", "small": "small"}


@pytest.fixture
def records(case: Callable[[str], pd.DataFrame]) -> pd.DataFrame:
    return case("verdict")


def read(
    records: pd.DataFrame, meta: Metas, reading: str, thresholds: Thresholds | None = None, **controls: str | None
) -> pd.DataFrame:
    table = verdicts(records, meta, "ticket", **{**CONTROLS, **controls}, thresholds=thresholds)
    return table[table["reading"] == reading].reset_index(drop=True)


def test_the_reading_same(records: pd.DataFrame, meta: Metas, close: Close) -> None:
    table = read(records, meta, "same")
    assert table["verdict"].tolist() == [NEITHER, SECONDARY, NEITHER, NEITHER, JACKPOT, OPEN, OPEN, NEITHER]
    assert table["failed"].tolist() == ["1", "", "4", "1", "", "", "", "3 4"]
    assert table["unproven"].tolist() == ["", "", "", "", "", "4 5", "5", ""]
    assert table["at_least"].tolist() == ["", "", "", "", "", "", SECONDARY, ""]
    nan = np.nan
    assert table["seeds_needed"].tolist() == close([nan, nan, nan, nan, nan, 18, 32, nan])
    assert table["p_claim_adjusted"].tolist() == close([nan, 6.52952e-5, 1, nan, 2.47370e-5, 0.260782, 0.356214, 1])
    assert table["gap_5"].tolist() == close([-1.6, -1.7, -4.72, 0.1, 0.08, -0.28, -0.38, -2.4])
    assert table.columns.tolist() == VERDICT_COLUMNS


def test_the_smallest_p_of_the_reading_same(records: pd.DataFrame, meta: Metas) -> None:
    p = read(records, meta, "same")["p_claim_adjusted"]
    assert p[[1, 4]].tolist() == pytest.approx([6.52952e-5, 2.47370e-5], rel=1e-5)


def test_the_reading_any(records: pd.DataFrame, meta: Metas, close: Close) -> None:
    table = read(records, meta, "any")
    assert table["verdict"].tolist() == [NEITHER, NEITHER, NEITHER, NEITHER, JACKPOT, OPEN, OPEN, NEITHER]
    assert table["failed"].tolist() == ["1", "3", "2 3 4", "1", "", "", "", "3 4"]
    assert table["seeds_needed"][[5, 6]].tolist() == [19, 33]


def test_the_paper_rule_is_the_verdict_of_the_point_estimates(records: pd.DataFrame, meta: Metas) -> None:
    rule = read(records, meta, "same")["paper_rule"].tolist()
    assert rule == [NEITHER, SECONDARY, NEITHER, NEITHER, JACKPOT, JACKPOT, JACKPOT, NEITHER]


def at_0_8(dense: float, ticket: float, reinit: float, small: float) -> pd.DataFrame:
    """Return one cell at one learning rate with these means; the seeds differ by a regular pattern."""
    rows = []
    for k, (method, mean) in enumerate({"dense": dense, "ticket": ticket, "reinit": reinit, "small": small}.items()):
        rows += [
            ("w", 0.1, 0.0 if method == "dense" else 0.8, method, i, mean + 0.1 * ((i * (k + 1)) % 5 - 2))
            for i in range(5)
        ]
    return pd.DataFrame(rows, columns=["workload", "learning_rate", "sparsity", "method", "seed", "accuracy"])


def test_the_edge_of_the_paper_rule_is_met_exactly(meta: Metas) -> None:
    assert read(at_0_8(90.5, 90.0, 88, 88), meta, "same")["paper_rule"][0] == JACKPOT, "-0.5 pp is similar"
    assert read(at_0_8(90.0, 90.0, 89.5, 88), meta, "same")["paper_rule"][0] == NEITHER, "0.5 pp is no clear gap"


def test_the_clear_gap_is_that_of_the_workload(meta: Metas) -> None:
    """A lead of 0.3 points over the controls is nothing on CIFAR-10, and much where the dense network makes 1.7 % errors."""
    records = at_0_8(90.0, 90.0, 89.7, 89.7)
    fine = {"w": replace(meta["w"], tolerance=0.2, clear_gap=0.2)}
    for metas, verdict in ((meta, NEITHER), (fine, JACKPOT)):
        assert read(records, metas, "same")["paper_rule"][0] == verdict
    both = pd.concat([records, records.assign(workload="v")])
    found = read(both, {"w": fine["w"], "v": meta["w"]}, "any").set_index("workload")["paper_rule"]
    assert found.to_dict() == {"w": JACKPOT, "v": NEITHER}


def test_float_noise_does_not_decide_on_which_side_of_the_edge_a_mean_lies(meta: Metas) -> None:
    records = at_0_8(90.5, 90.0, 88, 88)
    dense, ticket = records["method"].eq("dense"), records["method"].eq("ticket")
    records.loc[dense, "accuracy"] = [90.65, 90.43, 90.47, 90.79, 90.16]
    records.loc[ticket, "accuracy"] = 90.0
    table = read(records, meta, "same")
    assert (table["gap_4"][0] < -0.5, table["paper_rule"][0]) == (True, JACKPOT)


def two_rates(reinit: float, dense: float) -> tuple[pd.DataFrame, np.ndarray]:
    """Return a ticket at one learning rate and two sparsities, and its noise.

    It is far behind at 0.9. The controls have two learning rates and no noise.
    """
    noise = np.array([0.6, -0.4, 0.5, -0.7, 0.1])
    rows = []
    for sparsity, ticket in ((0.8, 90.0), (0.9, 80.0)):
        rows += [("w", 0.1, sparsity, "ticket", i, ticket + noise[i]) for i in range(5)]
        for rate in (0.05, 0.1):
            rows += [("w", rate, sparsity, "reinit", i, reinit if rate == 0.05 else 80.0) for i in range(5)]
            rows += [("w", rate, sparsity, "small", i, 80.0) for i in range(5)]
    rows += [("w", rate, 0.0, "dense", i, value) for rate, value in ((0.05, dense), (0.1, 88.0)) for i in range(5)]
    return pd.DataFrame(rows, columns=["workload", "learning_rate", "sparsity", "method", "seed", "accuracy"]), noise


def test_refuting_one_of_three_conditions_is_corrected_for_three(records: pd.DataFrame, meta: Metas) -> None:
    table = read(records, meta, "same")
    tested = table["sparsity"] >= 0.6
    p = (3 * table.loc[tested, ["p_refute_2", "p_refute_3", "p_refute_4"]].min(axis=1)).clip(upper=1)
    assert table.loc[tested, "p_neither_adjusted"].tolist() == pytest.approx(bh(p).tolist(), rel=1e-9)


def test_seeds_to_neither_are_those_of_the_nearest_failure(meta: Metas) -> None:
    records, noise = two_rates(reinit=89.8, dense=88.0)
    table = read(records, meta, "any", Thresholds(min_pool=100))
    assert (table["verdict"].tolist(), table["paper_rule"].tolist()) == ([OPEN, NEITHER], [NEITHER, NEITHER])
    # Two cells, one of them refuted already; a third for the conditions, a half for the two learning rates of condition 3.
    assert table["seeds_needed"][0] == seeds_needed(-0.28, noise.std(ddof=1), 0, 5, 0.05 * 2 / 2 / 3 / 2)


def test_seeds_to_a_secondary_prize_are_those_of_its_hardest_part(meta: Metas) -> None:
    records, noise = two_rates(reinit=80.0, dense=91.0)
    table = read(records, meta, "any", Thresholds(min_pool=100))
    assert (table["verdict"][0], table["paper_rule"][0], table["unproven"][0]) == (OPEN, SECONDARY, "5")
    assert table["seeds_needed"][0] == seeds_needed(-0.48, noise.std(ddof=1), 0, 5, 0.05 / 2 / 2)


def test_a_condition_that_every_contrast_meets_needs_no_correction_inside(records: pd.DataFrame, meta: Metas) -> None:
    table = read(records, meta, "any")
    prize = table[["p_show_2", "p_show_3", "p_show_4"]].max(axis=1)[[1, 2, 4, 5, 6, 7]]
    assert table["p_prize_adjusted"].min() == pytest.approx(6 * prize.min())


@pytest.mark.parametrize("control", ["dense", "reinit", "small"])
def test_a_missing_control_leaves_the_verdict_open(control: str, records: pd.DataFrame, meta: Metas) -> None:
    table = read(records, meta, "same", **{control: None})
    assert table["verdict"].tolist() == [NEITHER, OPEN, OPEN, NEITHER, OPEN, OPEN, OPEN, OPEN]
    assert table["p_claim_adjusted"].isna().all()


def test_a_control_missing_at_one_rate_holds_the_reading_any_open(records: pd.DataFrame, meta: Metas) -> None:
    gone = (records["method"] == "reinit") & (records["learning_rate"] == 0.01) & (records["workload"] == "w")
    any_, same = (read(records[~gone], meta, reading) for reading in ("any", "same"))
    assert (any_["verdict"][4], any_["n"][4], any_["p_show_3"][4]) == (OPEN, 0, 1)
    assert (same["verdict"][4], same["n"][4]) == (JACKPOT, 5)


def test_dense_at_a_rate_of_its_own_is_part_of_the_best_dense(records: pd.DataFrame, meta: Metas) -> None:
    better = records[(records["method"] == "dense") & (records["learning_rate"] == 0.1)]
    better = better.assign(learning_rate=0.2, accuracy=better["accuracy"] + 2)
    table = read(pd.concat([records, better]), meta, "same")
    assert table["verdict"][4] == SECONDARY


def test_two_seeds_are_not_enough(records: pd.DataFrame, meta: Metas) -> None:
    table = read(records[records["seed"] < 2], meta, "same")
    assert table["verdict"].tolist() == [NEITHER, OPEN, OPEN, NEITHER, OPEN, OPEN, OPEN, OPEN]


def test_a_ticket_that_collapsed_once_claims_no_prize(records: pd.DataFrame, meta: Metas) -> None:
    fallen = records["method"].eq("ticket") & records["seed"].eq(4) & records["learning_rate"].eq(0.1)
    table = read(records.assign(accuracy=records["accuracy"].mask(fallen)), meta, "same")
    assert (table["verdict"][4], table["seeds_needed"][4]) == (OPEN, np.inf)


def test_an_insufficient_recipe_fails_condition_1(records: pd.DataFrame, meta: Metas) -> None:
    table = verdicts(records, meta, "ticket", **CONTROLS, sufficient=False)
    assert set(table["verdict"]) == {NEITHER} and set(table["failed"]) == {"1"}


def test_between_looks_everything_is_pending(records: pd.DataFrame, meta: Metas) -> None:
    table = read(records, meta, "any", Thresholds(alpha=0))
    assert set(table["verdict"]) == {"pending"} and table["seeds_needed"].isna().all()


def test_a_smaller_alpha_claims_less(records: pd.DataFrame, meta: Metas) -> None:
    assert set(read(records, meta, "same", replace(Thresholds(), alpha=1e-6))["verdict"][[1, 4]]) == {OPEN}


def test_shuffled_rows_change_no_bit(records: pd.DataFrame, meta: Metas) -> None:
    shuffled = records.sample(frac=1, random_state=3)
    one, other = (verdicts(rows, meta, "ticket", **CONTROLS) for rows in (records, shuffled))
    pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_an_unknown_name_raises(records: pd.DataFrame, meta: Metas) -> None:
    with pytest.raises(ValueError, match="no runs of method 'random-reinit'"):
        verdicts(records, meta, "ticket", small="small")
