"""The operation Train: one training beside others, with the memory that it takes of the capacity."""

from collections.abc import Hashable
from contextlib import ExitStack, nullcontext

from lthbench.methods.internals.operations import Split, Train
from lthbench.pruning.state import State
from lthbench.runs.workers.worker.capacity import most_bytes
from lthbench.runs.workers.worker.reply import Reply
from lthbench.runs.workers.worker.workplace import Workplace, check_charge
from lthbench.training.gpu import graph_trainer
from lthbench.training.identity import by_author
from lthbench.training.metering.meter import Meter, metered
from lthbench.training.trainer import Trainer
from lthbench.training.trajectory import Trajectory


def train(place: Workplace, operation: Train, alone: bool) -> Reply:
    """Train as soon as there is capacity, `alone` or beside other trainings. Writes the state at every stop."""
    trajectory = operation.trajectory
    most = most_bytes(trajectory.model, min(trajectory.recipe.batch, trajectory.clock.size))
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
    feed, networks = place.feed(_split(trajectory), "train"), place.networks(trajectory.networks)
    return graph_trainer.trainer(trajectory, state, at, feed, place.turn, (place.device, *place.peers), networks)


def _split(t: Trajectory) -> Split:
    return Split(t.dataset, t.validation, t.data, t.normalisation, t.limit)


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
    trajectory, at = operation.trajectory, trainer.current.step

    def keep(stop: int, state: State) -> None:
        place.store.write_state(trajectory.state(stop).key, state, trainer.current.step)

    with metered(flops=False) if by_author(trajectory.rule) else nullcontext(Meter()) as meter:
        ended = trainer.run(operation.stops, keep)
    charged = trajectory.passes * (trajectory.clock.examples(ended) - trajectory.clock.examples(at))
    seen = max(trainer.seen, meter.seen)
    check_charge(type(trajectory.rule).__name__ if trajectory.rule else "the training", seen, charged)
    return Reply(seen / len(trainer.feed), ended=ended, seen=seen)


def _kind(trajectory: Trajectory) -> Hashable:
    """Return the kind of a training. Trainings of one kind take the same amount of memory."""
    recipe, others = trajectory.recipe, tuple(source.model for _, source in trajectory.networks)
    return trajectory.model, recipe.batch, recipe.optimizer, trajectory.precision, type(trajectory.rule), others
