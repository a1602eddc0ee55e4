"""One optimizer step on tensors of one device.

A step never looks at a value, never waits for the device, and changes tensors in place. The same sequence of operations
therefore serves every step of a training, and a CUDA graph can hold it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lthbench.errors import MethodError, unknown
from lthbench.pruning.state import in_weights
from lthbench.pruning.tensors import Tensors, mapped
from lthbench.training.identity import by_author
from lthbench.training.kernels.forward import Forward, by_torch
from lthbench.training.kernels.program import computing, forward
from lthbench.training.numerics import Casts, precision
from lthbench.training.optimizer import optimizer
from lthbench.training.rules import Rule, TrainingState, overrides
from lthbench.training.rules.checks import check_gradient, check_in_place, check_returned
from lthbench.training.shards import Part, Shards
from lthbench.training.trajectory import Trajectory

DIFFERENTIATING = ("weights", "loss", "penalty", "gradient")  # hooks that may differentiate by the weights themselves


class Step:
    """The forward pass, the backward pass, the optimizer and the mask, with the hooks of a rule.

    `current` is the training that it changes, `shown` what the hooks may look at, `networks` what they may ask for logits.
    `seen` counts examples, once for each forward pass. `loss` is the sum of the losses of examples, without a penalty, since
    it was last set to zero.
    """

    def __init__(
        self,
        trajectory: Trajectory,
        module: nn.Module,
        current: TrainingState,
        devices: Sequence[torch.device] = (),
        networks: Mapping[str, nn.Module] = MappingProxyType({}),
    ):
        self.optimizer = optimizer(trajectory.recipe)
        self.recipe, self.module, self.current, self.networks = trajectory.recipe, module, current, networks
        current._logits, current._descend = self._logits, self._descend
        self.shown: Any = current
        self.seen = 0  # examples
        self.loss = torch.zeros((), dtype=torch.float64, device=current.lr.device)
        self.rule, self.basis = trajectory.rule or Rule(), trajectory.start.basis
        self.trained = {name: t.requires_grad_() for name, t in self.rule.trained(current).items()}
        self._penalised, self._own_weights, self._updates = (
            overrides(trajectory.rule, hook) for hook in ("penalty", "weights", "update")
        )
        self.factors = {} if self._own_weights else self._factors()
        self.casts = Casts(module, self.trained) if casts_ahead(trajectory, current.lr.device) else None
        self.forward = _forwards(trajectory, current.lr.device)(module)
        self.shards = _shards(trajectory, module, devices or [current.lr.device])

    def __call__(self, images: Tensor, labels: Tensor, rate: Tensor) -> None:
        """Do one step on images [B, C, H, W] and labels [B], at a learning rate that is a scalar on the device."""
        current = self.current
        current.lr.copy_(rate)
        state = dict(current.state)
        images, labels = check_returned(self.rule, "batch", self.rule.batch(self.shown, images, labels))
        with torch.no_grad():
            grads = self.rule.gradient(self.shown, Gradient(self, images, labels))
            current.grads.update(zip(self.trained, check_gradient(self.rule, grads, self.trained), strict=True))
            self.rule.update(self.shown, current.grads)
            if self._updates:
                self._remove()
        check_in_place(self.rule, state, current.state)

    def remask(self) -> None:
        """Apply a mask that has changed."""
        for name, factor in self.factors.items():
            factor.copy_(self.current.mask[name])

    def gradient(self, images: Tensor, labels: Tensor, first: bool = True) -> list[Tensor]:
        """Return the gradient of the loss by the trained tensors, in their order: one pass. The `first` one adds its loss."""
        self.seen += len(images)
        counted = len(images) * first
        if self.shards is not None:
            return self._averaged(self.shards, images, labels, counted)
        loss = self._loss(self._forward(images), labels, images)
        self._add(loss, counted)
        return self._by_trained(self._with_penalty(loss))

    def _averaged(self, shards: Shards, images: Tensor, labels: Tensor, counted: int) -> list[Tensor]:
        """Return the gradients of the mean over the parts of the batch."""
        sums: list[Tensor] = []
        for loss, grads in shards.each(self._of_part, images, labels):
            self._add(loss.to(self.loss.device), counted)
            if sums:
                torch._foreach_add_(sums, grads)
            else:
                sums = grads
        return sums

    def _of_part(self, part: Part) -> tuple[Tensor, list[Tensor]]:
        """Return what a part of the batch adds to the loss and to the gradients. The first one adds the penalty's."""
        weights = part.there(dict(self.module.named_parameters()) | self._weights())
        logits = part.forward(weights | part.buffers, part.images)
        loss = part.share * self._loss(logits, part.labels, part.images)
        return loss.detach(), self._by_trained(self._with_penalty(loss) if part.first else loss)

    def _loss(self, logits: Tensor, labels: Tensor, images: Tensor) -> Tensor:
        return check_returned(self.rule, "loss", (self.rule.loss(self.shown, logits, labels, images),))[0]

    def _add(self, loss: Tensor, examples: int) -> None:
        """Add the mean loss of some examples to the sum, on the device."""
        self.loss.add_(loss.detach(), alpha=examples)

    def _with_penalty(self, loss: Tensor) -> Tensor:
        return loss + self.rule.penalty(self.shown) if self._penalised else loss

    def _by_trained(self, loss: Tensor) -> list[Tensor]:
        if self.casts is None:
            return list(torch.autograd.grad(loss, list(self.trained.values())))
        return self.casts.widened(self.trained, torch.autograd.grad(loss, self.casts.sources(self.trained)))

    def _forward(self, images: Tensor) -> Tensor:
        weights = self._weights() if self.casts is None else self.casts.refreshed()
        return self.forward(weights, images)

    def _logits(self, images: Tensor, weights: Tensors | None, network: str | None) -> Tensor:
        """Return the logits of a network that a hook asks for. The running statistics stay as they are."""
        self.seen += len(images)
        if network is not None and network not in self.networks:
            raise MethodError(
                f"s.forward: {unknown('network', network, self.networks)} Name it in run.train(networks=…)"
            )
        module = self.module if network is None else self.networks[network]
        own = {**self._weights(), **mapped(Tensor.clone, dict(module.named_buffers()))} if network is None else {}
        there = images.to(self.current.lr.device)
        logits: Tensor = functional_call(module, {**own, **(weights or {})}, (there,))
        return logits.to(images.device)

    def _descend(self, grads: Tensors) -> None:
        """Move the trained tensors by the optimizer."""
        with torch.no_grad():
            in_order = [grads[name] for name in self.trained]
            self.optimizer.update(self.trained, in_order, self.current.slots, self.factors, self.current.lr)

    def _remove(self) -> None:
        """Set the weights that the mask removes to zero."""
        for name in self.factors:
            self.trained[name].masked_fill_(~self.current.mask[name], 0.0)

    def _weights(self) -> dict[str, Tensor]:
        """Return the weights that the module computes with, if they are not its own."""
        if self.basis is None and not self._own_weights:
            return {}
        return dict(in_weights(self.basis, self.rule.weights(self.shown), self.current.prunable))

    def _factors(self) -> dict[str, Tensor]:
        """Return masks as factors of the gradient: removed weights are zero and stay zero.

        There is no factor for a tensor that is whole and, as no rule has a hook between steps, stays so. A rule with
        weights of its own masks them itself.
        """
        masks = self.current.mask.items()
        lacking = {name: mask for name, mask in masks if self.rule.every or not mask.all()}
        return {n: torch.empty_like(t).copy_(lacking[n]) for n, t in self.trained.items() if n in lacking}


