"""An elastic ticket: the ticket of another depth, its blocks repeated or dropped until it fits.

The `source` (the cell's own model if none is named) gets its ticket by iterative magnitude pruning, rewound to `rewind`
steps; that is charged off budget. If the transferred ticket is less sparse than asked, its smallest weights are removed too; `drift` is
its sparsity before that, minus the sparsity asked for. The barrier is that between two orders of the data. Chen et al., NeurIPS 2021,
arXiv:2103.16547. Cost: at most T epochs, and the source's ticket, and the second order.
Expect on elastic-digits at 73.8 %, narrow ResNet-20: 98.0 ± 0.6 from ResNet-14, 97.6 ± 0.5 from ResNet-32, 98.0 ± 0.5 its own,
n = 5.
"""

from lthbench import Network, Run, Steps, global_mask, magnitude, method, transferred_to_depth


@method("elastic", cost="<= T (+ source ticket)", cite="Chen et al., NeurIPS 2021, arXiv:2103.16547")
def elastic(run: Run, source: str | None = None, rewind: int = 0) -> Network:
    with run.off_budget("source ticket"):
        start = net = run.train(run.init(model=source), until=Steps(rewind))
        for sparsity in run.rounds():
            net = start.masked(global_mask(magnitude(run.train(net)), sparsity))
    ticket = transferred_to_depth(net, run.init())
    reached = ticket.mask.sparsity
    run.note(drift=reached - run.sparsity)
    ticket = ticket.masked(run.select(magnitude(ticket), max(reached, run.sparsity)))
    final = run.train(ticket)
    with run.off_budget("second order"):
        run.barrier(orders=(final, run.train(ticket, order=1)))
    return final
