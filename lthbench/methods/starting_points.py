"""Starting points of the training under a mask: the arms of Liu et al. 2021 (arXiv:2102.11068) and Ma et al. 2021
(arXiv:2107.00166)."""

import re

from lthbench.errors import MethodError
from lthbench.methods.network import Network
from lthbench.methods.run import Run
from lthbench.training.recipe import Recipe
from lthbench.training.rules import Rule


def starting_point(run: Run, where: str, recipe: Recipe | None = None, rule: Rule | None = None) -> Network:
    """Return the network to put a mask on, by name. `recipe` and `rule` are those of the pre-training.

    `init`: θ_0, for a ticket. `reinit`: θ_0', another draw; `reinit-2`, `reinit-3`, …: further draws. `trained`: θ_T at
    epoch 0 of the schedule, for prune-and-fine-tune. A number k: θ_k at epoch k, for rewinding. Raises MethodError for any other name.
    """
    if where == "init":
        return run.init()
    if found := re.fullmatch(r"reinit(?:-([1-9]\d*))?", where):
        return run.init(int(found[1] or 1))
    if where == "trained":
        return run.train(run.init(), recipe=recipe, rule=rule).at(0)
    if where.isdigit():
        return run.train(run.init(), until=int(where), recipe=recipe, rule=rule)
    raise MethodError(f"start = {where!r}: write init, reinit, reinit-2, trained, or the epoch to rewind to")
