"""New test images (end of section 8)."""

from collections.abc import Callable, Sequence
from itertools import product
from random import Random

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lthbench import bits
from lthbench.scoring.contrast import COLUMNS, Meta
from lthbench.scoring.duel import duel, marginals, overall
from lthbench.scoring.images import COLUMNS as IMAGES
from lthbench.scoring.images import of_images, se_on_new_images


def correct(rows: str) -> np.ndarray:
    return np.array([[int(image) for image in seed] for seed in rows.split("/")])


def test_three_seeds_on_four_images(close: Callable[[object], object]) -> None:
    assert se_on_new_images(correct("1110/1101/1011"), correct("1010/1001/0011")) == close(8.3333333)


def test_images_that_differ_add_to_what_seeds_show() -> None:
    a, b = np.zeros((3, 100)), np.zeros((3, 100))
    a[:, :10] = 1
    assert se_on_new_images(a, b) == pytest.approx(100 * np.sqrt(0.1 * 0.9 / 99))
    assert se_on_new_images(a, b, se=4.0) == pytest.approx(np.sqrt(4.0**2 + 100**2 * 0.1 * 0.9 / 99))


def test_it_covers_the_difference_on_redrawn_images() -> None:
    rng = np.random.default_rng(5)
    spread, told = [], []
    for _ in range(400):
        right = rng.random((2, 1, 300)) < 0.9
        flips = rng.random((2, 5, 300)) < 0.03
        a, b = right ^ flips
        spread.append(100 * (a.mean() - b.mean()))
        told.append(se_on_new_images(a, b) ** 2)
    assert np.mean(told) == pytest.approx(np.var(spread), rel=0.2)


@pytest.mark.parametrize("shapes", [((3, 4), (3, 5)), ((1, 4), (1, 4)), ((4,), (4,))])
def test_shapes_that_cannot_be_crossed_raise(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match="equal shapes"):
        se_on_new_images(*(np.zeros(shape) for shape in shapes))


