"""The analysis of a suite's results: the tables behind a board, all computed from the records alone."""

from dataclasses import dataclass, field, replace
from functools import cached_property

import pandas as pd

from lthbench.board import scores
from lthbench.errors import InputError, unknown
from lthbench.methods import registry
from lthbench.runs.plan.plan import order
from lthbench.runs.records.tables import Tables
from lthbench.scoring import duel, ranking, verdicts
from lthbench.scoring.contrast import Meta, Thresholds
from lthbench.scoring.correction import alpha_at
from lthbench.scoring.winning import winning
from lthbench.suite import Suite

STATISTICS = ["workload", "learning_rate", "sparsity", "method", "seed", "accuracy", "validation_accuracy"]
CELL = ["workload", "learning_rate", "sparsity"]
RUN = ["method", *CELL, "seed"]
CONTROLS = {"dense": "dense", "reinit": "random-reinit", "small": "small-dense"}


@dataclass(frozen=True)
class Duel:
    """A comparison of two methods, cell by cell (`duel.CELL_COLUMNS`) and over cells (`duel.MARGINAL_COLUMNS`).

    Differences are a - b in pp.
    """

    a: str
    b: str
    cells: pd.DataFrame
    marginals: pd.DataFrame


@dataclass(frozen=True)
class Analysis:
    """All tables of a suite and its results."""

    suite: Suite
    results: Tables
    named: tuple[str, ...] = ()  # the methods that the user ran last, which stand in front
    finding: str = ""  # a paragraph by hand: what the numbers show, and why
    _cells: dict[tuple[str, str], pd.DataFrame] = field(default_factory=dict, repr=False, compare=False)
    _duels: dict[tuple[str, str], Duel] = field(default_factory=dict, repr=False, compare=False)
    _verdicts: dict[str, pd.DataFrame] = field(default_factory=dict, repr=False, compare=False)
    _marginals: dict[tuple[str, str, str], pd.DataFrame] = field(default_factory=dict, repr=False, compare=False)

    @property
    def frame(self) -> pd.DataFrame:
        """Return the runs that count, one row each."""
        return self.results.scored

    @cached_property
    def meta(self) -> dict[str, Meta]:
        own = self._meta_of(self._beside())
        rows = own.combine_first(self._meta_of(self.frame))  # where the suite's own methods have no runs
        return {str(name): self._meta_in(str(name), row) for name, row in rows.iterrows()}

    def _meta_in(self, workload: str, row: pd.Series) -> Meta:
        """Return what the records say of a workload, and its clear gap, which only the suite says."""
        known = Meta(int(row["classes"]), int(row["n_test"]), float(row["tolerance"]), float(row["chance"]))
        gaps = {own.name: own.clear_gap for own in self.suite.workload}
        return replace(known, clear_gap=gaps.get(workload, known.clear_gap))

    @staticmethod
    def _meta_of(frame: pd.DataFrame) -> pd.DataFrame:
        """Return classes, test images, tolerance and chance by workload."""
        by_workload = frame.groupby("workload")
        return by_workload[["classes", "n_test", "tolerance"]].max().assign(chance=by_workload["chance"].min())

    @cached_property
    def seeds(self) -> int:
        return self._beside()["seed"].nunique() or self.frame["seed"].nunique()

    @cached_property
    def methods(self) -> list[str]:
        """Return the methods that have runs: those that the user ran last, then the suite's own, in its order."""
        there = self.frame["method"].unique().tolist()
        return list(dict.fromkeys([*(m for m in (*self.named, *self.suite.methods) if m in there), *sorted(there)]))

    @cached_property
    def reference(self) -> str | None:
        """Return the method that others are held against: the second of the suite's first duel, or prune-finetune."""
        return next((m for m in (*(b for _, b in self.suite.duels), "prune-finetune") if m in self.methods), None)

    def _beside(self, *methods: str) -> pd.DataFrame:
        """Return the runs of the suite's own methods and of these: a new row moves no old one."""
        return self.frame[self.frame["method"].isin([*self.suite.methods, *methods])]

    def thresholds(self, tickets: int = 1) -> Thresholds:
        """Return the thresholds at this number of seeds.

        alpha is the part that the declared looks allow, divided by the suite's ticket methods.
        """
        return Thresholds(alpha=alpha_at(self.seeds, self.suite.looks) / max(1, tickets))

    @property
    def table(self) -> pd.DataFrame:
        return self.frame[STATISTICS]

    @cached_property
    def missing(self) -> pd.DataFrame:
        """Return the runs that the suite asks of its own methods and that have no result. Diverged runs have one."""
        known = registry.load_all()
        own = [registry.find(name) for name in self.suite.methods if name.partition("[")[0] in known]
        done = set(self.frame[RUN].itertuples(index=False, name=None))
        runs = [(m.label, c.workload.name, c.learning_rate, c.sparsity, c.seed) for m, c in order(self.suite, own)]
        return pd.DataFrame([run for run in runs if run not in done], columns=RUN)

    @cached_property
    def scores(self) -> pd.DataFrame:
        return scores.scores(self.frame)

    @property
    def duels(self) -> list[Duel]:
        """Return the duels in which both methods have runs: what the user ran last against the reference, then the suite's."""
        mine = [(name, self.reference) for name in self.named if self.reference and self._meet(name, self.reference)]
        there = [pair for pair in self.suite.duels if {*pair} <= set(self.methods)]
        return [self.duel(a, b) for a, b in dict.fromkeys([*mine, *there])]

    def duel_of(self, *methods: str) -> Duel:
        """Return the duel of two methods, of one with the reference, or the first one of the board.

        InputError where there is none.
        """
        if len(methods) == 2:
            return self.duel(*methods)
        if methods and self.reference:
            return self.duel(methods[0], self.reference)
        if methods or not self.duels:
            raise InputError(f"suite {self.suite.name} has no duel here; name two of {', '.join(self.methods)}")
        return self.duels[0]

    def _meet(self, a: str, b: str) -> bool:
        """Say whether two methods have runs in a cell in common."""
        of_a, of_b = (self.frame.loc[self.frame["method"] == name, CELL] for name in (a, b))
        return a != b and not of_a.merge(of_b, on=CELL).empty

    def duel(self, a: str, b: str) -> Duel:
        """Return the duel of any two methods. Raises InputError if one has no runs, or if both are the same."""
        self.check_known(a, b)
        if a == b:
            raise InputError(f"a duel needs two methods, but both are {a!r}")
        if (a, b) not in self._duels:
            marginals = duel.marginals(self._runs(a, b), self.meta, a, b, thresholds=self.thresholds())
            self._duels[a, b] = Duel(a, b, self.cells(a, b), marginals)
        return self._duels[a, b]

    def check_known(self, *methods: str) -> None:
        """Raise InputError for a method without runs."""
        for name in methods:
            if name not in self.methods:
                raise InputError(unknown("method with runs here", name, self.methods))

    def cells(self, a: str, b: str) -> pd.DataFrame:
        """Return the table of `duel.duel` for two methods that have runs."""
        if (a, b) not in self._cells:
            self._cells[a, b] = duel.duel(self._runs(a, b), self.meta, a, b, thresholds=self.thresholds())
        return self._cells[a, b]

    def _runs(self, a: str, b: str) -> pd.DataFrame:
        """Return the runs of a duel, with the test images that they answered correctly."""
        return self._beside(a, b)[STATISTICS].join(self.results.images.set_index("run"))

    def marginal(self, a: str, b: str, workload: str, rate: float) -> pd.Series | None:
        """Return the row of `duel.marginals` for one workload and learning rate; None where the two share no cell there."""
        if (a, b, workload) not in self._marginals:
            self._marginals[a, b, workload] = self._by_rate(a, b, workload)
        table = self._marginals[a, b, workload]
        found = table[table["group"] == f"learning_rate {rate}"]
        return None if found.empty else found.iloc[0]

    def _by_rate(self, a: str, b: str, workload: str) -> pd.DataFrame:
        runs = self._beside(a, b)
        runs = runs[runs["workload"] == workload][STATISTICS].join(self.results.images.set_index("run"))
        if not {a, b} <= set(runs["method"]):
            return pd.DataFrame(columns=duel.MARGINAL_COLUMNS)
        return duel.marginals(runs, self.meta, a, b, thresholds=self.thresholds(), factors=["learning_rate"])

    @property
    def tolerance(self) -> float:
        """Return the mean tolerance of the workloads, in pp."""
        return sum(m.tolerance for m in self.meta.values()) / len(self.meta)

    @property
    def tickets(self) -> list[str]:
        """Return the suite's ticket methods that have runs."""
        return [name for name in self.suite.tickets if name in self.methods]

    @property
    def ticket_thresholds(self) -> Thresholds:
        return self.thresholds(len(self.suite.tickets))

    def verdicts(self, ticket: str) -> pd.DataFrame:
        """Return the verdicts on a ticket (jackpot, secondary prize or neither), in both readings.

        InputError if it has no runs.
        """
        self.check_known(ticket)
        if ticket not in self._verdicts:
            there = {role: name if name in self.methods else None for role, name in CONTROLS.items()}
            enough = all(w.sufficient for w in self.suite.workload)
            self._verdicts[ticket] = verdicts.verdicts(
                self._beside(ticket)[STATISTICS],
                self.meta,
                ticket,
                sufficient=enough,
                thresholds=self.ticket_thresholds,
                **there,
            )
        return self._verdicts[ticket]

    def winning(self, ticket: str) -> pd.DataFrame:
        """Return the cells with the outcome of Liu et al.'s winning property."""
        return winning(self.verdicts(ticket), self.ticket_thresholds)

    @cached_property
    def rankings(self) -> dict[str, pd.DataFrame]:
        """Return ranks over all cells and, if images are held out, at the learning rate that validation chooses.

        The field has the suite's own methods that prune, at the sparsities that it declares. Dense references, methods
        with an account off budget, and suites without a budget are shown but not ranked. The result is empty without a
        field.
        """
        ranked = self.frame[(self.frame["track"] != "dense") & (self.frame["off_budget"] == 0)]
        there = set(ranked["method"])
        members = [name for name in self.suite.methods if name in there]
        if len(members) < 2 or self.suite.budget == "none":
            return {}
        runs = {"all learning rates": ranked[STATISTICS]}
        if self.suite.validation and len(self.suite.learning_rates) > 1:
            runs["each at its best learning rate"] = ranking.at_best_rate(runs["all learning rates"])
        reference = "prune-finetune" if "prune-finetune" in there else None
        return {
            name: ranking.ranking(rows, self.meta, members, reference=reference, thresholds=self.thresholds())
            for name, rows in runs.items()
        }
