"""Charts of reports: panels in the order of their rows, ticks where values are, nothing on top of each other."""

import re

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from lthbench.report import charts


def texts(svg: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]+)</text>", svg)


@given(st.permutations([128, 512, 1024, 3000]))
@settings(max_examples=5)
def test_panels_stand_in_the_order_of_their_rows(examples: list[int]) -> None:
    rows = pd.DataFrame({"m": examples, "steps": 10.0, "mean": 90.0, "low": 89.0, "high": 91.0, "how": "greedy"})
    panels = rows.assign(panel=rows["m"].map("{} examples".format))
    rules = panels[["panel"]].iloc[::-1].assign(mean=95.0, name="dense")
    drawn = charts.lines(panels, "steps", "mean", "how", column="panel", rules=rules, titles=("steps", "accuracy, %"))
    assert [text for text in texts(drawn) if text.endswith(" examples")] == [f"{m} examples" for m in examples]


def test_a_few_values_of_a_logarithmic_axis_are_its_ticks() -> None:
    steps = [1, 10, 30, 100, 300, 1000]
    rows = pd.DataFrame({"steps": steps, "mean": 90.0, "low": 89.0, "high": 91.0, "how": "greedy"})
    drawn = charts.lines(rows, "steps", "mean", "how", scale="log", titles=("steps", "accuracy, %"))
    assert texts(drawn)[: len(steps)] == [f"{step:,}" for step in steps]
