"""What a rule is, and what it sees of the training that it is part of."""

from typing import ClassVar

from torch import Generator, Tensor

from lthbench import keys
from lthbench.models import Model
from lthbench.pruning.allocate import Keep, Scores
from lthbench.pruning.tensors import Tensors
from lthbench.pruning.units import Units


class TrainingState:
    """What a rule sees of a running training. All tensors are the training's own, by parameter name."""

    params: dict[str, Tensor]
    grads: dict[str, Tensor]  # of the loss by the parameters, dense: they exist at pruned positions too
    momentum: dict[str, Tensor]
    mask: dict[str, Tensor]  # boolean, prunable parameters
    state: dict[str, Tensor]  # the rule's own
    prunable: tuple[str, ...]
    step: int  # steps done before this one
    total: int
    model: Model
    steps_per_epoch: int
    lr: Tensor  # of this step, a scalar

    def __init__(self, keep: Keep, seed: tuple[int, int], total: int, steps_per_epoch: int):
        self._keep, self._seed = keep, seed
        self._generator: tuple[int, Generator] | None = None
        self.total, self.steps_per_epoch = total, steps_per_epoch

    @property
    def units(self) -> Units:
        """The model's channels and neurons, by layer."""
        return Units.of(self.model)

    @property
    def generator(self) -> Generator:
        """A generator on the CPU that is a function of the seed, the order and the step."""
        if self._generator is None or self._generator[0] != self.step:
            self._generator = self.step, Generator().manual_seed(keys.seed("rule", *self._seed, self.step))
        return self._generator[1]

    def select(self, scores: Scores, sparsity: float) -> dict[str, Tensor]:
        """The suite's allocation, with an exact count: boolean tensors by name."""
        return self._keep(scores, sparsity)

    def set_mask(self, mask: Tensors) -> None:
        """Changes the mask in place; zeroes what goes and what comes, and its momentum."""
        for name, new in mask.items():
            stays = self.mask[name] & new
            for tensors in (self.params, self.momentum):
                if name in tensors:
                    tensors[name].masked_fill_(~stays, 0.0)
            self.mask[name].copy_(new)


class Rule:
    """Base of all rules. A rule is a frozen dataclass: its name, `version`, fields and source are its identity.

    `every`: steps between two calls of after_step. `penalty`, `trained` and `weights` are part of every step and may not
    look at values; `after_step`, `done` and `finish` may.
    """

    version: ClassVar[int] = 1
    every: int = 0

    def start(self, s: TrainingState) -> dict[str, Tensor]:
        """Tensors of its own, kept with the network."""
        return {}

    def trained(self, s: TrainingState) -> dict[str, Tensor]:
        """What the optimizer moves."""
        return s.params

    def weights(self, s: TrainingState) -> dict[str, Tensor]:
        """What the forward pass uses. A rule that changes this applies the mask itself."""
        return s.params

    def penalty(self, s: TrainingState) -> Tensor | float:
        """Added to the loss of every step."""
        return 0.0

    def after_step(self, s: TrainingState) -> None:
        """Called after every `every` steps."""

    def done(self, s: TrainingState) -> bool:
        """Asked at the end of every epoch; True ends the training there."""
        return False

    def finish(self, s: TrainingState) -> None:
        """Called on a copy at the end of every training, to leave plain weights and a mask."""


def overrides(rule: Rule | None, hook: str) -> bool:
    """Whether the rule has a hook of its own."""
    return rule is not None and getattr(type(rule), hook) is not getattr(Rule, hook)
