"""The worker does operations: it reads the store and the data, and writes the store. Every executor runs it."""

import logging
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import singledispatchmethod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lthbench import bits
from lthbench.data import DataHome, EncodedExamples, Examples, holdout
from lthbench.errors import MethodError
from lthbench.methods.compact import compact_cost
from lthbench.methods.internals.operations import Barrier, Evaluate, Measure, Operation, Split, Train, Validate, Value
from lthbench.models.cost import multiplications
from lthbench.pruning.correlation import correlations
from lthbench.pruning.lineage import Lineage, NamedLineages
from lthbench.pruning.mask import Mask
from lthbench.pruning.pattern import Pattern
from lthbench.pruning.state import State, module_of
from lthbench.pruning.tensors import Tensors, digest
from lthbench.runs.store.store import Store
from lthbench.runs.workers.barrier import along, barrier
from lthbench.runs.workers.capacity import Capacity
from lthbench.runs.workers.evaluation import Evaluation
from lthbench.runs.workers.process_state import FairLock, unchanged
from lthbench.runs.workers.serialization import with_author_line
from lthbench.training.feed import Feed, feed
from lthbench.training.gpu import graph_trainer
from lthbench.training.identity import by_author
from lthbench.training.metering.bounds import check_found, check_work
from lthbench.training.metering.meter import Meter, metered
from lthbench.training.numerics import memory_format, precision
from lthbench.training.probes import Batches
from lthbench.training.trainer import Trainer
from lthbench.training.trajectory import Trajectory

log = logging.getLogger(__name__)

SHOWN = 64  # images that a probe's result is compared with
BATCH = 1024  # images of an evaluation; its last bits depend on this


@dataclass(frozen=True)
class Reply:
    """The cost of an operation: epochs computed, seconds, CPU seconds, examples that networks saw.

    `ended` is the step where a training ended.
    """

    epochs: float
    seconds: float = 0.0
    ended: int = 0
    cpu: float = 0.0
    seen: int = 0


