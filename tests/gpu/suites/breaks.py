"""Break the CUDA context of the worker, once in a run. Cost: T epochs."""

import ctypes
import os
from dataclasses import dataclass
from pathlib import Path

from lthbench import Network, Rule, Run, TrainingState, method


@dataclass(frozen=True)
class Breaking(Rule):
    """An illegal address, on the GPU on paper, in the first training that comes here."""

    every: int = 5

    def after_step(self, s: TrainingState) -> None:
        broken = Path(os.environ["LTHBENCH_BROKEN"])
        if not broken.exists():
            broken.touch()
            ctypes.CDLL(os.environ["PAPER_SO"]).paper_break()


@method("breaks", cost="T", at_zero="dense")
def breaks(run: Run) -> Network:
    net = run.train(run.init(), rule=Breaking())
    return net.masked(run.select({n: w.abs() for n, w in net.prunable.items()}))
