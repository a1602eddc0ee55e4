"""The dense network on some of the training examples, for as many passes as cost T epochs of all examples.

The reference for a subnetwork that was found on those examples. Cost: at most T epochs.
Expect on wolfe2021-digits: 90.1 on 128 examples, 97.4 on 1,024, n = 5.
"""

from lthbench import Network, Run, method


@method("dense-few", cost="<= T", track="dense")
def dense_few(run: Run, examples: int = 100) -> Network:
    return run.train(
        run.init(), recipe=run.recipe.replace(examples=examples, epochs=run.epochs * run.examples // examples)
    )
