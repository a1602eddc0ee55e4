"""The graph trainer: a training whose step is recorded once, on a stream of its own, and replayed for a whole epoch.

The inputs of the steps (examples, draws of the augmentation, learning rates) are in tables on the device, and the
recorded step reads the row of the current step there. On CUDA it is captured as graphs, one for full batches and one
for the last batch of an epoch. On a CPU it runs uncaptured, which lets tests compare its bits with those of the
reference trainer.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache, partial
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lthbench.pruning.state import State
from lthbench.training.augment import Draws
from lthbench.training.feed import Feed
from lthbench.training.gpu.settings import GPU_SETTINGS
from lthbench.training.metering.meter import metered, unmetered
from lthbench.training.rules import TrainingState
from lthbench.training.trainer import Trainer, Turn
from lthbench.training.trajectory import Trajectory

log = logging.getLogger(__name__)

REHEARSALS = 2  # before a capture: libraries choose algorithms and allocate workspaces in the first steps


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


class Tables:
    """The inputs of consecutive steps on a device, one row a step, and the number of the next row."""

    def __init__(self, rows: int, batch: int, draws: Draws, device: torch.device):
        self._order = torch.zeros(rows, batch, dtype=torch.int64, device=device)
        self._draws = {name: torch.zeros(rows, batch, dtype=t.dtype, device=device) for name, t in draws.items()}
        self._rates = torch.zeros(rows, device=device)
        self.row = torch.zeros(1, dtype=torch.int64, device=device)

    def load(self, batches: Sequence[Tensor], draws: Sequence[Draws], rates: Tensor) -> None:
        """Fill the first rows, and start at the first one. All batches are full except perhaps the last."""
        _fill(self._order, torch.cat([*batches]))
        for name, table in self._draws.items():
            _fill(table, torch.cat([drawn[name] for drawn in draws]))
        _fill(self._rates, rates)
        self.row.zero_()

    def next(self, size: int) -> tuple[Tensor, Draws, Tensor]:
        """Return indices [size], draws [size] and the learning rate of the next row."""
        draws = {name: table.index_select(0, self.row)[0, :size] for name, table in self._draws.items()}
        return self._order.index_select(0, self.row)[0, :size], draws, self._rates.index_select(0, self.row)[0]


class Replay(NamedTuple):
    """A step that is ready to run, the tensors in which it leaves the gradients, by name, and the examples that networks
    see in it."""

    run: Callable[[], None]
    grads: Mapping[str, Tensor]
    seen: int = 0


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
        self.stream = _stream(feed)
        with torch.cuda.stream(self.stream):
            super().__init__(trajectory, state, at, feed, turn, networks=networks)
            rows, batch = trajectory.clock.steps_per_epoch, min(trajectory.clock.batch, trajectory.clock.size)
            self.tables = Tables(rows, batch, self._drawn(batch, 0), feed.device)
        self.replays: dict[int, Replay] = {}  # by batch size
        self._fixed: list[Tensor] = []  # the tensors that they read and write
        self._pool = torch.cuda.graph_pool_handle() if self.stream else None
        self.step.shown = GraphSafeView(self.current)
        self.plain = False
        if self.draws:
            self._give_up("its module draws random numbers")

    def prepare(self) -> None:
        """Make all graphs now. This training takes no further memory afterwards."""
        clock = self.trajectory.clock
        if not self.plain:
            self._ready({clock.batch} if clock.size >= clock.batch else set())
            self._ready({clock.size % clock.batch} - {0})

    def _train(self, batches: Sequence[Tensor]) -> None:
        if not self.plain:
            self._load(batches)
        while batches and not self.plain:
            count = self._undisturbed(len(batches))
            if self._ready({len(index) for index in batches[:count]}):
                self._replay([len(index) for index in batches[:count]])
                batches = batches[count:]
        if batches:
            super()._train(batches)

    def _load(self, batches: Sequence[Tensor]) -> None:
        steps = range(self.current.step, self.current.step + len(batches))
        with self._alone():
            draws = [self._drawn(len(index), step) for index, step in zip(batches, steps, strict=True)]
            self.tables.load(batches, draws, self.rates[steps.start : steps.stop])

    def _replay(self, sizes: Sequence[int]) -> None:
        """Replay steps with batches of these sizes, then call the rule's hook.

        A graph needs no turn, because nothing that other threads change in the process affects it.
        """
        with torch.cuda.stream(self.stream) if self.stream else self._computing():
            for size in sizes:
                self.replays[size].run()
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

    def _program(self, size: int) -> None:
        """Run one step on the next row of the tables."""
        index, draws, rate = self.tables.next(size)
        self.step(*self._augmented(index, draws), rate)
        self.tables.row.add_(1)

    def _ready(self, sizes: set[int]) -> bool:
        """Make the graphs that are missing for batches of these sizes.

        Returns False, after a warning, if that is impossible.
        """
        fixed = self._changing()
        if len(fixed) != len(self._fixed) or any(a is not b for a, b in zip(fixed, self._fixed, strict=True)):
            self.replays.clear()  # a rule has replaced its tensors by tensors of another shape
            self._fixed = fixed
        try:
            for size in sorted(sizes - self.replays.keys(), reverse=True):
                with self._computing():
                    self.replays[size] = self._made(size)
        except torch.OutOfMemoryError:
            self.replays.clear()
            raise
        except Exception as error:
            self._give_up(f"its step cannot be captured ({type(error).__name__}: {str(error).partition(chr(10))[0]})")
        return not self.plain

    def _made(self, size: int) -> Replay:
        """A program, rehearsed and captured. What that has changed is put back."""
        before, seen = [t.detach().clone() for t in self._fixed], self.step.seen
        try:
            failures = self._failed_allocations()
            with metered(flops=False) as meter:  # one of its own: what a rehearsal changes is put back
                for _ in range(REHEARSALS):
                    self.tables.row.zero_()
                    self._program(size)
            examples = max(meter.seen, self.step.seen - seen) // REHEARSALS
            with unmetered():
                made = self._captured(size, examples) if self.stream else Replay(partial(self._program, size), {})
            if self._failed_allocations() > failures:  # a library may have gone on with an algorithm that needs less
                raise torch.OutOfMemoryError(
                    "too little memory: a library would choose other algorithms than with enough memory"
                )
            return made
        finally:
            self.step.seen = seen
            with torch.no_grad():
                for t, value in zip(self._fixed, before, strict=True):
                    t.copy_(value)

    def _captured(self, size: int, seen: int) -> Replay:
        """Capture a step. Both graphs of a training share one memory pool, since they never run at the same time."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool, stream=self.stream, capture_error_mode="thread_local"):
            self._program(size)
        return Replay(graph.replay, dict(self.current.grads), seen)

    def _failed_allocations(self) -> int:
        return torch.cuda.memory_stats(self.feed.device)["num_ooms"] if self.stream else 0

    def _changing(self) -> list[Tensor]:
        """Return all tensors that a step reads and writes, except for the data."""
        current, step = self.current, self.step
        parts = (current.params, current.mask, *current.slots.values(), current.state, step.trained, step.factors)
        return [*self.module.buffers(), *(t for part in parts for t in part.values()), current.lr, self.tables.row]

    def _give_up(self, why: str) -> None:
        self.plain, self.step.shown = True, self.current
        self.replays.clear()
        warn(self.trajectory.model.name, why)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self.turn(), torch.cuda.stream(self.stream):
            yield

    def _wait(self) -> None:
        if self.stream:
            self.stream.synchronize()


