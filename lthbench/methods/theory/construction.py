"""A target network inside a random one of twice its depth: every target weight is made of random weights by pruning.

The weight w from input x to output j becomes Σ v_k relu(u_k x) over some of the random neurons k that are left to x alone:
those with u_k > 0 make w relu(x), those with u_k < 0 make −w relu(−x), each where Σ v_k u_k is near w. Which neurons j
reads is all that is chosen. Malach et al., ICML 2020, arXiv:2002.00585 (one neuron, the best of many); Pensia et al.,
NeurIPS 2020, arXiv:2006.07990 (a subset sum of few).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lthbench.errors import MethodError
from lthbench.methods.network import Network
from lthbench.models import Model
from lthbench.models.renamed import PREFIX
from lthbench.pruning.mask import Mask

Choose = Callable[[Tensor, Tensor], Tensor]
"""Of candidates [P, n] and targets [P], which candidates to add up: boolean [P, n]."""


@dataclass(frozen=True)
class Approximation:
    """A mask of the random network; `errors`: of every target weight, for either sign of its input, |Σ v_k u_k − w|."""

    mask: Mask
    errors: Tensor

    @property
    def kept(self) -> int:
        """How many random weights are left."""
        return self.mask.prunable - self.mask.removed


def doubled(model: Model, candidates: int) -> Model:
    """The random network for a target MLP: 2 x `candidates` neurons for every input of every layer, about half of which
    have a positive weight. MethodError for a model that is no MLP."""
    prefix = PREFIX if model.name.startswith(PREFIX) else ""
    if model.name.removeprefix(prefix).partition("-")[0] != "mlp":
        raise MethodError(f"the construction is of mlp-W1-W2-… networks, not of {model.name}")
    inputs = [shape[1] for shape in model.prunable_shapes.values()]
    widths = [width for size in inputs for width in (size, 2 * candidates * size)][1:]
    return replace(model, name=prefix + "-".join(["mlp", *map(str, widths)]), width=1.0)


def approximated(target: Network, random: Network, candidates: int, choose: Choose) -> Approximation:
    """The mask with which `random`, a network of `doubled(target.model, candidates)`, computes nearly what `target` does.

    Biases must be 0 in both: they are not pruned. Of the neurons of an input, at most `candidates` of each sign are used.
    """
    biases = [name for net in (target, random) for name, t in net.params.items() if "bias" in name and t.any()]
    if biases:
        raise MethodError(
            f"the construction knows no biases, but {', '.join(biases)} is not 0; train the weights alone"
        )
    names, random_weights = iter(random.prunable), random.prunable
    masks, errors = {}, []
    for layer, weight in enumerate(target.prunable.values()):
        first, second = next(names), next(names)
        pair = random_weights[first], random_weights[second]
        masks[first], masks[second] = torch.zeros(pair[0].shape).bool(), torch.zeros(pair[1].shape).bool()
        for sign in (1, -1)[: 1 if layer else 2]:  # behind a ReLU no input is negative
            keep, error = _layer(weight, *pair, candidates, sign, choose)
            masks[second] |= keep
            errors.append(error)
        masks[first] |= _own(pair[0], masks[second].any(0))
    return Approximation(Mask(masks), torch.cat(errors))


def _layer(
    weight: Tensor, first: Tensor, second: Tensor, candidates: int, sign: int, choose: Choose
) -> tuple[Tensor, Tensor]:
    """What of `second` remains for one sign of the inputs, and the error of every weight [outputs x inputs]."""
    outputs, inputs = weight.shape
    block = len(first) // inputs  # neurons of an input
    u = first.view(inputs, block, inputs).diagonal(dim1=0, dim2=2).T  # [inputs, block]
    v = second.view(outputs, inputs, block)
    mine = (u * sign <= 0).to(torch.uint8).argsort(dim=1, stable=True)[:, :candidates]  # those of this sign first
    numbers = (u.double() * (u * sign > 0)).gather(1, mine) * v.double().gather(2, mine.expand(outputs, -1, -1))
    chosen = choose(numbers.flatten(0, 1), weight.double().flatten()).view_as(numbers) & (numbers != 0)
    error = ((numbers * chosen).sum(2) - weight).abs().flatten()
    keep = torch.zeros(v.shape, dtype=torch.bool).scatter_(2, mine.expand(outputs, -1, -1), chosen)
    return keep.view(second.shape), error


def _own(first: Tensor, used: Tensor) -> Tensor:
    """The weight of every used neuron to the input that it is left to: [neurons, inputs]."""
    inputs = first.shape[1]
    own = torch.arange(len(first)) // (len(first) // inputs)
    return used[:, None] & (own[:, None] == torch.arange(inputs))