@dataclass
class Worker:
    """A worker with a store, the data that its process may read, a device, and a capacity for trainings at once."""

    store: Store
    home: DataHome
    device: torch.device
    peers: tuple[torch.device, ...] = ()  # other devices, for shards of a batch
    capacity: Capacity = field(default_factory=lambda: Capacity(1))
    turns: FairLock = field(default_factory=FairLock)
    _feeds: dict[Any, Feed] = field(default_factory=dict)

    def perform(self, operation: Operation) -> Reply:
        """Do one operation and write its result to the store. MissingEntry where its source is missing."""
        started, cpu = time.perf_counter(), time.thread_time()
        try:
            reply = self._train(operation) if isinstance(operation, Train) else self._looked(operation)
        except MethodError as error:
            raise with_author_line(error) from error.__cause__
        return replace(reply, seconds=time.perf_counter() - started, cpu=time.thread_time() - cpu)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Take a turn: run alone among the threads of the process. MethodError if the code inside changed its state."""
        with self.turns, unchanged("an operation"):
            yield

    def _looked(self, operation: Value) -> Reply:
        """Do an operation that is not a training, between trainings; if memory is short, after they have ended."""
        what = type(operation).__name__.lower()
        try:
            with self.turn():
                return self._do(operation)
        except torch.OutOfMemoryError:
            self._free()
        try:
            with self.capacity.taken(what, alone=True), self.turn():
                return self._do(operation)
        except torch.OutOfMemoryError as error:
            raise MethodError(
                f"{self.device} has too little memory to {what} {operation.source.model.name}: {error}"
            ) from None

    @singledispatchmethod
    def _do(self, operation: Value) -> Reply:
        raise TypeError(f"no such operation: {operation!r}")

    def _train(self, operation: Train) -> Reply:
        """Train beside other trainings; if memory is short, alone; and if that fails, without CUDA graphs."""
        name = operation.trajectory.model.name
        for alone, plain in ((False, False), (True, False), (True, True)):
            if plain:
                graph_trainer.warn(name, "too little memory for the programs of a lane")
            try:
                with self.capacity.taken(_kind(operation.trajectory), alone) as settle:
                    return self._trained(operation, settle, plain)
            except torch.OutOfMemoryError as error:
                why = str(error)
            if self.capacity.shrink():
                log.warning(
                    "%s has too little memory for this number of trainings at once: fewer from now on", self.device
                )
            self._free()
        raise MethodError(f"{self.device} has too little memory to train {name}: {why}")

    def _trained(self, operation: Train, settle: Callable[[int], None], plain: bool) -> Reply:
        """Train. Calls `settle` with the memory of the training as soon as it is taken; with 0 where that is known."""
        trajectory = operation.trajectory
        with self.turn():
            state, at = self._begin(operation)
            feed = self.feed(_split(trajectory), "train")
            feed.batch(torch.zeros(1, dtype=torch.int64, device=self.device))  # loaded now, so not counted below
            before = self._reserved()
            make = Trainer if plain else graph_trainer.trainer
            networks = self._networks(trajectory.networks)
            trainer = make(trajectory, state, at, feed, self.turn, (self.device, *self.peers), networks)
        trainer.prepare()
        settle(0 if self.capacity.knows(_kind(trajectory)) else self._reserved() - before)

        def keep(stop: int, state: State) -> None:
            self.store.write_state(trajectory.state(stop).key, state, trainer.current.step)

        with metered(flops=False) if by_author(trajectory.rule) else nullcontext(Meter()) as meter:
            ended = trainer.run(operation.stops, keep)
        charged = trajectory.passes * (trajectory.clock.examples(ended) - trajectory.clock.examples(at))
        seen = max(trainer.seen, meter.seen)
        _check_charge(type(trajectory.rule).__name__ if trajectory.rule else "the training", seen, charged)
        return Reply(seen / len(feed), ended=ended, seen=seen)

    def _free(self) -> None:
        """Release GPU memory that the process holds and does not use."""
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _reserved(self) -> int:
        """Return the bytes of GPU memory that this process holds."""
        return torch.cuda.memory_reserved(self.device) if self.device.type == "cuda" else 0

    def _begin(self, operation: Train) -> tuple[State, int]:
        """Return the state that a training starts from, and its step."""
        trajectory = operation.trajectory
        if operation.begin > trajectory.first:
            state, ended = self.store.read_state(trajectory.state(operation.begin).key)
            return state.raw or state, ended
        state = self.store.network(trajectory.start)
        return (state if trajectory.momentum else State(state.params, state.buffers, state.mask)), trajectory.first

    @_do.register
    def _measure(self, operation: Measure) -> Reply:
        feed = self.feed(operation.split, "train")
        index = _chosen(feed, operation)
        state = self.store.network(operation.source)
        module = module_of(operation.source.model, state, self.device)

        def draw() -> Iterator[tuple[Tensor, Tensor]]:
            return (feed.batch(part) for part in index.split(operation.batch))

        model, name = operation.source.model, type(operation.probe).__name__
        batches = Batches(draw, model.shape, operation.passes, self._networks(operation.networks))
        with precision(operation.precision, self.device), metered(flops=by_author(operation.probe)) as meter:
            found = operation.probe(module, {n: m.to(self.device) for n, m in state.weight_mask.items()}, batches)
        _check_charge(name, meter.seen, operation.passes * len(index))
        check_work(name, meter.flops, operation.passes * len(index), model)
        images, _ = feed.batch(index[:SHOWN])
        self.store.write("values", operation.key, check_found(name, found, model, images, len(index)))
        return Reply(operation.passes * len(index) / len(feed), seen=meter.seen)

    @_do.register
    def _validate(self, operation: Validate) -> Reply:
        feed = self.feed(operation.split, "validation")
        right = self._right(self._module(operation.source), feed, operation.precision)
        self.store.write("values", operation.key, {}, {"right": right, "count": len(feed)})
        return Reply(0.0)

    @_do.register
    def _evaluate(self, operation: Evaluate) -> Reply:
        state = self.store.network(operation.source)
        module = module_of(operation.source.model, state, self.device).eval()
        right: dict[str, tuple[int, int]] = {}
        loss: dict[str, float] = {}
        parts = ["test", "train"] + ["validation"] * bool(operation.split.validation)
        for part in parts:
            feed = self.feed(operation.split, part)
            logits = self._logits(module, feed, operation.precision)
            answers = logits.argmax(1)
            correct = answers == feed.labels
            right[part] = int(correct.sum()), len(feed)
            loss[part] = float(F.cross_entropy(logits.double(), feed.labels))
            if part == "test":
                predictions, of_test = answers.to(torch.int16).cpu(), bits.text(correct.cpu())
        there, model = state.weight_mask, operation.source.model
        counted = {name: keep | _regrown(state.params[name]) for name, keep in state.mask.items()}
        found = Evaluation(
            right=right,
            correct=of_test,
            loss=loss,
            finite=state.finite,
            weights=digest(state.weights | state.buffers),
            layers=Mask(counted).layers,
            mask_digest=Mask(state.mask).digest,
            multiplications=multiplications(model, there),
            correlation={name: self._correlation(state, other) for name, other in operation.others},
            compact=compact_cost(model, module),
            off_pattern=_off_pattern(operation.pattern, counted),
            zero_weights=None if state.basis is None else sum(int((~kept).sum()) for kept in there.values()),
        )
        self.store.write("values", operation.key, {"predictions": predictions}, found.note)
        return Reply(0.0)

    @_do.register
    def _barrier(self, operation: Barrier) -> Reply:
        a, b = self.store.network(operation.source), self.store.network(operation.other)
        feeds = {part: self.feed(operation.split, part) for part in ("train", "test")}

        def error(module: nn.Module) -> dict[str, float]:
            right = {part: self._right(module, feed, operation.precision) for part, feed in feeds.items()}
            return {part: 100 * (1 - right[part] / len(feed)) for part, feed in feeds.items()}

        with precision(operation.precision, self.device):
            errors = along(operation.source.model, a, b, lambda: feeds["train"].in_order(BATCH), error, self.device)
        self.store.write("values", operation.key, {}, {part: barrier(line) for part, line in errors.items()})
        return Reply(0.0)

    def _correlation(self, state: State, lineage: Lineage) -> dict[str, float]:
        """Return R_p by p with another network, over the weights that both keep.

        The result is empty where weights are not finite or none is left.
        """
        other = self.store.network(lineage)
        there = other.weight_mask
        both = {name: kept & there[name] for name, kept in state.weight_mask.items()}
        finite = state.finite and other.finite and any(bool(kept.any()) for kept in both.values())
        return correlations(state.weights, other.weights, both) if finite else {}

    def feed(self, split: Split, part: str) -> Feed:
        """Return the examples of one part of the data: train, validation or test."""
        if (split, part) not in self._feeds:
            examples = self.home.load(split.dataset, "test" if part == "test" else "train")
            chosen = _part(examples, split, part)
            manifest = self.home.manifest(split.dataset)
            if split.normalisation:
                mean, std = split.normalisation
                manifest = replace(manifest, mean=mean, std=std)
            self._feeds[split, part] = feed(examples, chosen, manifest, self.device)
        return self._feeds[split, part]

    def _module(self, source: Lineage) -> nn.Module:
        return module_of(source.model, self.store.network(source), self.device).eval()

    def _networks(self, sources: NamedLineages) -> dict[str, nn.Module]:
        """Return the networks that an operation may look at: modules in evaluation mode, whose parameters do not train."""
        modules = {name: self._module(source).requires_grad_(False) for name, source in sources}
        return {name: module.to(memory_format=memory_format(module, self.device)) for name, module in modules.items()}

    def _logits(self, module: nn.Module, feed: Feed, name: str) -> Tensor:
        """Return the network's outputs for every example, float32 [N, classes]."""
        with torch.no_grad(), precision(name, self.device):
            return torch.cat([module(images).float() for images in feed.in_order(BATCH)])

    def _right(self, module: nn.Module, feed: Feed, name: str) -> int:
        """Count the examples that the network classifies correctly."""
        return int((self._logits(module, feed, name).argmax(1) == feed.labels).sum())


