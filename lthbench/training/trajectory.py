"""A training as plain data: its start, its recipe and its data. Every position on it is a state."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lthbench import keys
from lthbench.errors import InputError, MethodError
from lthbench.models import Model
from lthbench.pruning.lineage import Lineage, NamedLineages, Trained
from lthbench.pruning.starts import Normalisation
from lthbench.training.clock import Clock
from lthbench.training.identity import identity
from lthbench.training.recipe import Recipe
from lthbench.training.rules import Rule

VERSION = 1


@dataclass(frozen=True)
class Trajectory:
    """The steps `first` … clock.total of a recipe, from a network, in one order of the data.

    `data` is the fingerprint of the training examples. `seed` and `order` fix every random choice. The rule may look at the
    `networks`. `passes` is the charge for each example of a step.
    """

    start: Lineage
    first: int
    momentum: bool
    recipe: Recipe
    clock: Clock
    dataset: str
    validation: int
    data: str
    precision: str
    seed: int
    order: int
    rule: Rule | None = None
    allocation: str = "global"
    networks: NamedLineages = ()
    passes: int = 1
    normalisation: Normalisation | None = None  # of images, where it is not the data set's own; `data` contains it
    limit: int | None = None  # of the training examples; `data` stands for it in the key

    @property
    def model(self) -> Model:
        return self.start.model

    @cached_property
    def key(self) -> str:
        return keys.key("train", VERSION, self._parts)

    def check_batches(self) -> None:
        """Raise MethodError where a step, or a shard of one, has a single example that the model cannot be trained on."""
        clock, shards = self.clock, self.recipe.shards
        if clock.smallest_batch // shards > 1:
            return
        try:
            self.model.check_batch(1)
        except InputError as error:
            raise MethodError(
                f"{self.model.name} cannot be trained on a single example, but batch = {clock.batch}"
                f"{f' in {shards} shards' if shards > 1 else ''} leaves one of {clock.size} examples alone "
                f"({str(error).rpartition(': ')[2]}); choose another batch"
            ) from None

    def state(self, step: int) -> Trained:
        """Return the state after `step` steps."""
        return Trained(self.model, self.key, step, self.start.basis)

    def curve(self, step: int) -> str:
        """Return the key of the learning curve up to a step. It depends on how often the training is watched."""
        return keys.key("curve", 1, self.state(step).key, self.recipe.watch)

    def continues(self, recipe: Recipe, rule: Rule | None, order: int, networks: NamedLineages = ()) -> bool:
        """Tell whether training with these settings is the same trajectory."""
        same_rule = (rule and identity(rule)) == (self.rule and identity(self.rule))
        same_networks = networks == self.networks
        return recipe.identity == self.recipe.identity and order == self.order and same_rule and same_networks

    @property
    def _parts(self) -> dict[str, Any]:
        rule = self.rule and [identity(self.rule), self.allocation, sorted(self.model.prunable_shapes)]
        networks = {"networks": [[name, other.key] for name, other in self.networks]} if self.networks else {}
        return networks | {
            "start": self.start.key,
            "first": self.first,
            "momentum": self.momentum,
            "recipe": self.recipe.identity,
            "data": self.data,
            "precision": self.precision,
            "seed": self.seed,
            "order": self.order,
            "rule": rule or None,
        }
