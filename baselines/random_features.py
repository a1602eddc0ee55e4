"""Random features: neurons that stay as drawn, under a last layer that is trained.

By Malach et al., ICML 2020, arXiv:2002.00585, a subnetwork of neurons only matches them. Neurons are removed at random; with
a uniform allocation, as many as in edge-popup over neurons. Rahimi and Recht, NeurIPS 2007. Cost: T epochs.
Expect on malach2020-digits-equal, half removed, MLP 32 and 128, n = 5: 80.0 ± 1.7 and 95.0 ± 1.3.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from lthbench import Network, Rule, Run, TrainingState, method


@dataclass(frozen=True)
class LastLayer(Rule):
    """Training of the last layer alone."""

    def trained(self, s: TrainingState) -> dict[str, Tensor]:
        last = [*s.params][-1].rpartition(".")[0]
        return {name: p for name, p in s.params.items() if name.rpartition(".")[0] == last}


@method("random-features", cost="T", control_of="edge-popup", cite="Rahimi and Recht, NeurIPS 2007")
def random_features(run: Run, scheme: str = "signed-constant") -> Network:
    init, g = run.init(scheme=scheme), run.generator("features")
    drawn = {name: torch.rand(size, generator=g) for name, size in init.units.sizes.items()}
    return run.train(init.masked(run.select(drawn, units=init.units)), rule=LastLayer())
