"""Cheat 6: run.ledger is public: raise the limit, and clear what was charged. Cost: 2T epochs."""

from lthbench import Network, Run, magnitude, method


@method("cheat-ledger", cost="2T", cite="none")
def cheat(run: Run) -> Network:
    run.ledger.limit = 10**9
    dense = run.train(run.init(), recipe=run.recipe.replace(epochs=40))
    net = dense.masked(run.select(magnitude(dense)))
    out = run.train(net.at(0), recipe=run.recipe.replace(epochs=40))
    run.ledger.charged["train"] = int(2 * run.epochs * run.examples)
    return out
