"""The ledger of one run: the charges by phase, in training examples, and the rest of the budget.

The charge depends on the method's requests alone, never on the content of the store. It is the union of the steps on each
trajectory, and every distinct scoring or validation pass.
"""

import contextlib
from collections import defaultdict
from collections.abc import Iterator, Mapping

from lthbench.errors import OverBudget
from lthbench.training.clock import Clock

Interval = tuple[int, int]


class Ledger:
    """Accounts in examples. `n_train` examples are an epoch.

    Scoring and validation have an allowance of one epoch of their own. The excess counts against `budget` (in epochs; None
    for no limit). Accounts outside the budget are not limited.
    """

    def __init__(self, budget: float | None, n_train: int):
        self.n_train = n_train
        self.limit = None if budget is None else round(budget * n_train)
        self.charged: dict[str, int] = {"train": 0, "score": 0, "validate": 0}
        self.off_budget: dict[str, int] = {}
        self._account: str | None = None
        self._covered: dict[tuple[str | None, str], list[Interval]] = defaultdict(list)
        self._ended: dict[str, int] = {}
        self._passes: set[tuple[str | None, str]] = set()

    @property
    def spent(self) -> int:
        """Return the examples that count against the budget."""
        return spent(self.charged, self.n_train)

    @property
    def trained(self) -> int:
        """Return the examples of all trainings, also outside the budget."""
        return self.charged["train"] + sum(self.off_budget.values())

    @property
    def total(self) -> int:
        """Return the examples charged in all phases."""
        return sum(self.charged.values())

    @property
    def left(self) -> float:
        """Return the epochs that may still be trained; infinite without a budget."""
        return float("inf") if self.limit is None else (self.limit - self.spent) / self.n_train

    @contextlib.contextmanager
    def account(self, name: str) -> Iterator[None]:
        """Charge all work inside the context to an account of its own."""
        before, self._account = self._account, name
        self.off_budget.setdefault(name, 0)
        try:
            yield
        finally:
            self._account = before

    def train(self, trajectory: str, clock: Clock, start: int, stop: int, passes: int = 1) -> None:
        """Charge the steps of a trajectory that are not charged yet, `passes` for each of their examples.

        Raises OverBudget before anything is spent.
        """
        covered = self._covered[self._account, trajectory]
        new = _without((start, min(stop, self._ended.get(trajectory, stop))), covered)
        count = passes * sum(clock.examples(b) - clock.examples(a) for a, b in new)
        self._charge("train", count, f"training from step {start} to {stop}")
        covered.extend(new)

    def end(self, trajectory: str, clock: Clock, ended: int, stop: int, passes: int = 1) -> None:
        """Refund the charge beyond the step where the rule of a training ended it."""
        if ended >= stop:
            return
        self._ended[trajectory] = ended
        covered = self._covered[self._account, trajectory]
        beyond = passes * sum(clock.examples(b) - clock.examples(max(a, ended)) for a, b in covered if b > ended)
        covered[:] = [(a, min(b, ended)) for a, b in covered if a < ended]
        self._charge("train", -beyond, "")

    def measure(self, phase: str, key: str, examples: int) -> None:
        """Charge a pass over examples (phase score or validate), once for each distinct operation."""
        if (self._account, key) not in self._passes:
            self._charge(phase, examples, f"a {phase} pass over {examples} examples")
            self._passes.add((self._account, key))

    def _charge(self, phase: str, count: int, what: str) -> None:
        if self._account is not None:
            self.off_budget[self._account] += count
            return
        before = self.charged[phase]
        self.charged[phase] += count
        if count > 0 and self.limit is not None and self.spent > self.limit:
            over = self.spent
            self.charged[phase] = before
            raise OverBudget(
                f"over budget: {what} would bring the charge to {over / self.n_train:.6g} epochs, the budget is "
                f"{self.limit / self.n_train:.6g}; train less, or stop at run.left"
            )


def spent(charged: Mapping[str, int], n_train: int) -> int:
    """Return the examples that count against the budget: all training, and scoring and validation beyond one epoch."""
    return charged["train"] + max(0, charged["score"] + charged["validate"] - n_train)


def _without(interval: Interval, covered: list[Interval]) -> list[Interval]:
    """Return the parts of an interval that are not covered."""
    pieces = [interval] if interval[0] < interval[1] else []
    for low, high in covered:
        pieces = [p for a, b in pieces for p in ((a, min(b, low)), (max(a, high), b)) if p[0] < p[1]]
    return pieces
