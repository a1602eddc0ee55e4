"""What the steps of a training get beside their examples: random draws and learning rates. All of it is known beforehand."""

from torch import Tensor

from lthbench.pruning.allocate import keeper
from lthbench.training.augment import Augmentation, Draws
from lthbench.training.feed import step_generator
from lthbench.training.rules import Rule, TrainingState, overrides
from lthbench.training.rules.checks import check_draws, check_rate
from lthbench.training.schedule import rates
from lthbench.training.trajectory import Trajectory

OF_RULE = "rule/"  # before the names of a rule's draws, among those of a step


class Inputs:
    """The draws and learning rates of a training, as functions of the trajectory and the step."""

    def __init__(self, trajectory: Trajectory, augment: Augmentation):
        self.augment = augment
        self._trajectory, self._rule = trajectory, trajectory.rule or Rule()

    def state(self) -> TrainingState:
        """Return the state of the training without its tensors."""
        trajectory, clock = self._trajectory, self._trajectory.clock
        seed = (trajectory.seed, trajectory.order)
        current = TrainingState(keeper(trajectory.allocation), seed, clock.total, clock.steps_per_epoch)
        current.model, current.recipe = trajectory.model, trajectory.recipe
        return current

    def rates(self) -> Tensor:
        """Return the learning rate of every step, [total], on the CPU."""
        found = rates(self._trajectory.recipe, self._trajectory.clock.total)
        if not overrides(self._trajectory.rule, "learning_rate"):
            return found
        current = self.state()
        for current.step, rate in enumerate(found.tolist()):
            found[current.step] = check_rate(self._rule, self._rule.learning_rate(current, rate))
        return found

    def draws(self, count: int, step: int) -> Draws:
        """Draw what the augmentation and the rule need for `count` images in a step, on the CPU."""
        return {**self._of_augmentation(count, step), **self._of_rule(count, step)}

    def _of_augmentation(self, count: int, step: int) -> Draws:
        if self._trajectory.recipe.augment == "none":
            return {}
        _, height, width = self._trajectory.model.shape
        generator = step_generator("augment", self._trajectory.seed, self._trajectory.order, step)
        return self.augment.draw(count, height, width, generator)

    def _of_rule(self, count: int, step: int) -> Draws:
        if not overrides(self._trajectory.rule, "draw"):
            return {}
        generator = step_generator("rule draws", self._trajectory.seed, self._trajectory.order, step)
        draws = check_draws(self._rule, self._rule.draw(count, generator), count)
        return {f"{OF_RULE}{name}": t for name, t in draws.items()}
