"""Training under ADMM, and the training under its mask from one of four starting points.

The weights of the ADMM training are θ_T, and the largest of them are the mask. `start`: init (the ticket), reinit, trained (the full
schedule again) or an epoch to rewind to. Liu et al., ICML 2021, arXiv:2102.11068. Cost: at most 2T epochs.
Expect on liu2021-digits at 90 %, learning rate 0.1: init 98.4 ± 0.2, reinit 97.8 ± 0.2, trained 98.4 ± 0.3, n = 5.
"""

from lthbench import ADMM, Network, Run, magnitude, method, starting_point


@method("admm-mask", cost="<= 2T", cite="Liu et al., ICML 2021, arXiv:2102.11068")
def admm_mask(run: Run, start: str = "init", rho: float = 1e-3, every: int = 100) -> Network:
    rule = ADMM(run.sparsity, rho, every)
    dense = run.train(run.init(), rule=rule)
    run.keep(trained=dense)
    return run.train(starting_point(run, start, rule=rule).masked(run.select(magnitude(dense))))
