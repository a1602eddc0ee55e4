"""Builds a report: a page in Markdown with its charts, from the records of a paper's suite."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from lthbench.errors import InputError, unknown
from lthbench.report import equal
from lthbench.report.measured import Measured, Section
from lthbench.report.papers import elastic, generalized, liu2021, ma2021, malach2020, wolfe2021
from lthbench.report.published import Paper, paper
from lthbench.report.table import CELL, markdown, said_of, summary
from lthbench.runs.store.files import write_whole
from lthbench.suite import Suite
from lthbench.suite import in_folder as suite_of

SECTIONS: Mapping[str, Callable[[Measured], list[Section]]] = {
    "liu2021": liu2021.sections,
    "ma2021": ma2021.sections,
    "wolfe2021": wolfe2021.sections,
    "elastic": elastic.sections,
    "generalized": generalized.sections,
    "malach2020": malach2020.sections,
}
"""By paper: the name of its suites, up to the first hyphen."""


def build(where: str, leaderboard: Path = Path("leaderboard")) -> Path:
    """Write the report of a run folder (into its `report/`), or of a suite with published results (into `reports/`).

    Returns the page. InputError where there are no records, or no paper has a suite of this name.
    """
    if Path(where).is_dir():
        suite, records, out = suite_of(Path(where)), Path(where), Path(where) / "report"
    else:
        suite = Suite.read(where)
        records, out = leaderboard / "results" / suite.name, leaderboard / "reports"
    name = suite.name.partition("-")[0]
    if told := [own for own, beside in equal.BESIDE.items() if suite.name in beside]:
        raise InputError(f"report: {suite.name} stands in that of {' and '.join(told)}; type lthbench report {told[0]}")
    if name not in SECTIONS:
        raise InputError("report: " + unknown("paper", suite.name, SECTIONS))
    measured = Measured.read(suite, records)
    page, charts = written(measured, paper(name), SECTIONS[name](measured))
    for chart, svg in charts.items():
        write_whole(out / f"{chart}.svg", svg.encode())
    write_whole(out / f"{suite.name}.md", page.encode())
    return out / f"{suite.name}.md"


def written(measured: Measured, source: Paper, own: list[Section]) -> tuple[str, dict[str, str]]:
    """The page, and its charts by file name."""
    suite = measured.suite
    sections = [*own, equal.section(measured), beside(measured, source), differences(measured, source)]
    charts = {f"{suite.name}.{name}": svg for section in sections for name, svg in section.charts.items()}
    parts = [_head(measured, source)]
    for section in sections:
        images = [f"![{section.title}: {name}]({suite.name}.{name}.svg)" for name in section.charts]
        parts.append("\n\n".join([f"## {section.title}", section.text, *images]))
    return "\n\n".join(parts) + "\n", charts


def beside(measured: Measured, source: Paper) -> Section:
    """Every published number that may be shown, with what was measured for the same network, rate, sparsity and method."""
    if not source.numbers:
        return Section("Beside the paper", "No number of the paper is at hand that could stand here.")
    key = [*CELL, "label"]
    found = {tuple(row[key]): said_of(row) for _, row in summary(measured.table, key, "test").iterrows()}
    rows = []
    for number in source.numbers:
        here = found.get((number.workload, number.learning_rate, number.sparsity, number.method), "not run here")
        rate = "" if number.learning_rate is None else f"{number.learning_rate:g}"
        removed = f"{100 * number.sparsity:g} %" if number.sparsity else ""
        cell = [number.what, number.workload, rate, removed]
        rows.append([*cell, f"{number.value:g} {number.unit}", number.tag, here])
    headers = ["", "workload", "rate", "sparsity", "published", "known how", "here"]
    note = "`read`: in the paper's text or its released code; `second-hand`: in somebody else's transcription."
    return Section("Beside the paper", f"{note}\n\n{markdown(pd.DataFrame(rows), headers)}")


def differences(measured: Measured, source: Paper) -> Section:
    """The paper's protocol and this suite's, setting by setting where they differ, and what no setting says.

    Of a paper whose settings are not known there is no table: nothing can be said to be the same.
    """
    here = {**measured.suite.recipe.__dict__, **measured.suite.model_dump(mode="json")}
    protocol = source.protocol | source.protocol_of.get(measured.suite.name, {})
    rows = [
        [key.replace("_", " "), _plain(value), _plain(here.get(key))]
        for key, value in protocol.items()
        if _plain(value) != _plain(here.get(key))
    ]
    table = [markdown(pd.DataFrame(rows), ["setting", "paper", "here"])] if rows else []
    same = ["Every setting that is noted is the paper's."] if protocol and not rows else []
    return Section(
        "What differs from the paper's protocol",
        "\n\n".join([*table, *same, "\n".join(f"- {d}" for d in source.differs)]),
    )


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _head(measured: Measured, source: Paper) -> str:
    suite, records = measured.suite, measured.records
    builds = sorted({f"{r.provenance.environment['kind']}, torch {r.provenance.environment['torch']}" for r in records})
    seeds = len({r.result.seed for r in records})
    failed = sum(r.result.status != "ok" for r in records)
    trouble = f" {failed} of them have no result." if failed else ""
    return (
        f"# {source.citation}\n\nGenerated by `lthbench report {suite.name}`. {suite.about}\n\n"
        f"**Claim.** {source.claim}\n\n"
        f"{len(records)} runs on {', '.join(measured.workloads)}, {seeds} seeds, T = {suite.recipe.epochs} epochs, "
        f"budget {suite.budget}, allocation {suite.allocation}, on {'; '.join(builds)}.{trouble} "
        "Test accuracy at the last epoch in percent, mean ± standard deviation over seeds; intervals are 95 %."
    )
