"""Scores of a board: a diverged run counts at chance, and one seed has no deviation."""

import math
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from lthbench.board.analysis import Analysis
from lthbench.board.build import analysis_of
from lthbench.board.export import paper
from lthbench.board.page import page
from lthbench.board.scores import at_chance, with_deviation

RESULTS = Path(__file__).parent.parent.parent / "leaderboard/results"


@pytest.mark.parametrize(
    ("mean", "deviation", "said"),
    [(96.26, 0.54, "96.3 ± 0.5"), (96.26, 0.0, "96.3 ± 0.0"), (96.26, math.nan, "96.3"), (math.nan, math.nan, "")],
)
def test_a_mean_without_a_deviation_stands_alone(mean: float, deviation: float, said: str) -> None:
    assert with_deviation(mean, deviation) == said


def test_one_seed_has_no_deviation_on_a_page_nor_in_a_table_for_a_paper() -> None:
    whole = analysis_of(RESULTS / "digits-2of4")
    one: Analysis = replace(whole, results=whole.results.where(whole.results.runs["seed"] == 0))
    section = page(one).partition("## All methods")[2]
    assert "nan" not in section and " ± " not in section.replace("Mean ± standard", "")
    assert "±" in page(whole).partition("Mean ± standard")[2]
    texts = [entry.text for row in paper.scores_table(one).rows for entry in row]
    assert not [text for text in texts if "±" in text or "nan" in text]


def test_a_diverged_run_counts_at_the_chance_of_its_data() -> None:
    """An answer that is always the largest class is right more often than one in `classes`."""
    runs = pd.DataFrame({"accuracy": [95.0, math.nan], "classes": 10, "chance": 70.0})
    assert at_chance(runs).tolist() == [95.0, 70.0]
