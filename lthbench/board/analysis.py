"""A suite's results, judged: the tables behind a board, all computed from the records alone."""

from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd

from lthbench.board import scores
from lthbench.errors import InputError, unknown
from lthbench.runs.records.tables import Results
from lthbench.scoring import duel, ranking, verdicts
from lthbench.scoring.contrast import Meta, Thresholds
from lthbench.scoring.correction import alpha_at
from lthbench.scoring.winning import winning
from lthbench.suite import Suite

STATISTICS = ["workload", "learning_rate", "sparsity", "method", "seed", "accuracy", "validation_accuracy"]
CONTROLS = {"dense": "dense", "reinit": "random-reinit", "small": "small-dense"}


@dataclass(frozen=True)
class Duel:
    """Two methods, cell by cell (`duel.CELL_COLUMNS`) and over cells (`duel.MARGIN_COLUMNS`). Differences are a - b in pp."""

    a: str
    b: str
    cells: pd.DataFrame
    marginals: pd.DataFrame


@dataclass(frozen=True)
class Analysis:
    """A suite and its results."""

    suite: Suite
    results: Results
    _duels: dict[tuple[str, str], Duel] = field(default_factory=dict, repr=False, compare=False)
    _verdicts: dict[str, pd.DataFrame] = field(default_factory=dict, repr=False, compare=False)

    @property
    def frame(self) -> pd.DataFrame:
        """The runs that count, a row each."""
        return self.results.scored

    @cached_property
    def meta(self) -> dict[str, Meta]:
        columns = ["classes", "n_test", "tolerance"]
        rows = self._beside().groupby("workload")[columns].max()
        rows = rows.combine_first(self.frame.groupby("workload")[columns].max())  # where the suite's own have no runs
        return {str(w): Meta(int(r["classes"]), int(r["n_test"]), float(r["tolerance"])) for w, r in rows.iterrows()}

    @cached_property
    def seeds(self) -> int:
        return self._beside()["seed"].nunique() or self.frame["seed"].nunique()

    @cached_property
    def methods(self) -> list[str]:
        """Those that have runs: the suite's own first, in its order."""
        there = self.frame["method"].unique().tolist()
        return list(dict.fromkeys([*(m for m in self.suite.methods if m in there), *sorted(there)]))

    def _beside(self, *methods: str) -> pd.DataFrame:
        """Return the runs of the suite's own methods and of these: a new row moves no old one."""
        return self.frame[self.frame["method"].isin([*self.suite.methods, *methods])]

    def thresholds(self, tickets: int = 1) -> Thresholds:
        """The thresholds at this number of seeds: alpha is what the declared looks leave, shared by the suite's ticket methods."""
        return Thresholds(alpha=alpha_at(self.seeds, self.suite.looks) / max(1, tickets))

    @property
    def table(self) -> pd.DataFrame:
        return self.frame[STATISTICS]

    @cached_property
    def scores(self) -> pd.DataFrame:
        return scores.scores(self.frame)

    @property
    def duels(self) -> list[Duel]:
        """The suite's pairs of which both have runs."""
        return [self.duel(a, b) for a, b in self.suite.duels if {a, b} <= set(self.methods)]

    def duel(self, a: str, b: str) -> Duel:
        """Any two methods. InputError if one has no runs, or if they are one."""
        for name in (a, b):
            if name not in self.methods:
                raise InputError(unknown("method with runs here", name, self.methods))
        if a == b:
            raise InputError(f"a duel needs two methods, but both are {a!r}")
        if (a, b) not in self._duels:
            runs = self._beside(a, b)[STATISTICS].join(self.results.images.set_index("run"))
            cells, marginals = (
                f(runs, self.meta, a, b, thresholds=self.thresholds()) for f in (duel.duel, duel.marginals)
            )
            self._duels[a, b] = Duel(a, b, cells, marginals)
        return self._duels[a, b]

    @property
    def tickets(self) -> list[str]:
        """The suite's ticket methods that have runs."""
        return [name for name in self.suite.tickets if name in self.methods]

    @property
    def ticket_thresholds(self) -> Thresholds:
        return self.thresholds(len(self.suite.tickets))

    def verdicts(self, ticket: str) -> pd.DataFrame:
        """Jackpot, secondary prize or neither, in both readings."""
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
        """Where Liu et al.'s winning property holds."""
        return winning(self.verdicts(ticket), self.ticket_thresholds)

    @cached_property
    def rankings(self) -> dict[str, pd.DataFrame]:
        """Ranks over all cells and, where images are held out, at the rate that validation chooses. Empty without a field.

        The field are the suite's own methods that prune, at the sparsities that it declares; dense references, methods with
        an account apart, and suites without a budget are shown but not ranked.
        """
        ranked = self.frame[(self.frame["track"] != "dense") & (self.frame["off_budget"] == 0)]
        there = set(ranked["method"])
        members = [name for name in self.suite.methods if name in there]
        if len(members) < 2 or self.suite.budget == "none":
            return {}
        runs = {"all learning rates": ranked[STATISTICS]}
        if self.suite.validation and len(self.suite.learning_rates) > 1:
            runs["each at its best rate"] = ranking.at_best_rate(runs["all learning rates"])
        reference = "prune-finetune" if "prune-finetune" in there else None
        return {
            name: ranking.ranking(rows, self.meta, members, reference=reference, thresholds=self.thresholds())
            for name, rows in runs.items()
        }
