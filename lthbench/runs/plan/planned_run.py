"""What one run will ask for, as plain data."""

import math
from dataclasses import dataclass, field

from lthbench.methods.registry import Method
from lthbench.runs.records.run_id import RunId
from lthbench.suite import Cell


@dataclass(frozen=True, slots=True)
class Step:
    """One operation that a run asks for: a key, and for a training its trajectory, from where to where."""

    kind: str
    key: str
    size: int = 0  # bytes of what it leaves in the store
    charged: float = 0.0  # epochs that are charged to the run with it and what came before
    work: float = 0.0  # of one that trains nothing: the epochs of training that take as long
    trajectory: str = ""
    start: int = 0
    stop: int = 0
    epoch: float = 1.0  # steps in which as many examples are seen as there are

    @property
    def operation(self) -> str:
        """What workers do: a trajectory is one operation, with all its stops."""
        return self.trajectory or self.key


@dataclass(slots=True)
class PlannedRun:
    """What one run will ask for. `complete`: it never looks at a value; `refused`: why it will not start."""

    method: Method
    cell: Cell
    steps: list[Step] = field(default_factory=list)
    charge: float = 0.0  # epochs
    complete: bool = True
    refused: str | None = None
    most: float = math.inf  # epochs that it may spend, where the plan is not complete
    tensors: dict[str, int] = field(default_factory=dict)  # bytes of the masks and weights that it makes, by digest
    final: int = 0  # bytes of what stays with --keep finals

    @property
    def run_id(self) -> RunId:
        """Which run it is."""
        cell = self.cell
        return RunId(self.method.label, cell.workload.name, cell.learning_rate, cell.sparsity, cell.seed)

    @property
    def states(self) -> set[str]:
        """The keys of the states that it needs."""
        return {step.key for step in self.steps if step.trajectory}
