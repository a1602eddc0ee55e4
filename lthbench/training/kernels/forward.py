"""The forward pass of a training: a function from weights and images to logits."""

from collections.abc import Callable

from torch import Tensor, nn
from torch.func import functional_call

from lthbench.pruning.tensors import Tensors

Forward = Callable[[Tensors, Tensor], Tensor]
"""A function from weights by name and images [B, C, H, W] to logits [B, classes]. What is not named is the module's own."""


def by_torch(module: nn.Module) -> Forward:
    """Return the forward pass of a module by torch's own operations."""

    def forward(weights: Tensors, images: Tensor) -> Tensor:
        logits: Tensor = functional_call(module, dict(weights), (images,)) if weights else module(images)
        return logits

    return forward
