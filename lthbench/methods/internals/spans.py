"""The steps of a training and the examples of a measurement, from what a method asks for."""

from lthbench.errors import MethodError
from lthbench.methods.internals.setting import Setting
from lthbench.methods.network import Network, origin_of
from lthbench.training.clock import Clock, Position, check_position
from lthbench.training.recipe import Recipe


def span(net: Network, recipe: Recipe, clock: Clock, until: Position | None) -> tuple[int, int]:
    """Return the first and the last step of a training under a recipe, `until` a position or to the recipe's end.

    They are equal where the network stands at `until` already. Raises MethodError for a position that cannot be reached.
    """
    start = _position(net, recipe, clock)
    if until is not None:
        check_position("until", until)
    stop = clock.total if until is None else clock.step(until)
    if until is None or stop != start:
        _check_span(start, stop, clock)
    return start, stop


def count_of(setting: Setting, examples: int | None, per_class: int | None) -> int:
    """Count the examples that a measurement asks for. Raises MethodError for more than there are."""
    if examples is not None and per_class is not None:
        raise MethodError("measure: give examples or per_class, not both")
    asked = per_class * setting.model.classes if per_class is not None else examples
    if asked is not None and not 0 < asked <= setting.n_train:
        raise MethodError(f"measure: {asked} examples were asked for, there are {setting.n_train}")
    return setting.n_train if asked is None else asked


def _position(net: Network, recipe: Recipe, clock: Clock) -> int:
    """Return the step of a network under a recipe."""
    trajectory = origin_of(net).trajectory
    if trajectory and net.step and trajectory.recipe.pace != recipe.pace:
        raise MethodError(
            "epochs, batch, examples or warm-up of this recipe differ from those that the network was trained "
            f"under: say where it stands with net.at(…), net.at(0) to start the new schedule (it is at step {net.step})"
        )
    return net.step if trajectory else clock.step(net.position)


def _check_span(start: int, stop: int, clock: Clock) -> None:
    if stop > clock.total:
        raise MethodError(f"until step {stop}: the recipe ends at step {clock.total}; give a recipe with more epochs")
    if start >= clock.total:
        raise MethodError(f"this network is trained to the end (step {start}); write net.at(0) to train it once more")
    if stop < start:
        raise MethodError(f"until step {stop}: the network stands at step {start} already; write net.at({stop}) first")