class Gradient:
    """The gradient of the loss of one batch, at the values that a rule asks for: the `at` of Rule.gradient.

    The first pass updates the running statistics, and later ones leave them as they are.
    """

    def __init__(self, step: Step, images: Tensor, labels: Tensor):
        self._step, self._batch, self._first = step, (images, labels), True

    def __call__(self, values: Tensors | None = None) -> dict[str, Tensor]:
        first, self._first = self._first, False
        with self._moved(values or {}), self._statistics_kept(first), torch.enable_grad():
            return dict(zip(self._step.trained, self._step.gradient(*self._batch, first), strict=True))

    @contextmanager
    def _moved(self, values: Tensors) -> Iterator[None]:
        """Give the trained tensors other values inside the context, without the weights that the mask removes."""
        before = {name: self._step.trained[name].clone() for name in values}
        for name in before:
            self._step.trained[name].copy_(values[name] * self._step.factors.get(name, 1))
        yield
        for name, t in before.items():
            self._step.trained[name].copy_(t)

    @contextmanager
    def _statistics_kept(self, first: bool) -> Iterator[None]:
        buffers = [] if first else [(b, b.clone()) for b in self._step.module.buffers()]
        yield
        for buffer, before in buffers:
            buffer.copy_(before)


def _forwards(trajectory: Trajectory, device: torch.device) -> Callable[[nn.Module], Forward]:
    """Return what makes the forward pass of a module. Under an author's rule, its operations must be such as can be counted."""
    return by_torch if by_author(trajectory.rule) else partial(forward, device=device)


def _shards(trajectory: Trajectory, module: nn.Module, devices: Sequence[torch.device]) -> Shards | None:
    """Return the parts of a batch, if there are several. The hooks of an author's rule are called by one thread alone."""

    @contextmanager
    def numerics(device: torch.device) -> Iterator[None]:
        with precision(trajectory.precision, device), computing(device):
            yield

    if (count := trajectory.recipe.shards) == 1:
        return None
    forwards = _forwards(trajectory, devices[0])
    return Shards(module, count, devices, forwards, None if by_author(trajectory.rule) else numerics)


def casts_ahead(trajectory: Trajectory, device: torch.device) -> bool:
    """Tell whether a training casts its weights ahead: in bf16 on a GPU, where the loss alone depends on them.

    On a CPU a training has the bits that autocast gives it.
    """
    plain = not any(overrides(trajectory.rule, hook) for hook in DIFFERENTIATING)
    alone = trajectory.start.basis is None and trajectory.recipe.shards == 1
    return device.type == "cuda" and trajectory.precision == "bf16" and plain and alone
