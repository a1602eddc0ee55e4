"""Reads the images that ship with scikit-learn, test ones and all."""

from sklearn.datasets import load_digits

from lthbench import Network, Run, magnitude, method


@method("peeking-at-the-file", cost="T")
def peeking_at_the_file(run: Run) -> Network:
    load_digits()
    init = run.init()
    return run.train(init.masked(run.select(magnitude(init))))
