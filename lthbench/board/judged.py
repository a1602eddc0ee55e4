"""A suite's records, judged: the tables behind a board, all computed from the records alone."""

from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from lthbench.board import scores
from lthbench.runs.records import Record, frame
from lthbench.scoring import duel, verdicts
from lthbench.scoring.contrast import Meta, Rules
from lthbench.scoring.correction import alpha_at
from lthbench.suite import Suite

STATISTICS = ["workload", "learning_rate", "sparsity", "method", "seed", "accuracy", "validation_accuracy"]


@dataclass(frozen=True)
class Judged:
    """A suite and its records."""

    suite: Suite
    records: tuple[Record, ...]

    @cached_property
    def frame(self) -> pd.DataFrame:
        return frame(self.records)

    @cached_property
    def meta(self) -> dict[str, Meta]:
        rows = self.frame.groupby("workload")[["classes", "n_test", "tolerance"]].max()
        return {str(w): Meta(int(r["classes"]), int(r["n_test"]), float(r["tolerance"])) for w, r in rows.iterrows()}

    @cached_property
    def seeds(self) -> int:
        return self.frame["seed"].nunique()

    @property
    def methods(self) -> list[str]:
        """Those that have records: the suite's own first, in its order."""
        return list(
            dict.fromkeys([*(m for m in self.suite.methods if m in set(self.frame["method"])), *self.frame["method"]])
        )

    @property
    def duels(self) -> list[tuple[str, str]]:
        """The suite's pairs of which both have records."""
        there = set(self.methods)
        return [(a, b) for a, b in self.suite.duels if {a, b} <= there]

    def rules(self, tickets: int = 1) -> Rules:
        """The rules at this number of seeds: alpha is what the declared looks leave, shared by the suite's ticket methods."""
        return Rules(alpha=alpha_at(self.seeds, self.suite.looks) / max(1, tickets))

    @property
    def table(self) -> pd.DataFrame:
        return self.frame[STATISTICS]

    @cached_property
    def scores(self) -> pd.DataFrame:
        return scores.scores(self.frame)

    def duel(self, a: str, b: str) -> pd.DataFrame:
        """Cell by cell."""
        return duel.duel(self.table, self.meta, a, b, rules=self.rules())

    def margins(self, a: str, b: str) -> pd.DataFrame:
        """Overall, and by workload, learning rate and sparsity."""
        return duel.margins(self.table, self.meta, a, b, rules=self.rules())

    def verdicts(self, ticket: str) -> pd.DataFrame:
        """Jackpot, secondary prize or neither, in both readings."""
        there = set(self.methods)
        controls = {"dense": "dense", "reinit": "random-reinit", "small": "small-dense"}
        named = {role: name if name in there else None for role, name in controls.items()}
        sufficient = all(w.sufficient for w in self.suite.workload)
        rules = self.rules(len(self.suite.tickets))
        return verdicts.verdicts(self.table, self.meta, ticket, sufficient=sufficient, rules=rules, **named)
