"""The running statistics of batch-norm, taken again on the training examples."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from lthbench.pruning.tensors import Tensors
from lthbench.training.probes.probe import Batches, logits_of, set_mode


@dataclass(frozen=True)
class BatchStatistics:
    """The mean over batches of the mean and the variance of every batch-norm layer's input, by buffer name.

    As torch.optim.swa_utils.update_bn computes them. Izmailov et al., UAI 2018, arXiv:1803.05407.
    """

    passes: ClassVar[int] = 1
    version: ClassVar[int] = 1

    def __call__(self, model: nn.Module, mask: Tensors, batches: Batches) -> dict[str, Tensor]:
        set_mode(model, True)
        for layer in model.modules():
            if isinstance(layer, _BatchNorm):
                layer.reset_running_stats()
                layer.momentum = None  # the mean over all batches
        with torch.no_grad():
            for images, _ in batches():
                logits_of(model, images)
        return {name: b for name, b in model.named_buffers() if name.endswith(("running_mean", "running_var"))}
