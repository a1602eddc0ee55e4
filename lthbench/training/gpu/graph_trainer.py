"""The graph trainer: a training whose step is recorded once, on a stream of its own, and replayed for a whole epoch.

The inputs of the steps (examples, draws of the augmentation, learning rates) are in tables on the device, and the
recorded step reads the row of the current step there. On CUDA it is captured as graphs, one for full batches and one
for the last batch of an epoch. On a CPU it runs uncaptured, which lets tests compare its bits with those of the
reference trainer.
"""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache, partial
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lthbench.pruning.state import State
from lthbench.training.feed import Feed
from lthbench.training.gpu.ahead import Ahead
from lthbench.training.gpu.capture import InvalidCapture, captured, refusing_waits
from lthbench.training.gpu.counters import Counters
from lthbench.training.gpu.safe_view import GraphSafeView
from lthbench.training.gpu.settings import GPU_SETTINGS
from lthbench.training.gpu.streams import streams, taken
from lthbench.training.gpu.tables import Tables
from lthbench.training.metering.meter import metered, unmetered
from lthbench.training.numerics import NotDeterministic, deterministic
from lthbench.training.trainer import Trainer, Turn
from lthbench.training.trajectory import Trajectory

log = logging.getLogger(__name__)


def trainer(
    trajectory: Trajectory,
    state: State,
    at: int,
    feed: Feed,
    turn: Turn = nullcontext,
    devices: Sequence[torch.device] = (),
    networks: Mapping[str, nn.Module] = MappingProxyType({}),
) -> Trainer:
    """Return a graph trainer where the device can run it, else the plain trainer. Both give the same bits.

    A graph trainer needs graphs switched on, a CUDA device that holds the data, and a training on this one device
    alone.
    """
    together = trajectory.recipe.shards > 1 and len(devices) > 1
    graphs = GPU_SETTINGS.graphs and feed.device.type == "cuda" and feed.resident and not together
    return (
        GraphTrainer(trajectory, state, at, feed, turn, networks)
        if graphs
        else Trainer(trajectory, state, at, feed, turn, devices, networks)
    )


class Replay(NamedTuple):
    """A step that is ready to run, the tensors in which it leaves the gradients, by name, the examples that networks see
    in it, and what each batch counter of the module counts in it."""

    run: Callable[[], None]
    grads: Mapping[str, Tensor]
    seen: int
    ticks: Sequence[Tensor]