def seen(seed: int, n: int = 4, images: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Draw the correct answers of two methods, (seeds, images), with some images harder than others."""
    rng = np.random.default_rng(seed)
    a, b = rng.random((2, n, images)) < np.clip(rng.normal(0.7, 0.3, (2, 1, images)), 0, 1)
    return a, b


@given(st.integers(0, 10**6), st.randoms(use_true_random=False))
def test_the_order_of_seeds_and_images_does_not_matter(seed: int, random: Random) -> None:
    a, b = seen(seed)
    seeds, images = (random.sample(range(size), size) for size in a.shape)
    there = np.ix_(seeds, images)
    assert se_on_new_images(a[there], b[there]) == pytest.approx(se_on_new_images(a, b))
    assert se_on_new_images(b, a) == pytest.approx(se_on_new_images(a, b))


@given(st.integers(0, 10**6))
def test_it_is_never_less_than_what_seeds_show(seed: int) -> None:
    a, b = (
        np.random.default_rng(seed).permuted(side, axis=1) for side in seen(seed)
    )  # images have nothing of their own
    over_seeds = (100 * (a.astype(float) - b)).mean(axis=1).std(ddof=1) / 2
    assert se_on_new_images(a, b) >= over_seeds * (1 - 1e-12)


@pytest.mark.parametrize("right", [[0, 1, 0, 1], [1, 1, 1, 1]])
def test_what_differs_by_seed_alone_adds_nothing(right: list[int]) -> None:
    a = np.repeat(np.array(right)[:, None], 30, axis=1)
    assert se_on_new_images(a, np.zeros_like(a)) == pytest.approx(100 * np.std(right, ddof=1) / 2)


# In the duel


META = {w: Meta(classes=10, n_test=40, tolerance=1.0) for w in ("u", "v")}


def runs(cells: int = 3, seeds: int = 4, workloads: Sequence[str] = ("u",)) -> pd.DataFrame:
    """Return records of methods a and b, with the text of their correct answers."""
    rows = []
    for i, (workload, cell) in enumerate(product(workloads, range(cells))):
        for method, right in zip("ab", seen(i, seeds), strict=True):
            rows += [(workload, method, 0.1, cell / 10, s, 100 * r.mean(), bits.text(r)) for s, r in enumerate(right)]
    return pd.DataFrame(rows, columns=[*COLUMNS, "correct"])


def right_of(records: pd.DataFrame, method: str, sparsity: float) -> np.ndarray:
    there = records[(records["method"] == method) & (records["sparsity"] == sparsity)].sort_values("seed")
    return np.array([bits.flags(text, 40) for text in there["correct"]])


def test_every_cell_has_the_interval_of_its_moderated_error() -> None:
    records = runs(cells=9)  # enough to borrow variance
    cells = duel(records.sample(frac=1, random_state=1), META, "a", "b")
    assert (cells["prior_df"] > 0).all()
    for _, row in cells.iterrows():
        sides = (right_of(records, method, row["sparsity"]) for method in "ab")
        se = se_on_new_images(*sides, se=row["se"])
        assert row["se_images"] == pytest.approx(se)
        assert row["high_images"] - row["difference"] == pytest.approx(stats.t.ppf(0.975, row["df"]) * se)
        assert row["low_images"] <= row["low"] < row["high"] <= row["high_images"]
    assert (cells["se_images"] > cells["se"]).any()


def test_nothing_is_decided_by_it() -> None:
    records = runs()
    with_, without = (duel(r, META, "a", "b") for r in (records, records.drop(columns="correct")))
    pd.testing.assert_frame_equal(with_.drop(columns=IMAGES), without.drop(columns=IMAGES))
    assert without[IMAGES].isna().all(axis=None)
    assert marginals(records.drop(columns="correct"), META, "a", "b")[IMAGES].isna().all(axis=None)


@pytest.mark.parametrize("nothing", [None, np.nan])
def test_a_run_that_does_not_say_takes_it_from_its_cell_and_its_margins(nothing: object) -> None:
    records = runs()
    records["correct"] = records["correct"].astype(object)
    records.loc[(records["sparsity"] == 0.1) & (records["method"] == "b") & (records["seed"] == 2), "correct"] = nothing
    assert duel(records, META, "a", "b")["se_images"].isna().tolist() == [False, True, False]
    found = marginals(records, META, "a", "b").set_index("group")["se_images"].isna()
    assert found[found].index.tolist() == ["overall", "workload u", "learning_rate 0.1", "sparsity 0.1"]


def test_collapsed_runs_count_for_nothing() -> None:
    records = runs(cells=1)
    whole = duel(records[records["seed"] < 3], META, "a", "b").iloc[0]
    fallen = (records["seed"] == 3) & (records["method"] == "a")
    records.loc[fallen, ["accuracy", "correct"]] = [0.0, bits.text(np.zeros(40))]
    row = duel(records, META, "a", "b").iloc[0]
    assert (row["n"], row["collapsed_a"]) == (3, 1)
    assert row["se_images"] == whole["se_images"]


def test_the_other_way_round_it_mirrors() -> None:
    forth, back = (duel(runs(), META, *pair) for pair in (("a", "b"), ("b", "a")))
    assert back["low_images"].tolist() == pytest.approx((-forth["high_images"]).tolist())


def test_over_cells_it_is_of_the_mean_over_cells() -> None:
    records = runs()
    row = overall(records, META, "a", "b")
    x = sum(right_of(records, "a", s).astype(float) - right_of(records, "b", s) for s in (0.0, 0.1, 0.2)) / 3
    assert row["difference"] == pytest.approx(100 * x.mean())
    assert row["se_images"] == pytest.approx(np.sqrt(row["se"] ** 2 + of_images(100 * x)))


def test_one_cell_twice_says_no_more_than_once() -> None:
    once = runs(cells=1)
    twice = pd.concat([once, once.assign(sparsity=0.5)])
    assert overall(twice, META, "a", "b")["se_images"] == pytest.approx(overall(once, META, "a", "b")["se_images"])


def test_workloads_may_share_their_images() -> None:
    once = runs(cells=1)
    both = overall(pd.concat([once, once.assign(workload="v")]), META, "a", "b")
    alone = overall(once, META, "a", "b")
    added = both["se_images"] ** 2 - both["se"] ** 2
    assert added == pytest.approx(alone["se_images"] ** 2 - alone["se"] ** 2)
    assert both["se"] ** 2 == pytest.approx(alone["se"] ** 2 / 2)
