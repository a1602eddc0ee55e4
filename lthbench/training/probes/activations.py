"""What examples look like inside a network, as statistics of them."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from lthbench.errors import MethodError, unknown
from lthbench.pruning.tensors import Tensors
from lthbench.training.probes.probe import Batches


@dataclass(frozen=True)
class Activations:
    """Statistics of the outputs of a layer (a module, by name) over all examples and positions, in evaluation mode.

    `mean` [C], `square` [C] (the mean square) and `positive` [C] (the share above 0), C the layer's channels or neurons.
    Hu et al., 2016, arXiv:1607.03250, prune by 1 - positive.
    """

    layer: str
    passes: ClassVar[int] = 1
    version: ClassVar[int] = 2

    def __call__(self, model: nn.Module, mask: Tensors, batches: Batches) -> dict[str, Tensor]:
        layers = dict(model.named_modules())
        if self.layer not in layers:
            raise MethodError("Activations: " + unknown("layer", self.layer, filter(None, layers)))
        sums: list[Tensor] = []
        hook = layers[self.layer].register_forward_hook(lambda _module, _inputs, output: sums.append(_sums(output)))
        with torch.no_grad(), hook:
            for images, _ in batches():
                model.eval()(images)
        total = torch.stack(sums).sum(0)
        mean, square, positive = total[:3] / total[3]
        return {"mean": mean, "square": square, "positive": positive}


def _sums(output: Tensor) -> Tensor:
    """Sums of the values, of their squares and of those above 0, and how many there are: [4, C], float64."""
    values = output.double().transpose(0, 1).flatten(1)  # [C, examples and positions]
    count = torch.full(values.shape[:1], values.shape[1], dtype=torch.float64, device=values.device)
    return torch.stack([values.sum(1), values.square().sum(1), (values > 0).double().sum(1), count])
