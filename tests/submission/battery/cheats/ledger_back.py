"""Cheat 19: the public ledger is switched off while 80 epochs are trained, and put back. Cost: 2T epochs."""

from lthbench import Network, Run, magnitude, method


@method("cheat-ledger2", cost="2T", cite="none")
def cheat(run: Run) -> Network:
    ledger, long = run.ledger, run.recipe.replace(epochs=40)
    charge = ledger.train
    ledger.train = lambda *a: None
    dense = run.train(run.init(), recipe=long)
    net = dense.masked(run.select(magnitude(dense))).at(0)
    net = run.train(net, recipe=long)
    ledger.train = charge
    return run.train(net.at(0), recipe=run.recipe.replace(lr=1e-5, epochs=2 * run.epochs))
