"""The comparison at equal budgets: a paper's methods with the same epochs each, beside the paper's own protocol."""

from collections.abc import Iterator

import pandas as pd

from lthbench.board.page import marginal_lines
from lthbench.report.measured import Measured, Section
from lthbench.report.table import markdown
from lthbench.scoring import words

BESIDE = {
    "frankle2019": ("mnist",),
    "frankle2019-digits": ("digits", "digits-controls"),
    "liu2021": ("cifar10", "cifar100"),
    "liu2021-cifar10-jpeg": ("cifar10-jpeg",),
    "liu2021-mnist": ("mnist",),
    "liu2021-digits": ("digits", "digits-controls"),
    "ma2021": ("cifar10", "cifar10-iterative", "cifar100", "cifar100-iterative"),
    "ma2021-cifar10-jpeg": ("cifar10-jpeg", "cifar10-jpeg-iterative"),
    "ma2021-digits": ("ma2021-digits-equal",),
    "ma2021-tiny-imagenet": ("tiny-imagenet", "tiny-imagenet-iterative"),
    "malach2020-digits": ("malach2020-digits-equal",),
    "wolfe2021-digits": ("wolfe2021-digits-equal",),
    "elastic-digits": ("elastic-digits-equal",),
}
"""The suites with a budget that compare the methods of a paper's suite without one, by the name of the latter."""


def section(measured: Measured) -> Section:
    """Return the overall sentence of every duel in the suites listed for this one, or in this suite if it has a budget."""
    suite = measured.suite
    if suite.budget != "none":
        rows, notes = [*_rows(measured)], [f"Every method of this suite may spend {suite.budget} epochs."]
    else:
        rows, notes = [], ["The suite above has no budget. Here all methods may spend the same epochs."]
        for name in BESIDE.get(suite.name, ()):
            other = measured.other(name)
            rows += _rows(other) if other else ()
            notes += [] if other else [f"There are no records of `{name}` yet."]
        if suite.name not in BESIDE:
            notes = ["No suite compares these methods at equal budgets."]
    headers = ["suite", "budget", "seeds", "duel", "over all cells", "cells"]
    table = [markdown(pd.DataFrame(rows), headers)] if rows else []
    return Section("At equal budgets", "\n\n".join([" ".join(notes), *table]))


def _rows(measured: Measured) -> Iterator[list[str]]:
    analysis, suite = measured.analysis, measured.suite
    for duel in analysis.duels:
        _, sentence = marginal_lines(analysis, duel)[0]
        pair = f"{duel.a} against {duel.b}"
        yield [
            suite.name,
            suite.budget,
            str(analysis.seeds),
            pair,
            sentence,
            words.outcome_counts(duel.cells, duel.a, duel.b),
        ]
