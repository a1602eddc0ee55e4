"""Edge-popup: accuracy without any weight training. Random weights stay as drawn; which of them remain is learned.

The same share of every layer remains. `edge-popup` chooses weights, `edge-popup-neurons` whole neurons or channels.
Ramanujan et al., CVPR 2020, arXiv:1911.13299; Malach et al., ICML 2020, arXiv:2002.00585. Cost: T epochs.
"""

from lthbench import EdgePopup, Network, NeuronPopup, Run, method

CITE = "Ramanujan et al., CVPR 2020, arXiv:1911.13299"


@method("edge-popup", cost="T", cite=CITE)
def edge_popup(run: Run, scheme: str = "signed-constant", scaled: bool = True) -> Network:
    return run.train(run.init(scheme=scheme), rule=EdgePopup(run.sparsity, scaled))


@method("edge-popup-neurons", cost="T", cite="Malach et al., ICML 2020, arXiv:2002.00585")
def edge_popup_neurons(run: Run, scheme: str = "signed-constant", scaled: bool = True) -> Network:
    return run.train(run.init(scheme=scheme), rule=NeuronPopup(run.sparsity, scaled))
