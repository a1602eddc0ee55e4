"""Batch-norm, sum and activation in four kernels a layer. torch takes seven for batch-norm in bf16 alone."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm

from lthbench.models.norm_act import ACTIVATIONS, one_by_one
from lthbench.training.kernels import batch_norm as kernels
from lthbench.training.kernels.batch_norm import MOST_CHUNKS, Grid

TYPES = (torch.float32, torch.bfloat16)


def norm_act(bn: nn.Module, maps: Tensor, shortcut: Tensor | None, activation: str) -> Tensor:
    """Return activation(bn(maps) + shortcut), and update the running statistics.

    What the kernels are not made for is computed by torch's operations.
    """
    if type(bn) is not nn.BatchNorm2d or not _possible(bn, maps, shortcut, activation):
        return one_by_one(bn, maps, shortcut, activation)
    if bn.num_batches_tracked is not None:
        bn.num_batches_tracked.add_(1)
    out: Tensor = NormAct.apply(maps, shortcut, bn.weight, bn.bias, bn, activation)
    return out


def _possible(bn: nn.BatchNorm2d, maps: Tensor, shortcut: Tensor | None, activation: str) -> bool:
    plain = bn.affine and bn.track_running_stats and bn.momentum is not None
    watched = bn._forward_hooks or bn._forward_pre_hooks or bn._backward_hooks or bn._backward_pre_hooks
    alike = shortcut is None or (
        shortcut.shape == maps.shape and shortcut.dtype == maps.dtype and activation != "relu6"
    )
    some = maps.dtype in TYPES and maps.numel() > maps.shape[1]  # one value a channel has no variance
    return plain and not watched and alike and some and not torch._C._are_functorch_transforms_active()


class NormAct(torch.autograd.Function):
    """activation(bn(maps) + shortcut). A second derivative is computed by torch's operations."""

    @staticmethod
    def forward(
        ctx: Any,
        maps: Tensor,
        shortcut: Tensor | None,
        weight: Tensor,
        bias: Tensor,
        bn: nn.BatchNorm2d,
        activation: str,
    ) -> Tensor:
        x, grid = _rows(maps), Grid(maps)
        other = x if shortcut is None else _rows(shortcut)
        partial = x.new_empty(2, grid.chunks, grid.channels, dtype=torch.float32)
        kept = weight.new_empty(2, grid.channels)
        y = torch.empty_like(x)
        with torch.cuda.device_of(x):
            kernels.statistics[grid.programs](x, partial, *grid.shape, **grid.blocks)
            kernels.normalise[grid.programs](
                x, other, weight, bias, partial, y, kept, bn.running_mean, bn.running_var, bn.momentum, bn.eps, *grid.shape,
                activation, shortcut is not None, **grid.blocks, CHUNKS=MOST_CHUNKS,
            )  # fmt: skip
        ctx.save_for_backward(maps, shortcut, weight, bias, kept, y if shortcut is not None and activation else None)
        ctx.activation, ctx.eps = activation, bn.eps
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = grads
        maps, shortcut, weight, bias, kept, y = ctx.saved_tensors
        if torch.is_grad_enabled():
            return *_differentiable(grad, maps, shortcut, weight, bias, ctx.eps, ctx.activation), None, None
        x, g, grid = _rows(maps), _rows(grad), Grid(maps)
        partial = x.new_empty(2, grid.chunks, grid.channels, dtype=torch.float32)
        to_x, to_weight, to_bias = torch.empty_like(x), torch.empty_like(weight), torch.empty_like(bias)
        apart = y is not None  # the gradient before the activation is written, for the shortcut, and read again
        before, left = (torch.empty_like(x), "") if apart else (g, ctx.activation)
        with torch.cuda.device_of(x):
            kernels.gradient_sums[grid.programs](
                g, x, y if apart else x, weight, bias, kept, partial, before, *grid.shape, ctx.activation, apart, **grid.blocks
            )  # fmt: skip
            kernels.gradients[grid.programs](
                before, x, weight, bias, kept, partial, to_x, to_weight, to_bias, *grid.shape, left, **grid.blocks,
                CHUNKS=MOST_CHUNKS,
            )  # fmt: skip
        return to_x, None if shortcut is None else before, to_weight, to_bias, None, None


def _rows(maps: Tensor) -> Tensor:
    return maps.detach().contiguous(memory_format=torch.channels_last)


def _differentiable(
    grad: Tensor, maps: Tensor, shortcut: Tensor | None, weight: Tensor, bias: Tensor, eps: float, activation: str
) -> tuple[Tensor | None, ...]:
    """Return the gradients by maps, shortcut, weight and bias, as functions that can be differentiated again."""
    apart = [None if t is None else t.view_as(t) for t in (maps, shortcut, weight, bias)]  # one may depend on another
    x, other, scale, added = apart
    out = batch_norm(x, None, None, scale, added, training=True, eps=eps)  # type: ignore[arg-type]
    out = out if other is None else out + other
    out = ACTIVATIONS[activation](out) if activation else out
    found = iter(torch.autograd.grad(out, [t for t in apart if t is not None], grad, create_graph=True))
    return tuple(None if t is None else next(found) for t in apart)
