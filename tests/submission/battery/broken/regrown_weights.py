"""Has a mask of the right count, and weights where it removes them."""

from dataclasses import dataclass

from lthbench import Network, Rule, Run, TrainingState, magnitude, method


@dataclass(frozen=True)
class Regrown(Rule):
    def finish(self, s: TrainingState) -> None:
        for name in s.prunable:
            s.params[name].add_(0.01)


@method("regrown-weights", cost="T")
def regrown_weights(run: Run) -> Network:
    net = run.init()
    return run.train(net.masked(run.select(magnitude(net))), rule=Regrown())
