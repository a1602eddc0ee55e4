"""One-shot magnitude pruning ("OMP"), and the training under its mask from one of four starting points.

`start`: init (the ticket), reinit, trained (prune-and-fine-tune: the full schedule again) or an epoch to rewind to.
`pretrain_lr`: the learning rate of the dense training, if it is not that of the ticket. Liu et al., ICML 2021, arXiv:2102.11068;
Ma et al., NeurIPS 2021, arXiv:2107.00166. Cost: at most 2T epochs.
Expect on liu2021-digits at 90 %, learning rate 0.1: init 98.5 ± 0.2, reinit 97.5 ± 0.3, trained 98.2 ± 0.5, n = 5.
"""

from lthbench import Network, Run, magnitude, method, starting_point


@method("one-shot-mask", cost="<= 2T", at_zero="dense", cite="Ma et al., NeurIPS 2021, arXiv:2107.00166")
def one_shot_mask(run: Run, start: str = "init", pretrain_lr: float | None = None) -> Network:
    recipe = run.recipe.replace(lr=pretrain_lr or run.recipe.lr)
    dense = run.train(run.init(), recipe=recipe)
    run.keep(trained=dense)
    return run.train(starting_point(run, start, recipe).masked(run.select(magnitude(dense))))
