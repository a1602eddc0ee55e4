"""The activations of the examples inside a network."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from lthbench.errors import MethodError, unknown
from lthbench.pruning.tensors import Tensors
from lthbench.training.probes.probe import Batches


@dataclass(frozen=True)
class Activations:
    """The outputs `h` [m, …] of a layer (a module, by name) for every example, in evaluation mode, and the labels `y`
    [m]."""

    layer: str
    passes: ClassVar[int] = 1
    version: ClassVar[int] = 1

    def __call__(self, model: nn.Module, mask: Tensors, batches: Batches) -> dict[str, Tensor]:
        layers = dict(model.named_modules())
        if self.layer not in layers:
            raise MethodError("Activations: " + unknown("layer", self.layer, filter(None, layers)))
        found: list[Tensor] = []
        seen: list[Tensor] = []
        hook = layers[self.layer].register_forward_hook(lambda _module, _inputs, output: found.append(output))
        with torch.no_grad(), hook:
            for images, labels in batches():
                model.eval()(images)
                seen.append(labels)
        return {"h": torch.cat(found), "y": torch.cat(seen)}
