"""The reference trainer: one network, trained one step after another, as a reader would write it down.

Its result is a function of the trajectory alone. Training from 0 to k and from k to T gives the same bits as training
from 0 to T, because everything random is drawn from (seed, order, step) and everything that a step needs is in the
state.
"""

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from types import MappingProxyType

import torch
from torch import Tensor, nn

from lthbench import keys
from lthbench.errors import MethodError
from lthbench.pruning.state import State, module_of
from lthbench.pruning.tensors import Tensors, copies, mapped
from lthbench.training.augment import Draws
from lthbench.training.feed import Feed
from lthbench.training.inputs import OF_RULE, Inputs
from lthbench.training.kernels.program import computing
from lthbench.training.metering.sampled import SampledWork
from lthbench.training.numerics import memory_format, precision
from lthbench.training.rules import Rule, TrainingState, overrides
from lthbench.training.rules.checks import check_start
from lthbench.training.step import Step
from lthbench.training.trajectory import Trajectory

OnStop = Callable[[int, State], None]
"""A function that gets a step and the state after it."""

Turn = Callable[[], AbstractContextManager[object]]
"""A context that excludes all other trainings of the process from computing."""


class Trainer:
    """One training under way, on one device.

    It starts from the state of the trajectory at step `at` and returns a State at every stop. The caller has the turn
    while it makes the trainer; afterwards the trainer takes turns itself. `devices` are the feed's device and others
    that may compute shards of a batch. `networks` are those that the rule may ask for logits, in evaluation mode.
    `spoilt` says why the process must end after this training; "" if it need not.
    """

    spoilt = ""

    def __init__(
        self,
        trajectory: Trajectory,
        state: State,
        at: int,
        feed: Feed,
        turn: Turn = nullcontext,
        devices: Sequence[torch.device] = (),
        networks: Mapping[str, nn.Module] = MappingProxyType({}),
    ):
        self.trajectory, self.feed, self.turn, self.recipe = trajectory, feed, turn, trajectory.recipe
        trajectory.check_batches()
        self.rule, self.inputs = trajectory.rule or Rule(), Inputs(trajectory, feed.augmentation(self.recipe))
        self.rates = self.inputs.rates().to(feed.device)
        module = module_of(trajectory.model, replace(state, basis=None), feed.device).train()
        self.module = module.to(memory_format=memory_format(module, feed.device))
        self.current = self._current(state, at)
        self.step = Step(trajectory, self.module, self.current, devices, networks)
        self.current.slots = self.step.optimizer.begin(self.step.trained, state.slots)
        self._own = [dict(part) for part in _parts(self.current)]
        self._losses: list[Tensor] = []  # of the epochs that ended
        self.work: SampledWork | None = None  # counts operations, under a rule of an author's own
        self.draws = _draws(self.module, feed)
        if self.draws and self.recipe.shards > 1:
            raise MethodError(
                f"{trajectory.model.name} draws random numbers, so it cannot be trained in shards; set shards = 1"
            )

    @property
    def seen(self) -> int:
        """Examples that the network has seen."""
        return self.step.seen

    @property
    def losses(self) -> tuple[list[float], float]:
        """Return the mean training loss of each epoch that ended in this training, and the sum in the one under way."""
        self._wait()
        with self._alone():  # a neighbour's rehearsal refuses reads meanwhile
            return [float(loss) for loss in self._losses], float(self.step.loss)

    def add_loss(self, under_way: float) -> None:
        """Add the losses of the examples of this epoch that an earlier training has seen."""
        with self._alone():
            self.step.loss.add_(under_way)

    def run(self, stops: Iterable[int], on_stop: OnStop, on_watch: OnStop | None = None) -> int:
        """Train to the last of the stops, and pass on the state at each. Returns the step at which the training ended.

        That step is before the last stop if the rule's `done` said so. `on_watch` gets the state every `recipe.watch`
        steps, before `on_stop` does. It must change nothing.
        """
        stops = sorted(stops)
        while self.current.step < stops[-1] and not self._done():
            self._epoch(stops, on_stop, on_watch)
        state = self.snapshot()
        for stop in stops:
            if stop >= self.current.step:  # where the rule ended the training, this is the state at all later stops
                on_stop(stop, state)
        return self.current.step

    def snapshot(self) -> State:
        """Return the state at this step, in new memory on the CPU."""
        self._wait()
        with self._alone():
            state = self._copy(self.current)
            if not overrides(self.trajectory.rule, "finish"):
                return state
            finished = _copied(self.current)
            with torch.no_grad():
                self.rule.finish(finished)
            short = self.current.step < self.current.total
            return State(**{**vars(self._copy(finished)), "raw": state if short else None})

    def _epoch(self, stops: list[int], on_stop: OnStop, on_watch: OnStop | None) -> None:
        """Train to the end of the current epoch, or to the last stop if that comes first."""
        trajectory, clock = self.trajectory, self.trajectory.clock
        epoch, offset = divmod(self.current.step, clock.steps_per_epoch)
        with self._alone():
            batches = self.feed.epoch(clock, self.recipe, trajectory.seed, trajectory.order, epoch)[offset:]
        while batches and self.current.step < stops[-1]:
            watched = self._next_watched if on_watch else clock.total
            count = min(watched, *(stop for stop in stops if stop > self.current.step)) - self.current.step
            self._train(batches[:count])
            batches = batches[count:]
            if not batches:
                self._end_epoch()
            if on_watch and self.current.step == watched:
                on_watch(watched, self.snapshot())
            if self.current.step in stops[:-1]:
                on_stop(self.current.step, self.snapshot())

    @property
    def _next_watched(self) -> int:
        every, total = self.recipe.watch or self.current.total, self.current.total
        return min(self.current.step + every - self.current.step % every, total)

    def _end_epoch(self) -> None:
        """Note the mean loss of the epoch, without waiting for the device."""
        with self._alone():
            self._losses.append(self.step.loss / self.trajectory.clock.size)
            self.step.loss.zero_()

    def _train(self, batches: Sequence[Tensor]) -> None:
        """Do consecutive steps of one epoch on the examples at these indices, with no stop in between."""
        with self._computing():
            for index in batches:
                if self.draws:
                    torch.manual_seed(
                        keys.seed("module", self.trajectory.seed, self.trajectory.order, self.current.step)
                    )
                with self.work.step(self.current.step, len(index)) if self.work else nullcontext():
                    self.step(*self._batch(index), self.rates[self.current.step])
                if self._looks:
                    self._look()
                self.current.step += 1

    @property
    def _looks(self) -> bool:
        """Tell whether the rule's hook is called after this step."""
        return bool(self.rule.every) and (self.current.step + 1) % self.rule.every == 0

    def _look(self) -> None:
        """Call the rule's hook between two steps. Tensors that it replaced are copied into those that the step uses."""
        current = self.current
        with torch.no_grad():
            self.rule.after_step(current)
            for now, own in zip(_parts(current), self._own, strict=True):
                for name, t in own.items():
                    if name in now and now[name] is not t and now[name].shape == t.shape:
                        now[name] = t.copy_(now[name])
            current.state.update(mapped(Tensor.contiguous, current.state))
            self.step.remask()

    def _done(self) -> bool:
        """Ask the rule whether the training ends.

        The rule is asked before an epoch rather than after one, so that a training that stopped there and continues
        asks too.
        """
        at_epoch_end = (
            self.current.step > self.trajectory.first and self.current.step % self.current.steps_per_epoch == 0
        )
        if not at_epoch_end or not overrides(self.trajectory.rule, "done"):
            return False
        self._wait()
        with self._alone(), torch.no_grad():
            return self.rule.done(self.current)

    @contextmanager
    def _computing(self) -> Iterator[None]:
        """Take a turn, and compute in it."""
        with self._alone(), self._numerics():
            yield

    @contextmanager
    def _numerics(self) -> Iterator[None]:
        """Compute in the trajectory's precision, with a private random state for draws of the module."""
        private = torch.random.fork_rng(devices=_devices(self.feed.device), enabled=self.draws)
        with private, precision(self.trajectory.precision, self.feed.device), computing(self.feed.device):
            yield

    def _alone(self) -> AbstractContextManager[object]:
        """Take a turn."""
        return self.turn()

    def _wait(self) -> None:
        """Wait until all steps are done, outside of a turn, before the training is looked at. Here they already are."""

    def prepare(self) -> int:
        """Do work that needs much time or memory before the first step. The caller has the turn. Here there is none.

        Returns the bytes of its device that the training holds from now on; 0 if only an upper bound is known.
        """
        return 0

    def close(self) -> None:
        """Give back what the training holds of its device. Here there is nothing."""

    def _batch(self, index: Tensor) -> tuple[Tensor, Tensor]:
        draws = self.inputs.draws(len(index), self.current.step)
        return self._augmented(index, mapped(lambda t: t.to(self.feed.device, non_blocking=True), draws))

    def _augmented(self, index: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        """Return the images and labels of a step, and give the rule its draws."""
        self.current.draws = {n.removeprefix(OF_RULE): t for n, t in draws.items() if n.startswith(OF_RULE)}
        return self.feed.augmented(index, self.inputs.augment, draws)

    def _current(self, state: State, at: int) -> TrainingState:
        trajectory, device = self.trajectory, self.feed.device
        current = self.inputs.state()
        current.params = dict(self.module.named_parameters())
        current.mask = mapped(lambda t: t.to(device, copy=True), state.mask)
        current.prunable, current.step, current.slots, current.grads = tuple(state.mask), at, {}, {}
        current.lr = self.rates[min(at, len(self.rates) - 1)].clone()
        continued = at > trajectory.first
        current.state = mapped(lambda t: t.to(device, copy=True), state.rule) if continued else {}
        if not continued:
            with torch.no_grad():  # with one memory layout, sums have one order before and after a state is stored
                own = self.rule.start(current)
                check_start(self.rule, own)
                current.state = mapped(Tensor.contiguous, own)
        return current

    def _copy(self, current: TrainingState) -> State:
        short = current.step < current.total

        def on_cpu(tensors: Tensors) -> dict[str, Tensor]:
            return mapped(lambda t: t.detach().to("cpu", copy=True, memory_format=torch.contiguous_format), tensors)

        slots = {slot: on_cpu(tensors) for slot, tensors in current.slots.items()} if short else {}
        buffers = on_cpu(dict(self.module.named_buffers()))
        return State(on_cpu(current.params), buffers, on_cpu(current.mask), slots, on_cpu(current.state))


def _parts(current: TrainingState) -> list[dict[str, Tensor]]:
    """Return the tensors that a rule may change, by name."""
    return [current.params, current.mask, current.state, *current.slots.values()]


def _copied(current: TrainingState) -> TrainingState:
    """Return a training with copies of the tensors that a rule may change."""
    copied = copy.copy(current)
    copied.params, copied.mask, copied.state = map(copies, (current.params, current.mask, current.state))
    copied.slots = {slot: copies(tensors) for slot, tensors in current.slots.items()}
    return copied


def _devices(device: torch.device) -> list[torch.device]:
    return [device] if device.type == "cuda" else []


def _draws(module: torch.nn.Module, feed: Feed) -> bool:
    """Tell whether a forward pass of the module draws from the global generators, as dropout does."""

    def states() -> list[bytes]:
        on_device = [torch.cuda.get_rng_state(device) for device in _devices(feed.device)]
        return [state.numpy().tobytes() for state in (torch.get_rng_state(), *on_device)]

    before = states()
    with torch.no_grad(), torch.random.fork_rng(devices=_devices(feed.device)):
        copy.deepcopy(module)(torch.zeros(min(2, len(feed)), *feed.shape, device=feed.device))  # no example
        return states() != before
