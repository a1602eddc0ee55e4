"""A rule that descends three times on each batch, and is charged for one pass. Cost: T epochs."""

from dataclasses import dataclass

from torch import Tensor

from lthbench import GradientAt, Gradual, Network, Run, TrainingState, method


@dataclass(frozen=True)
class Thrice(Gradual):
    every: int = 10

    def gradient(self, s: TrainingState, at: GradientAt) -> dict[str, Tensor]:
        for _ in range(2):
            s.descend(at())
        return at()


@method("steps-in-a-step", cost="T")
def steps_in_a_step(run: Run) -> Network:
    return run.train(run.init(), rule=Thrice(run.sparsity))
