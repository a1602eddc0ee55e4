"""Results for scripts and notebooks: the records of one folder or several, with the tables and statistics of a board."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from lthbench.board import page, scores
from lthbench.board.analysis import Analysis, Duel
from lthbench.board.build import belongs, suite_of
from lthbench.errors import InputError, unknown
from lthbench.runs.records.record import Record, each, files
from lthbench.runs.records.tables import TABLES, Tables, tabulated
from lthbench.runs.status.announcement import named
from lthbench.suite import Suite

log = logging.getLogger(__name__)


@dataclass(frozen=True, repr=False, eq=False)
class Results(Tables):
    """The runs of a suite, or of several: `results["mnist"]` are those of one.

    The tables (`runs`, `scored`, `layers`, …) are those of `Tables`. `scores()` is of all suites; `duel(…)`, `verdicts()`,
    `ranking()` and `plot_accuracy()` are of one. They are computed as on the board.
    """

    suites: Mapping[str, Suite] = field(default_factory=dict)
    named: tuple[str, ...] = ()  # the methods that the user ran last

    def __getitem__(self, suite: str) -> "Results":
        """Return the results of one suite. InputError where there are none."""
        if suite not in self.names:
            raise InputError(unknown("suite with results here", suite, self.names))
        part = self.where(self.runs["suite"] == suite)
        tables = {name: getattr(part, name) for name in TABLES}
        return Results(**tables, suites={n: s for n, s in self.suites.items() if n == suite}, named=self.named)

    @property
    def names(self) -> list[str]:
        """Return the names of the suites."""
        return [str(name) for name in self.runs["suite"].unique()]

    def scores(self) -> pd.DataFrame:
        """Return a row for each suite, method and cell: n, mean test accuracy in percent, its 95 % interval, sd, cost."""
        scored = self.scored
        parts = [(name, scores.scores(scored[scored["suite"] == name])) for name in self.names or [""]]
        found = pd.concat([table.assign(suite=name) for name, table in parts], ignore_index=True)
        return found[["suite", *found.columns.drop("suite")]]

    def duel(self, *methods: str) -> "Comparison":
        """Compare two methods, paired by seed; one with the suite's reference; or those of the board's first duel.

        >>> load_results("leaderboard/results/digits-2of4").duel("lottery-ticket", "prune-finetune")
        <lottery-ticket against prune-finetune: tie: within 1 pp of each other (−0.14 to 0.30), ...>
        """
        analysis = self._analysis
        duel = analysis.duel_of(*methods)
        lines = page.marginal_lines(analysis, duel)
        headers, rows = page.duel_rows(analysis, duel)
        said = pd.DataFrame(rows, columns=headers)
        return Comparison(duel.a, duel.b, duel.cells, duel.marginals, dict(lines), said)

    def verdicts(self, ticket: str | None = None) -> pd.DataFrame:
        """Return the verdicts of Ma et al. 2021 on a ticket method, by default the suite's first: a row for each cell.

        A verdict is jackpot, secondary prize or neither, with the controls at any learning rate and at the same.
        """
        tickets = self._analysis.tickets
        if not (ticket or tickets):
            raise InputError(f"suite {self._analysis.suite.name} has no ticket with runs here; name a method")
        return self._analysis.verdicts(ticket or tickets[0])

    def ranking(self, *, at_best_learning_rate: bool = False) -> pd.DataFrame:
        """Return the suite's pruning methods by mean place, best first, over all cells, with simultaneous 95 % bounds.

        `at_best_learning_rate`: each method counts at the learning rate that its validation accuracy chooses.
        """
        wanted = "each at its best learning rate" if at_best_learning_rate else "all learning rates"
        if wanted not in self._analysis.rankings:
            raise InputError(
                f"suite {self._analysis.suite.name} has no ranking of {wanted}; "
                "it needs a budget, two methods that prune and, for the best rate, validation images"
            )
        return self._analysis.rankings[wanted]

    def plot_accuracy(self, *methods: str) -> Any:
        """Draw mean test accuracy against sparsity with 95 % intervals, a panel for each workload and learning rate.

        Returns an Altair chart. Without methods it shows those of the board's page. InputError where Altair is missing,
        or for a method without runs.
        """
        try:
            from lthbench.board import charts
        except ImportError:
            raise InputError("charts need altair: pip install 'lthbench[board]'") from None
        self._analysis.check_known(*methods)
        return charts.accuracy_panels(self._analysis, list(methods) or page.shown_methods(self._analysis))

    @cached_property
    def _analysis(self) -> Analysis:
        """The analysis of the one suite. InputError where there are several, or where its text is not known."""
        if len(self.names) != 1:
            there = ", ".join(self.names) or "none"
            raise InputError(f"these are the results of {len(self.names)} suites ({there}); choose one: results[NAME]")
        [name] = self.names
        if name not in self.suites:
            raise InputError(f"the text of suite {name} is not known here; load a run folder, which has a suite.json")
        return Analysis(self.suites[name], self, self.named)

    def __repr__(self) -> str:
        """Return one line: the number of runs, the suites, the methods."""
        methods = self.runs["method"].nunique()
        return f"<Results: {len(self.runs):,} runs of {methods} methods in {', '.join(self.names) or 'no suite'}>"

    def _repr_html_(self) -> str:
        """Return mean accuracies as a table: a row for each cell, a column for each method."""
        table = self.scores().pivot_table(
            index=["suite", "workload", "learning_rate", "sparsity"], columns="method", values="mean", sort=False
        )
        return str(table.to_html(float_format="{:.1f}".format, na_rep=""))


@dataclass(frozen=True, repr=False, eq=False)
class Comparison(Duel):
    """A duel with its words. `cells` and `marginals` hold the numbers.

    said: a sentence by group: overall, and each learning rate, sparsity and workload. table: a row of words a cell.
    """

    said: Mapping[str, str]
    table: pd.DataFrame

    def __repr__(self) -> str:
        """Return one line: the sentence over all cells."""
        return f"<{self.a} against {self.b}: {self.said.get('overall', 'no cell in common')}>"

    def _repr_html_(self) -> str:
        """Return the sentence over all cells, and the table."""
        return f"<p>{self.said.get('overall', '')}</p>{self.table.to_html(index=False)}"


def load_results(path: str | Path | Sequence[str | Path], *, skipped: list[str] | None = None) -> Results:
    """Return the records of a run folder, a leaderboard, a folder of `<method>.jsonl`, one such file, or several of these.

    Several are taken together, so that methods of your run folder are paired by seed with the published ones. A run that
    lies in two of them counts once, as in the first. A broken record is an InputError that names file and line; where a
    list `skipped` is given, it is left out and the message is appended to the list.

    >>> load_results("leaderboard/results/digits-2of4")
    <Results: 80 runs of 8 methods in digits-2of4>
    >>> mine = load_results(["runs/digits", "leaderboard/results/digits"])  # doctest: +SKIP
    """
    places = [place for one in ([path] if isinstance(path, str | Path) else path) for place in _places(Path(one))]
    loaded = _Loaded(skipped)
    for place in places:
        loaded.add(place)
    tables = tabulated(loaded.records.values())
    last = tuple(name for place in places if place.is_dir() for name in named(place))
    return Results(**{name: getattr(tables, name) for name in TABLES}, suites=loaded.suites, named=last)


def _places(path: Path) -> list[Path]:
    """Return the folders of a leaderboard, else the path alone."""
    results = path / "results"
    return sorted(one for one in results.iterdir() if one.is_dir()) if results.is_dir() else [path]


@dataclass
class _Loaded:
    """Records of several places, each run once, and the suites whose text is known."""

    skipped: list[str] | None
    suites: dict[str, Suite] = field(default_factory=dict)
    records: dict[Any, Record] = field(default_factory=dict)

    def add(self, place: Path) -> None:
        """Add the records of a place. InputError for a suite of another text than the one of an earlier place."""
        suite = suite_of(place)
        if suite and self.suites.setdefault(suite.name, suite).hash != suite.hash:
            raise InputError(f"{place} holds another text of suite {suite.name} than the folders before; load it alone")
        twice = 0
        paths = [place] if place.is_file() else files(place)
        for record in each(paths, belongs(suite) if suite else lambda result: None, self.skipped):
            run = record.result.suite, record.run_id
            twice += run in self.records
            self.records.setdefault(run, record)
        if twice:
            log.warning("%d runs of %s are in the folders before too, and count as they are there", twice, place)
