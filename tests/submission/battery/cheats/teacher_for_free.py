"""A rule that asks the dense network for its answers at every step, and is charged for its own pass alone. Cost: 2T epochs."""

from dataclasses import dataclass

from lthbench import Distillation, Network, Run, magnitude, method


@dataclass(frozen=True)
class Free(Distillation):
    passes: int = 1


@method("teacher-for-free", cost="2T")
def teacher_for_free(run: Run) -> Network:
    dense = run.train(run.init())
    ticket = dense.masked(run.select(magnitude(dense))).at(0)
    return run.train(ticket, rule=Free(), networks={"teacher": dense})
