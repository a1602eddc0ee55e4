"""Plans: the operations of a suite, the shared ones, and the charges, before any work.

A plan equals the real run, except for a method that looks at a value or validates. From that point on, the plan of such
a method is "at most the budget".
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise

from lthbench.data import Manifest
from lthbench.methods.internals.setting import Setting
from lthbench.methods.registry import Method
from lthbench.runs.plan.planned_run import PlannedRun
from lthbench.runs.plan.planner import planned
from lthbench.runs.plan.totals import PlanTotals
from lthbench.suite import Cell, Suite


class Plan(PlanTotals):
    """All planned runs of a suite and their totals. A driver works from a plan."""

    def __init__(self, runs: Iterable[PlannedRun] = ()):
        super().__init__()
        self.runs: list[PlannedRun] = []
        for run in runs:
            self.add(run)

    def add(self, run: PlannedRun) -> None:
        super().add(run)
        self.runs.append(run)

    @property
    def stops(self) -> dict[str, list[int]]:
        """Return the steps at which each trajectory has to leave a state."""
        return {key: sorted(training.states) for key, training in self.trainings.items()}

    @property
    def users(self) -> Counter[str]:
        """Count the runs that need each state."""
        return Counter(key for run in self.runs for key in run.states)


def plan(suite: Suite, methods: Iterable[Method], manifests: Mapping[str, Manifest]) -> Plan:
    """Return the plan of a suite's runs, in the order in which they start."""
    return Plan(_planned(suite, order(suite, methods), manifests))


def outline(suite: Suite, methods: Iterable[Method], manifests: Mapping[str, Manifest]) -> PlanTotals:
    """Return the totals of the plan, computed from the runs of one seed alone."""
    totals = PlanTotals(suite.looks)
    for run in _planned(suite, order(suite.model_copy(update={"seeds": 1}), methods), manifests):
        totals.add(run)
    return totals


def order(suite: Suite, methods: Iterable[Method]) -> Iterator[tuple[Method, Cell]]:
    """Yield each method with each of its cells, look by look: the seeds of the first look come before all others.

    Dense references run once for each workload, learning rate and seed. Controls run where the suite marks them.
    """
    every = list(methods)
    for first, end in pairwise((0, *suite.looks)):
        for method in every:
            for cell in suite.cells(dense=method.track == "dense", control=method.control_of is not None):
                if first <= cell.seed < end:
                    yield method, cell


def _planned(
    suite: Suite, runs: Iterable[tuple[Method, Cell]], manifests: Mapping[str, Manifest]
) -> Iterator[PlannedRun]:
    return (planned(method, Setting(suite, cell, manifests[cell.workload.dataset])) for method, cell in runs)