class GraphSafeView:
    """The part of a running training that is safe for a hook inside every step: no value that differs from step to
    step."""

    def __init__(self, current: TrainingState):
        self._current = current

    def __getattr__(self, name: str) -> Any:
        if name in ("step", "generator", "grads"):
            raise AttributeError(
                f"a hook that is part of every step must not read `{name}`, which differs from step to step"
            )
        return getattr(self._current, name)


def _stream(feed: Feed) -> torch.cuda.Stream | None:
    """Return a new stream on CUDA, started after the data has arrived. None on other devices."""
    if feed.device.type != "cuda":
        return None
    feed.batch(torch.zeros(1, dtype=torch.int64, device=feed.device))
    torch.cuda.synchronize(feed.device)
    return torch.cuda.Stream(feed.device)


def _fill(table: Tensor, values: Tensor) -> None:
    """Copy values into the beginning of a table, without waiting for the copy."""
    pinned = values.pin_memory() if table.is_cuda and not values.is_cuda else values
    table.view(-1)[: len(values)].copy_(pinned, non_blocking=True)


_warning = threading.Lock()


def warn(model: str, why: str) -> None:
    """Warn that a model is trained by the plain loop, once in a process for each reason."""
    with _warning:
        _warn(f"{model} is trained by the plain loop, with the same result but more slowly: {why}")


@cache
def _warn(message: str) -> None:
    log.warning(message)
