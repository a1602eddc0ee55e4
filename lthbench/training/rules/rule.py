"""The base class of rules, and the state of the training that a rule sees."""

from typing import ClassVar

from torch import Generator, Tensor

from lthbench import keys
from lthbench.models import Model
from lthbench.pruning.allocate import Keep, Scores
from lthbench.pruning.tensors import Tensors
from lthbench.pruning.units import Units


class TrainingState:
    """The state of a running training, as a rule sees it. All tensors are the training's own, by parameter name."""

    params: dict[str, Tensor]
    grads: dict[str, Tensor]  # of the loss by the parameters, dense: pruned positions have one too
    slots: dict[str, dict[str, Tensor]]  # of the optimizer: momentum (sgd), or mean, variance and steps (adam, adamw)
    mask: dict[str, Tensor]  # boolean, prunable parameters
    state: dict[str, Tensor]  # the rule's own tensors
    prunable: tuple[str, ...]
    step: int  # steps done before this one
    total: int
    model: Model
    steps_per_epoch: int
    lr: Tensor  # the learning rate of this step, a scalar

    def __init__(self, keep: Keep, seed: tuple[int, int], total: int, steps_per_epoch: int):
        self._keep, self._seed = keep, seed
        self._generator: tuple[int, Generator] | None = None
        self.total, self.steps_per_epoch = total, steps_per_epoch

    @property
    def momentum(self) -> dict[str, Tensor]:
        """Return the running mean of the gradients: SGD's momentum, or Adam's mean."""
        return self.slots.get("momentum") or self.slots.get("mean", {})

    @property
    def units(self) -> Units:
        """Return the model's channels and neurons, by layer."""
        return Units.of(self.model)

    @property
    def generator(self) -> Generator:
        """Return a generator on the CPU that is a function of the seed, the order and the step."""
        if self._generator is None or self._generator[0] != self.step:
            self._generator = self.step, Generator().manual_seed(keys.seed("rule", *self._seed, self.step))
        return self._generator[1]

    def select(self, scores: Scores, sparsity: float) -> dict[str, Tensor]:
        """Select by the suite's allocation, with an exact count. Returns boolean tensors by name."""
        return self._keep(scores, sparsity)

    def set_mask(self, mask: Tensors) -> None:
        """Change the mask in place. Weights that are removed or come back are set to zero, as is the optimizer's state of
        them."""
        for name, new in mask.items():
            stays = self.mask[name] & new
            for tensors in (self.params, *self.slots.values()):
                if name in tensors:
                    tensors[name].masked_fill_(~stays, 0.0)
            self.mask[name].copy_(new)


class Rule:
    """Base class of all rules. A rule is a frozen dataclass: its name, `version`, fields and source are its identity.

    `every` is the number of steps between two calls of after_step. `penalty`, `trained` and `weights` are part of every
    step and must not look at values; `after_step`, `done` and `finish` may.
    """

    version: ClassVar[int] = 1
    every: int = 0

    def start(self, s: TrainingState) -> dict[str, Tensor]:
        """Return the rule's own tensors, which are kept with the network."""
        return {}

    def trained(self, s: TrainingState) -> dict[str, Tensor]:
        """Return the tensors that the optimizer updates."""
        return s.params

    def weights(self, s: TrainingState) -> dict[str, Tensor]:
        """Return the tensors that the forward pass uses. A rule that changes this applies the mask itself."""
        return s.params

    def penalty(self, s: TrainingState) -> Tensor | float:
        """Return a term that is added to the loss of every step."""
        return 0.0

    def after_step(self, s: TrainingState) -> None:
        """Act after every `every` steps."""

    def done(self, s: TrainingState) -> bool:
        """Decide at the end of every epoch whether the training ends there."""
        return False

    def finish(self, s: TrainingState) -> None:
        """Leave plain weights and a mask. This is called on a copy at the end of every training."""


def overrides(rule: Rule | None, hook: str) -> bool:
    """Tell whether the rule overrides a hook."""
    return rule is not None and getattr(type(rule), hook) is not getattr(Rule, hook)
