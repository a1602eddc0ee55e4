"""Edge-popup: accuracy without any weight training. Random weights stay as drawn, and training chooses among them.

The same share of every layer remains; with `neurons`, whole neurons or channels (Malach et al., ICML 2020,
arXiv:2002.00585). Ramanujan et al., CVPR 2020, arXiv:1911.13299. Cost: T epochs.
Expect on digits, MLP 128, half removed: 97.1 ± 0.6, neurons 19.2 ± 5.3, the trained network 98.4 ± 0.6, n = 3.
"""

from lthbench import EdgePopup, Network, NeuronPopup, Run, method


@method("edge-popup", cost="T", cite="Ramanujan et al., CVPR 2020, arXiv:1911.13299")
def edge_popup(run: Run, scheme: str = "signed-constant", scaled: bool = True, neurons: bool = False) -> Network:
    popup = NeuronPopup if neurons else EdgePopup
    return run.train(run.init(scheme=scheme), rule=popup(run.sparsity, scaled))