class GraphTrainer(Trainer):
    """A Trainer that replays its step. It continues as the plain trainer if its step cannot be captured.

    Raises torch.OutOfMemoryError if the device has too little memory for the graphs. Nothing has changed then.
    """

    def __init__(
        self,
        trajectory: Trajectory,
        state: State,
        at: int,
        feed: Feed,
        turn: Turn = nullcontext,
        networks: Mapping[str, nn.Module] = MappingProxyType({}),
    ):
        self.stream = taken(feed, feed.augmentation(trajectory.recipe))
        self._ahead = Ahead()
        self.replays: dict[int, Replay] = {}  # by batch size
        self._fixed: list[Tensor] = []  # the tensors that they read and write
        self.plain = False
        try:
            with torch.cuda.stream(self.stream):
                super().__init__(trajectory, state, at, feed, turn, networks=networks)
                rows, batch = trajectory.clock.steps_per_epoch, min(trajectory.clock.batch, trajectory.clock.size)
                self.tables = Tables(rows, batch, self.inputs.draws(batch, 0), feed.device)
        except BaseException:
            self._release()
            raise
        self.counters = Counters(self.module)
        self._pooled = 0  # bytes of the pool
        self.step.shown = GraphSafeView(self.current)
        if self.draws:
            self._give_up("its module draws random numbers")

    def prepare(self) -> int:
        """Make all graphs now. This training takes no further memory afterwards."""
        clock = self.trajectory.clock
        with torch.cuda.stream(self.stream), self._numerics():
            self._ready({clock.batch} if clock.size >= clock.batch else set())
            self._ready({clock.size % clock.batch} - {0})
        return 0 if self.plain else self._bytes()

    def close(self) -> None:
        """Wait for the last step, drop the graphs, and only then give the stream back."""
        self._wait()
        with self.turn():
            self._release()

    def _release(self) -> None:
        self.replays.clear()
        stream, self.stream = self.stream, None
        if stream:
            streams(stream.device).give_back(stream)

    def _bytes(self) -> int:
        """Return the bytes that the training holds: the graphs' pool, as much for rehearsals, and tensors with a copy."""
        return 2 * self._pooled + 2 * sum(t.nbytes for t in self._fixed)

    def _train(self, batches: Sequence[Tensor]) -> None:
        if not self.plain:
            self._ahead.wait()
            self._load(batches)
        while batches and not self.plain:
            count = self._undisturbed(len(batches))
            if self._up_to_date({len(index) for index in batches[:count]}):
                self._replay([len(index) for index in batches[:count]])
                batches = batches[count:]
        if batches:
            super()._train(batches)
        elif self.stream:
            self._ahead.queued(self.stream)

    def _load(self, batches: Sequence[Tensor]) -> None:
        steps = range(self.current.step, self.current.step + len(batches))
        with self._alone():
            draws = [self.inputs.draws(len(index), step) for index, step in zip(batches, steps, strict=True)]
            self.tables.load(batches, draws, self.rates[steps.start : steps.stop])

    def _replay(self, sizes: Sequence[int]) -> None:
        """Replay steps with batches of these sizes, then call the rule's hook.

        A graph needs no turn, because nothing that other threads change in the process affects it.
        """
        with torch.cuda.stream(self.stream) if self.stream else self._computing():
            for size in sizes:
                self.replays[size].run()
            for size, steps in Counter(sizes).items():
                self.counters.add(self.replays[size].ticks, steps)
        if self.stream:  # a graph does not count
            self.step.seen += sum(self.replays[size].seen for size in sizes)
        self.current.grads.update(self.replays[sizes[-1]].grads)
        self.current.step += len(sizes) - 1
        if self._looks:
            self._wait()
            with self._computing():
                self._look()
        self.current.step += 1

    def _undisturbed(self, most: int) -> int:
        """Count the steps up to and including the next one after which the rule's hook is called."""
        every = self.rule.every
        return min(most, every - self.current.step % every) if every else most

    def _uncounted(self, size: int) -> None:
        """Run the program of a step without the batch counters."""
        with self.counters.stopped():
            self._program(size)

    def _program(self, size: int) -> None:
        """Run one step on the next row of the tables."""
        index, draws, rate = self.tables.next(size)
        self.step(*self._augmented(index, draws), rate)
        self.tables.row.add_(1)

    def _up_to_date(self, sizes: set[int]) -> bool:
        """Tell whether there are graphs for batches of these sizes, after making those that are missing in a turn."""
        if sizes <= self.replays.keys() and not self._replaced():
            return True
        with self._computing():
            return self._ready(sizes)

    def _ready(self, sizes: set[int]) -> bool:
        """Make the graphs that are missing for batches of these sizes.

        Returns False, after a warning, if that is impossible.
        """
        if self._replaced():
            self.replays.clear()
            self._pool = torch.cuda.graph_pool_handle() if self.stream else None  # one ends with its graphs
            self._fixed = self._changing()
        try:
            for size in sorted(sizes - self.replays.keys(), reverse=True):
                if not self.plain:
                    self.replays[size] = self._made(size)
        except (torch.OutOfMemoryError, NotDeterministic):
            self.replays.clear()
            raise
        except Exception as error:
            self.spoilt = str(error) if isinstance(error, InvalidCapture) else ""
            self._give_up(f"its step cannot be captured ({type(error).__name__}: {str(error).partition(chr(10))[0]})")
        return not self.plain

    def _replaced(self) -> bool:
        """Tell whether a rule has replaced its tensors, by tensors of another shape, since the graphs were made."""
        now = self._changing()
        return len(now) != len(self._fixed) or any(a is not b for a, b in zip(now, self._fixed, strict=True))

    def _made(self, size: int) -> Replay:
        """A program, rehearsed and captured. What that has changed is put back."""
        before, seen = [t.detach().clone() for t in self._fixed], self.step.seen
        try:
            return self._rehearsed(size)
        finally:
            self.step.seen = seen
            with torch.no_grad():
                for t, value in zip(self._fixed, before, strict=True):
                    t.copy_(value)

    def _rehearsed(self, size: int) -> Replay:
        """Rehearse a step three times, then capture it.

        The first rehearsal counts, the second compiles, and the third finds what would invalidate the capture.
        """
        program, before = partial(self._uncounted, size), [t.clone() for t in self.counters.values]
        with deterministic(self.feed.device):
            examples = self._counted(partial(self._program, size), size)
            ticks = [now - t for now, t in zip(self.counters.values, before, strict=True)]
            with unmetered():
                for watch in (nullcontext(), refusing_waits() if self.stream else nullcontext()):
                    self.tables.row.zero_()
                    with watch:
                        program()
        if self.stream is None:
            return Replay(program, {}, examples, ticks)
        reserved = torch.cuda.memory_reserved(self.feed.device)
        with unmetered():
            graph = captured(program, self.stream, self._pool)  # both graphs of a training never run at once
        self._pooled += torch.cuda.memory_reserved(self.feed.device) - reserved
        return Replay(graph.replay, dict(self.current.grads), examples, ticks)

    def _counted(self, program: Callable[[], None], size: int) -> int:
        """Run a program, which is put back afterwards. Returns the examples that networks see in it.

        Counting looks at values.
        """
        seen = self.step.seen
        self.tables.row.zero_()
        with metered(flops=bool(self.work)) as meter:
            program()
        if self.work:
            self.work.add(meter.flops, size)
        return max(meter.seen, self.step.seen - seen)

    def _changing(self) -> list[Tensor]:
        """Return all tensors that a step reads and writes, except for the data."""
        current, step = self.current, self.step
        parts = (current.params, current.mask, *current.slots.values(), current.state, step.trained, step.factors)
        tensors = (t for part in parts for t in part.values())
        return [*self.module.buffers(), *tensors, current.lr, step.loss, self.tables.row]

    def _give_up(self, why: str) -> None:
        self.plain, self.step.shown = True, self.current
        self.replays.clear()
        warn(self.trajectory.model.name, why)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self.turn(), torch.cuda.stream(self.stream):
            yield

    def _wait(self) -> None:
        """Wait for an event, not for the stream: a neighbour's rehearsal may refuse all waits for streams."""
        if self.stream:
            self.stream.record_event(torch.cuda.Event(blocking=True)).synchronize()


_warning = threading.Lock()


def warn(model: str, why: str) -> None:
    """Warn that a model is trained by the plain loop, once in a process for each reason."""
    with _warning:
        _warn(f"{model} is trained by the plain loop, with the same result but more slowly: {why}")


@cache
def _warn(message: str) -> None:
    log.warning(message)