def _check_charge(name: str, seen: int, charged: int) -> None:
    """Raise MethodError where networks saw more examples than were charged."""
    if seen > charged:
        raise MethodError(
            f"{name} fed {seen} examples to networks, {charged} were charged: every example that goes forward through a "
            "network is charged; raise passes, or train with run.train"
        )


def _kind(trajectory: Trajectory) -> Hashable:
    """Return the kind of a training. Trainings of one kind take the same amount of memory."""
    recipe, others = trajectory.recipe, tuple(source.model for _, source in trajectory.networks)
    return trajectory.model, recipe.batch, recipe.optimizer, trajectory.precision, type(trajectory.rule), others


def _split(t: Trajectory) -> Split:
    return Split(t.dataset, t.validation, t.data, t.normalisation, t.limit)


def _part(examples: Examples | EncodedExamples, split: Split, part: str) -> Tensor:
    """Return the positions of the examples of a part of the data. Those within a limit are shared over the classes."""
    if part == "test":
        return torch.arange(len(examples))
    kept, held = holdout(examples.labels, split.validation)
    if part == "train" and split.limit is not None:
        return kept[holdout(examples.labels[kept], split.limit, "limit")[1]]
    return kept if part == "train" else held


def _regrown(weights: Tensor) -> Tensor:
    """Mark the weights that a mask removes but that are not zero. A diverged network may be NaN anywhere."""
    return weights.ne(0) & weights.isfinite()


def _off_pattern(name: str, mask: Tensors) -> int:
    """Count the groups of a mask that do not follow a pattern, which may be none."""
    pattern = Pattern.named(name)
    return pattern.broken(mask) if pattern else 0


def _chosen(feed: Feed, operation: Measure) -> Tensor:
    if operation.per_class is not None:
        return feed.per_class(operation.per_class, operation.seed, operation.stream)
    return feed.subset(operation.examples, operation.seed, operation.stream)
