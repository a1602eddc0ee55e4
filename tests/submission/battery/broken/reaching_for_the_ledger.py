"""Imports the machinery behind its run, to raise the limit of the ledger."""

from lthbench import Network, Run, magnitude, method
from lthbench.methods.internals.context import context_of


@method("reaching-for-the-ledger", cost="2T", at_zero="dense")
def reaching_for_the_ledger(run: Run) -> Network:
    context_of(run).ledger.limit = None
    init = run.init()
    return run.train(init.masked(run.select(magnitude(run.train(init)))))
