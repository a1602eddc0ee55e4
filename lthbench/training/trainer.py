"""The reference trainer: one network, one step after another, in the order in which a reader would write it down.

Its result is a function of the trajectory alone. Training from 0 to k and from k to T gives the same bits as training
from 0 to T, because everything random is drawn from (seed, order, step) and everything that a step needs is in the state.
"""

import copy
from collections.abc import Callable, Iterable
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call

from lthbench import keys
from lthbench.pruning.allocate import ALLOCATIONS
from lthbench.pruning.state import State, in_weights, module_of
from lthbench.pruning.tensors import Tensors, copies, mapped
from lthbench.training.augment import AUGMENTATIONS
from lthbench.training.feed import Feed, step_generator
from lthbench.training.numerics import precision
from lthbench.training.rules import Live, Rule, overrides
from lthbench.training.schedule import rates
from lthbench.training.trajectory import Trajectory


class Trainer:
    """One training under way, on one device.

    Takes the state that the trajectory stands at, gives a State at every stop.
    """

    def __init__(self, trajectory: Trajectory, state: State, at: int, feed: Feed):
        self.trajectory, self.feed, self.recipe = trajectory, feed, trajectory.recipe
        self.rule = trajectory.rule or Rule()
        self.rates = rates(trajectory.recipe, trajectory.clock).to(feed.device)
        self.module = module_of(trajectory.model, replace(state, basis=None), feed.device).train()
        self.live = self._live(state, at)
        self.trained = {name: t.requires_grad_() for name, t in self.rule.trained(self.live).items()}
        zeros = mapped(torch.zeros_like, self.trained)
        self.live.momentum = zeros | mapped(lambda t: t.to(feed.device, copy=True), state.momentum)
        self.draws = _draws(self.module, feed)
        self._collect_masks()

    def run(self, stops: Iterable[int], on_stop: Callable[[int, State], None]) -> int:
        """Train to the last of the stops, handing out the state at each. Returns the step where it ended, which is
        short of the last stop where the rule said that it is done."""
        stops = sorted(stops)
        private = torch.random.fork_rng(devices=_devices(self.feed.device), enabled=self.draws)
        with private, precision(self.trajectory.precision, self.feed.device):
            while self.live.step < stops[-1] and not self._done():
                self._epoch(stops, on_stop)
        state = self.snapshot()
        for stop in stops:
            if stop >= self.live.step:  # where the rule ended the training, that is the state at all later stops
                on_stop(stop, state)
        return self.live.step

    def snapshot(self) -> State:
        """The state at this step, in memory of its own, on the CPU."""
        state = self._copy(self.live)
        if not overrides(self.trajectory.rule, "finish"):
            return state
        finished = copy.copy(self.live)
        for part in ("params", "mask", "state", "momentum"):
            setattr(finished, part, copies(getattr(self.live, part)))
        with torch.no_grad():
            self.rule.finish(finished)
        short = self.live.step < self.live.total
        return State(**{**vars(self._copy(finished)), "raw": state if short else None})

    def _epoch(self, stops: list[int], on_stop: Callable[[int, State], None]) -> None:
        """The rest of the epoch that the training stands in, or as much of it as there is before the last stop."""
        trajectory, clock = self.trajectory, self.trajectory.clock
        epoch, offset = divmod(self.live.step, clock.steps_per_epoch)
        batches = self.feed.epoch(clock, self.recipe, trajectory.seed, trajectory.order, epoch)
        for index in batches[offset : offset + stops[-1] - self.live.step]:
            self.step(index)
            if self.live.step in stops[:-1]:
                on_stop(self.live.step, self.snapshot())

    def _done(self) -> bool:
        """Asked before an epoch rather than after one, so that a training that is stopped there and goes on asks too."""
        at_epoch_end = self.live.step > self.trajectory.first and self.live.step % self.live.steps_per_epoch == 0
        with torch.no_grad():
            return at_epoch_end and self.rule.done(self.live)

    def step(self, index: Tensor) -> None:
        """One optimizer step on the examples of `index`: SGD as torch.optim.SGD has it, then the mask."""
        live, recipe = self.live, self.recipe
        live.lr = self.rates[live.step]
        images, labels = self._batch(index)
        loss = F.cross_entropy(self._forward(images).float(), labels, label_smoothing=recipe.label_smoothing)
        if overrides(self.trajectory.rule, "penalty"):
            loss = loss + self.rule.penalty(live)
        grads = list(torch.autograd.grad(loss, list(self.trained.values())))
        with torch.no_grad():
            live.grads = dict(zip(self.trained, grads, strict=True))
            self._update(grads)
            if self.rule.every and (live.step + 1) % self.rule.every == 0:
                self.rule.after_step(live)
                self._collect_masks()
        live.step += 1

    def _update(self, grads: list[Tensor]) -> None:
        recipe, params = self.recipe, list(self.trained.values())
        momentum = [self.live.momentum[name] for name in self.trained]
        decayed = torch._foreach_add(grads, params, alpha=recipe.weight_decay)
        if self.masks:
            torch._foreach_mul_([decayed[i] for i in self.pruned], self.masks)
        torch._foreach_mul_(momentum, recipe.momentum)
        torch._foreach_add_(momentum, decayed)
        moved = torch._foreach_add(decayed, momentum, alpha=recipe.momentum) if recipe.nesterov else momentum
        torch._foreach_sub_(params, torch._foreach_mul(moved, self.live.lr))

    def _collect_masks(self) -> None:
        """Which of the trained tensors lack a weight, and their masks as factors of the gradient: what is removed is zero
        and stays so. A rule with weights of its own masks them itself."""
        live, own = self.live, overrides(self.trajectory.rule, "weights")
        masks = {} if own else {name: m for name, m in live.mask.items() if not m.all()}
        self.pruned = [i for i, name in enumerate(self.trained) if name in masks]
        self.masks = [masks[name].to(t.dtype) for name, t in self.trained.items() if name in masks]

    def _forward(self, images: Tensor) -> Tensor:
        basis = self.trajectory.start.basis
        if basis is None and not overrides(self.trajectory.rule, "weights"):
            return self.module(images)
        weights = in_weights(basis, self.rule.weights(self.live), self.live.prunable)
        return functional_call(self.module, weights, (images,))

    def _batch(self, index: Tensor) -> tuple[Tensor, Tensor]:
        images, labels = self.feed.batch(index)
        where = (self.trajectory.seed, self.trajectory.order, self.live.step)
        if self.draws:
            torch.manual_seed(keys.seed("module", *where))
        if self.recipe.augment != "none":
            images = AUGMENTATIONS[self.recipe.augment](images, step_generator("augment", *where))
        return images, labels

    def _live(self, state: State, at: int) -> Live:
        trajectory, device = self.trajectory, self.feed.device
        seed = (trajectory.seed, trajectory.order)
        live = Live(ALLOCATIONS[trajectory.allocation], seed, trajectory.clock.total, trajectory.clock.steps_per_epoch)
        live.model = trajectory.model
        live.params = dict(self.module.named_parameters())
        live.mask = mapped(lambda t: t.to(device, copy=True), state.mask)
        live.prunable, live.step, live.momentum, live.grads = tuple(state.mask), at, {}, {}
        live.lr = self.rates[min(at, len(self.rates) - 1)]
        continued = at > trajectory.first
        live.state = mapped(lambda t: t.to(device, copy=True), state.rule) if continued else {}
        if not continued:
            with torch.no_grad():
                live.state = self.rule.start(live)
        return live

    def _copy(self, live: Live) -> State:
        short = live.step < live.total

        def on_cpu(tensors: Tensors) -> dict[str, Tensor]:
            return mapped(lambda t: t.detach().to("cpu", copy=True), tensors)

        momentum = on_cpu(live.momentum) if short else {}
        buffers = on_cpu(dict(self.module.named_buffers()))
        return State(on_cpu(live.params), buffers, on_cpu(live.mask), momentum, on_cpu(live.state))


def _devices(device: torch.device) -> list[torch.device]:
    return [device] if device.type == "cuda" else []


def _draws(module: torch.nn.Module, feed: Feed) -> bool:
    """Whether a forward pass of the module draws from the global generators (dropout does)."""

    def states() -> list[bytes]:
        on_device = [torch.cuda.get_rng_state(device) for device in _devices(feed.device)]
        return [state.numpy().tobytes() for state in (torch.get_rng_state(), *on_device)]

    before = states()
    with torch.no_grad(), torch.random.fork_rng(devices=_devices(feed.device)):
        copy.deepcopy(module)(feed.batch(torch.arange(min(2, len(feed))))[0])
        return states() != before
