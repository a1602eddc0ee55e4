"""The operations that one run will ask for, as plain data."""

import math
from dataclasses import dataclass, field

from lthbench.methods.registry import Method
from lthbench.runs.records.run_id import RunId
from lthbench.suite import Cell


@dataclass(frozen=True, slots=True)
class Step:
    """One operation that a run asks for: its key and, for a training, the trajectory and the steps."""

    kind: str
    key: str
    size: int = 0  # bytes that it leaves in the store
    charged: float = 0.0  # epochs charged to the run up to and including this step
    work: float = 0.0  # of a step that trains nothing: the epochs of training that take as long
    trajectory: str = ""
    start: int = 0
    stop: int = 0
    epoch: float = 1.0  # steps in an epoch

    @property
    def operation(self) -> str:
        """Return the key of the operation that workers do. A trajectory is one operation, with all its stops."""
        return self.trajectory or self.key


@dataclass(slots=True)
class PlannedRun:
    """The operations that one run will ask for.

    `complete`: the method never looks at a value. `refused`: the reason why the run will not start.
    """

    method: Method
    cell: Cell
    steps: list[Step] = field(default_factory=list)
    charge: float = 0.0  # epochs
    complete: bool = True
    refused: str | None = None
    most: float = math.inf  # epochs that it may spend, where the plan is not complete
    tensors: dict[str, int] = field(default_factory=dict)  # bytes of the masks and weights that it makes, by digest
    final: int = 0  # bytes that stay with --keep finals

    @property
    def run_id(self) -> RunId:
        """Return the identity of the run."""
        cell = self.cell
        return RunId(self.method.label, cell.workload.name, cell.learning_rate, cell.sparsity, cell.seed)

    @property
    def states(self) -> set[str]:
        """Return the keys of the states that the run needs."""
        return {step.key for step in self.steps if step.trajectory}
