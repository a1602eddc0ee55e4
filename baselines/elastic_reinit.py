"""The mask of an elastic ticket on another initialisation: does it need the weights of its source?

`source` and `rewind` as in elastic. Chen et al., NeurIPS 2021, arXiv:2103.16547. Cost: T epochs, and the source's ticket.
Expect on elastic-digits at 73.8 %, narrow ResNet-20: 97.6 ± 0.9, n = 5.
"""

from lthbench import Network, Run, Steps, global_mask, magnitude, method, transferred_to_depth


@method(
    "elastic-reinit",
    cost="T (+ source ticket)",
    control_of="elastic",
    cite="Chen et al., NeurIPS 2021, arXiv:2103.16547",
)
def elastic_reinit(run: Run, source: str | None = None, rewind: int = 0) -> Network:
    with run.off_budget("source ticket"):
        start = net = run.train(run.init(model=source), until=Steps(rewind))
        for sparsity in run.rounds():
            net = start.masked(global_mask(magnitude(run.train(net)), sparsity))
    ticket = transferred_to_depth(net, run.init())
    mask = run.select(magnitude(ticket), max(ticket.mask.sparsity, run.sparsity))
    return run.train(run.init(1).masked(mask))
