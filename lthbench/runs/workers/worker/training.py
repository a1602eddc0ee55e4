"""The operation Train: one training beside others, with the memory that it takes of the capacity."""

from collections.abc import Hashable
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from functools import partial

import torch.nn.functional as F

from lthbench.methods.internals.operations import Train
from lthbench.pruning.state import State, module_of
from lthbench.runs.store.curve_writer import CurveWriter
from lthbench.runs.workers.worker.capacity import most_bytes
from lthbench.runs.workers.worker.measuring import logits
from lthbench.runs.workers.worker.reply import Reply
from lthbench.runs.workers.worker.workplace import Workplace, check_charge
from lthbench.training.gpu import graph_trainer
from lthbench.training.identity import by_author
from lthbench.training.metering.bounds import check_work
from lthbench.training.metering.meter import Meter, metered, unmetered
from lthbench.training.metering.sampled import SampledWork
from lthbench.training.numerics import for_evaluation
from lthbench.training.optimizer import optimizer
from lthbench.training.trainer import Trainer
from lthbench.training.trajectory import Trajectory


def train(place: Workplace, operation: Train, alone: bool) -> Reply:
    """Train as soon as there is capacity, `alone` or beside other trainings. Writes the state at every stop."""
    trajectory = operation.trajectory
    recipe, clock = trajectory.recipe, trajectory.clock
    most = most_bytes(trajectory.model, min(recipe.batch, clock.size), len(optimizer(recipe).slots))
    with place.capacity.taken(_kind(trajectory), most, alone) as settle, ExitStack() as ending:
        with place.turn():
            trainer = _begun(place, operation)
            ending.callback(_ended, place, trainer)
            size = trainer.prepare()
        settle(size)
        return _trained(place, operation, trainer)


def _ended(place: Workplace, trainer: Trainer) -> None:
    trainer.close()
    place.trim()
    place.spoilt = place.spoilt or trainer.spoilt


def _begun(place: Workplace, operation: Train) -> Trainer:
    """Return a trainer at the step where the operation begins."""
    trajectory = operation.trajectory
    state, at = _start(place, operation)
    feed, networks = place.feed(operation.split, "train"), place.networks(trajectory.networks)
    devices = (place.device, *place.peers)
    trainer = graph_trainer.trainer(trajectory, state, at, feed, place.turn, devices, networks)
    trainer.work = SampledWork(trajectory.key) if by_author(trajectory.rule) else None
    return trainer


def _start(place: Workplace, operation: Train) -> tuple[State, int]:
    """Return the state that a training starts from, and its step."""
    trajectory = operation.trajectory
    if operation.begin > trajectory.first:
        state, ended = place.store.read_state(trajectory.state(operation.begin).key)
        return state.raw or state, ended
    state = place.store.network(trajectory.start)
    return (state if trajectory.momentum else State(state.params, state.buffers, state.mask)), trajectory.first


def _trained(place: Workplace, operation: Train, trainer: Trainer) -> Reply:
    """Train to the last stop. MethodError if networks saw more examples than were charged."""
    trajectory, at, work = operation.trajectory, trainer.current.step, trainer.work
    curve = CurveWriter(place.store, trajectory, trainer, operation.begin, partial(_held_out, place, operation))
    with metered(work.meter, flops=False) if work else nullcontext(Meter()) as meter:
        ended = trainer.run(operation.stops, curve.keep, curve.watch if trajectory.recipe.watch else None)
    charged = trajectory.passes * (trajectory.clock.examples(ended) - trajectory.clock.examples(at))
    seen = max(trainer.seen, meter.seen)
    name = type(trajectory.rule).__name__ if trajectory.rule else "the training"
    check_charge(name, seen, charged)
    if work:
        check_work(name, meter.flops, trajectory.passes * work.examples, trajectory.model)
    return Reply(seen / len(trainer.feed), seen=seen)


def _held_out(place: Workplace, operation: Train, state: State) -> tuple[float, int]:
    """Return the loss and the right answers on the held-out examples of a network in training. No rule sees it."""
    trajectory = operation.trajectory
    with place.turn(), unmetered():
        module = module_of(trajectory.model, replace(state, basis=trajectory.start.basis), place.device).eval()
        feed = place.feed(operation.split, "validation")
        found = logits(for_evaluation(module, place.device), feed, trajectory.precision)
        right = (found.argmax(1) == feed.labels).sum()
        return float(F.cross_entropy(found.double(), feed.labels)), int(right)


def _kind(trajectory: Trajectory) -> Hashable:
    """Return the kind of a training. Trainings of one kind take the same amount of memory."""
    recipe, others = trajectory.recipe, tuple(source.model for _, source in trajectory.networks)
    return trajectory.model, recipe.batch, recipe.optimizer, trajectory.precision, type(trajectory.rule), others
