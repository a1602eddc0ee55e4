"""The base class of rules, and the state of the training that a rule sees."""

from collections.abc import Callable
from typing import Any, ClassVar, Protocol

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from lthbench import keys
from lthbench.errors import InputError, MethodError
from lthbench.models import Model
from lthbench.pruning.allocate import Keep, Scores, keeper
from lthbench.pruning.tensors import Tensors, check_tensors
from lthbench.pruning.units import Units
from lthbench.training.recipe import Recipe


class GradientAt(Protocol):
    """The gradient of the loss of a step's batch. Each call is one pass through the network."""

    def __call__(self, values: Tensors | None = None) -> dict[str, Tensor]:
        """Return the gradient by the trained tensors at these `values` of them, by name; by default at their own values.

        Weights that the mask removes are 0 in the pass, and have a gradient like all others.
        """


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
    draws: Tensors  # the rule's draws for this step, [B] each
    recipe: Recipe

    def __init__(self, keep: Keep, seed: tuple[int, int], total: int, steps_per_epoch: int):
        self._keep, self._seed = keep, seed
        self._generator: tuple[int, Generator] | None = None
        self.total, self.steps_per_epoch = total, steps_per_epoch
        self.draws = {}
        self._logits: Callable[[Tensor, Tensors | None, str | None], Tensor] = _no_step
        self._descend: Callable[[Tensors], None] = _no_step

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

    def select(self, scores: Scores, sparsity: float, allocation: str | None = None) -> dict[str, Tensor]:
        """Select by an allocation, by default the suite's, with an exact count. Returns boolean tensors by name."""
        check_tensors("s.select: the score of", scores)
        if allocation is None:
            return self._keep(scores, sparsity)
        try:
            return keeper(allocation)(scores, sparsity)
        except InputError as error:
            raise MethodError(f"s.select: {error}") from None

    def forward(self, images: Tensor, weights: Tensors | None = None, network: str | None = None) -> Tensor:
        """Return logits [B, classes] of images [B, C, H, W]: one pass, for the hooks `batch`, `loss` and `gradient`.

        Without `network`, the network in training computes, in training mode; its running statistics stay as they are.
        Otherwise the one of that name in run.train(networks=…), in evaluation mode. `weights` replace its parameters, by name.
        """
        return self._logits(images, weights, network)

    def descend(self, grads: Tensors) -> None:
        """Move the trained tensors by the recipe's optimizer along gradients by name. For the hook `update`."""
        self._descend(grads)

    def masked(self, tensors: Tensors) -> dict[str, Tensor]:
        """Return tensors by parameter name, with zeros where the mask removes weights."""
        return {n: t * self.mask[n] if n in self.mask else t for n, t in tensors.items()}

    def set_mask(self, mask: Tensors) -> None:
        """Change the mask in place. Weights that are removed or come back are set to zero, as is the optimizer's state of
        them."""
        check_tensors("s.set_mask: the mask of", mask)
        for name, new in mask.items():
            if new.dtype != torch.bool:
                raise MethodError(f"s.set_mask: the mask of {name} is {new.dtype}; a mask is boolean: write scores > 0")
            stays = self.mask[name] & new
            for tensors in (self.params, *self.slots.values()):
                if name in tensors:
                    tensors[name].masked_fill_(~stays, 0.0)
            self.mask[name].copy_(new)


class Rule:
    """Base class of all rules. A rule is a frozen dataclass: its name, `version`, fields and source are its identity.

    `every` is the number of steps between two calls of after_step. `passes` is the number of passes of each example in a
    step, through any network, and sets the charge. The hooks `batch`, `weights`, `loss`, `penalty`, `gradient`, `update`
    and `trained` are part of every step and must not look at values; `start`, `after_step`, `done` and `finish` may.
    """

    version: ClassVar[int] = 1
    every: int = 0
    passes: int = 1

    def start(self, s: TrainingState) -> dict[str, Tensor]:
        """Return the rule's own tensors, which are kept with the network."""
        return {}

    def trained(self, s: TrainingState) -> dict[str, Tensor]:
        """Return the tensors that the optimizer updates."""
        return s.params

    def weights(self, s: TrainingState) -> dict[str, Tensor]:
        """Return the tensors that the forward pass uses. A rule that changes this applies the mask itself."""
        return s.params

    def draw(self, count: int, g: Generator) -> dict[str, Tensor]:
        """Draw random numbers for a step on `count` examples, on the CPU: [count] each. The hooks have them as s.draws."""
        return {}

    def batch(self, s: TrainingState, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the images [B, C, H, W] and labels, [B] or soft [B, classes], of a step. They come augmented."""
        return images, labels

    def loss(self, s: TrainingState, logits: Tensor, labels: Tensor, images: Tensor) -> Tensor:
        """Return the loss of a batch, a scalar. By default it is the recipe's cross-entropy."""
        return F.cross_entropy(logits.float(), labels, label_smoothing=s.recipe.label_smoothing)

    def penalty(self, s: TrainingState) -> Tensor | float:
        """Return a term that is added to the loss of every step."""
        return 0.0

    def gradient(self, s: TrainingState, at: GradientAt) -> dict[str, Tensor]:
        """Return the gradient of a step by the trained tensors, by name. Each call of `at` is a pass.

        The hook itself computes without recording derivatives.
        """
        return at()

    def update(self, s: TrainingState, grads: dict[str, Tensor]) -> None:
        """Move the trained tensors in place. Weights that the mask removes are set to zero afterwards."""
        s.descend(grads)

    def learning_rate(self, s: TrainingState, rate: float) -> float:
        """Return the learning rate of a step from the recipe's. Only s.step, s.total and s.steps_per_epoch are known.

        This is called for all steps before the first.
        """
        return rate

    def after_step(self, s: TrainingState) -> None:
        """Act after every `every` steps."""

    def done(self, s: TrainingState) -> bool:
        """Decide at the end of every epoch whether the training ends there."""
        return False

    def finish(self, s: TrainingState) -> None:
        """Leave plain weights and a mask. This is called on a copy at the end of every training."""


def _no_step(*_: object) -> Any:
    raise MethodError(
        "s.forward and s.descend belong to a step; call them in the hooks batch, loss, gradient and update"
    )


HOOKS = tuple(name for name, hook in vars(Rule).items() if callable(hook) and not name.startswith("_"))


def overrides(rule: Rule | None, hook: str) -> bool:
    """Tell whether the rule overrides a hook."""
    return rule is not None and getattr(type(rule), hook) is not getattr(Rule, hook)
