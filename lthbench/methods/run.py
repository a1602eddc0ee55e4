"""The object that a method is given: one cell of a suite, and the operations that the method may ask for."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

from torch import Generator

from lthbench import _renamed, keys
from lthbench import budget as formulas
from lthbench.errors import MethodError
from lthbench.methods.facade import attach
from lthbench.methods.internals.context import RunContext, context_of
from lthbench.methods.internals.operations import Measure, Validate
from lthbench.methods.internals.spans import count_of, span
from lthbench.methods.mixing import mixed, statistics_of
from lthbench.methods.network import Network, NetworkOrigin, origin_of
from lthbench.models import Model
from lthbench.pruning.allocate import Scores, select
from lthbench.pruning.lineage import Init, Lineage
from lthbench.pruning.mask import Mask
from lthbench.pruning.structured import select_units
from lthbench.pruning.tensors import Tensors
from lthbench.pruning.units import Units
from lthbench.training.clock import Position, Steps
from lthbench.training.metering.bounds import check_fields
from lthbench.training.probes import BatchStatistics, Probe, passes_of
from lthbench.training.recipe import Recipe
from lthbench.training.rules import Rule, check_rule, overrides


class Run:
    """One method on one cell. Every random choice is a function of the cell's seed.

    A Run is a facade: the ledger, the cell and the engine are behind it, and no public name leads to them.
    """

    __slots__ = ("_machinery",)

    def __init__(self, context: RunContext):
        attach(self, context)

    def __getattr__(self, name: str) -> Any:
        return getattr(self, _renamed.attribute("Run", name, _renamed.RUN))

    @property
    def sparsity(self) -> float:
        """Return the share of prunable weights that the cell asks to remove."""
        return context_of(self).setting.cell.sparsity

    @property
    def recipe(self) -> Recipe:
        """Return the suite's recipe, at the cell's learning rate."""
        return context_of(self).setting.recipe

    @property
    def epochs(self) -> int:
        """Return T, the recipe's epochs."""
        return self.recipe.epochs

    @property
    def budget(self) -> float:
        """Return the epochs that may be spent; infinite where the suite sets no budget."""
        budget = context_of(self).setting.budget
        return math.inf if budget is None else budget

    @property
    def stretched(self) -> Recipe:
        """Return the recipe stretched to the whole budget. MethodError where the suite sets none."""
        if math.isinf(self.budget):
            raise MethodError("the suite sets no budget to stretch the recipe to; give run.recipe.replace(epochs=…)")
        return self.recipe.replace(epochs=int(self.budget))

    @property
    def left(self) -> float:
        """Return the epochs that are left of the budget."""
        return context_of(self).ledger.left

    @property
    def examples(self) -> int:
        """Return the number of training examples of one epoch."""
        return context_of(self).setting.n_train

    @property
    def model(self) -> Model:
        """Return the workload's model."""
        return context_of(self).setting.model

    @property
    def allocation(self) -> str:
        """Return how the suite selects: its pattern such as 2:4, else its allocation (global, uniform, erk or balanced)."""
        return context_of(self).setting.suite.selection

    def init(self, stream: int = 0, *, model: Model | str | None = None, scheme: str | None = None) -> Network:
        """Return a network at initialisation: the workload's start where it has one, else a draw.

        `stream` chooses another draw of the same seed, `model` another model of the family, and `scheme` another
        initialisation than the workload's; these are drawn anew, whatever the start.
        """
        context = context_of(self)
        workload, own = context.setting.cell.workload, self.model
        if isinstance(model, str):
            model = workload.model_copy(update={"model": model}).build(own.shape, own.classes)
        drawn = stream or scheme or model not in (None, own)
        start = "" if drawn else context.setting.start_key
        root = Init(model or own, scheme or workload.init, context.setting.cell.seed, stream, start)
        net = Network(NetworkOrigin(context, Lineage(root)), Mask.full(root.model.prunable_shapes))
        context.pipeline.init(net, stream)
        return net

    def train(
        self,
        net: Network,
        *,
        until: Position | None = None,
        recipe: Recipe | None = None,
        rule: Rule | None = None,
        order: int = 0,
        networks: Mapping[str, Network] = MappingProxyType({}),
    ) -> Network:
        """Train on to the recipe's end, or `until` an epoch or Steps(n).

        `order` chooses another order of the data. The rule sees the `networks` by `s.forward(images, network=name)`; they do
        not change. Raises MethodError where `until` lies before the network's position or past
        the recipe's end, or where the position has another meaning under `recipe`. Raises OverBudget before the budget is
        exceeded.
        """
        context = context_of(self)
        context.admit(net)
        check_rule(rule)
        if rule is not None:
            check_fields(rule, self.model)
        recipe = recipe or self.recipe
        clock = recipe.clock(self.examples)
        start, stop = span(net, recipe, clock, until)
        if stop == start:
            return net
        trajectory = context.trajectory(net, start, recipe, clock, rule, order, context.others(networks))
        context.starts[trajectory.key] = trajectory.start
        context.ledger.train(trajectory.key, clock, start, stop, trajectory.passes)
        ended = context.engine.train(context, trajectory, stop)
        context.ledger.end(trajectory.key, clock, ended, stop, trajectory.passes)
        moves_mask = overrides(rule, "after_step") or overrides(rule, "finish")
        origin = NetworkOrigin(context, Lineage(trajectory.state(stop)), trajectory)
        out = Network(origin, None if moves_mask else net.mask, Steps(ended))
        context.pipeline.train(net, out, ended - start, clock, rule)
        return out

    def fine_tune(
        self,
        net: Network,
        epochs: int,
        *,
        rule: Rule | None = None,
        order: int = 0,
        networks: Mapping[str, Network] = MappingProxyType({}),
    ) -> Network:
        """Train for `epochs` epochs at the recipe's last learning rate (`fine_tune_lr`), from epoch 0 of a recipe of its own.

        The momentum is cleared.
        """
        recipe = self.recipe.fine_tuning(epochs)
        return self.train(net.at(0), recipe=recipe, rule=rule, order=order, networks=networks)

    def mixed(self, shares: Mapping[Network, float]) -> Network:
        """Return the weighted mean of networks: `run.mixed({a: 0.5, b: 0.5})`. Free of charge.

        A weight is removed where all networks remove it. The position is that of the first network. Shares add up to 1.
        """
        for net in shares:
            context_of(self).admit(net)
        return mixed(shares)

    def recalibrated(self, net: Network, *, examples: int | None = None, stream: int = 0) -> Network:
        """Return the network with running statistics of batch-norm taken anew, on `examples` training examples or all.

        The charge is scoring: one pass. A network without batch-norm is returned as it is.
        """
        names = statistics_of(net)
        if not names:
            return net
        found = self.measure(net, BatchStatistics(), examples=examples, stream=stream)
        return net.with_weights({name: found[name] for name in names})

    def measure(
        self,
        net: Network,
        probe: Probe,
        *,
        examples: int | None = None,
        per_class: int | None = None,
        stream: int = 0,
        networks: Mapping[str, Network] = MappingProxyType({}),
    ) -> Tensors:
        """Return the result of a probe on seeded training examples: `examples` of them, `per_class` of each class, or all.

        `stream` chooses another draw. The probe has the `networks` as `batches.networks`, modules in evaluation mode that it
        may call: every call is a pass. The charge is scoring: passes x examples.
        """
        context = context_of(self)
        context.admit(net)
        count, passes = count_of(context.setting, examples, per_class), passes_of(probe)
        check_fields(probe, self.model)
        setting = context.setting
        operation = Measure(
            origin_of(net).lineage,
            probe,
            setting.split,
            setting.suite.precision,
            setting.cell.seed,
            stream,
            self.recipe.batch,
            passes,
            examples,
            per_class,
            context.others(networks),
        )
        context.ledger.measure("score", operation.key, passes * count)
        context.pipeline.measure(probe)
        return context.engine.measure(context, operation)

    def validate(self, net: Network) -> float:
        """Return the share of correct answers on the held-out training examples, in 0…1. Charged as validation."""
        context = context_of(self)
        context.admit(net)
        suite = context.setting.suite
        if not suite.validation:
            raise MethodError("validate: the suite holds out no example (validation = 0); choose without it")
        operation = Validate(origin_of(net).lineage, context.setting.split, suite.precision)
        context.ledger.measure("validate", operation.key, suite.validation)
        return context.engine.validate(context, operation)

    def select(self, scores: Scores, sparsity: float | None = None, *, units: Units | None = None) -> Mask:
        """Return the mask that the suite's allocation makes of scores, with an exact count; the cell's sparsity by default.

        With `units`, scores are by group of units, and whole units are removed: the fewest that reach the count.
        """
        asked = self.sparsity if sparsity is None else sparsity
        if units is None:
            mask = select(self._of_all(scores), asked, self.allocation)
        elif context_of(self).setting.suite.pattern:
            raise MethodError(
                f"select: whole units cannot follow the suite's pattern {self.allocation}; leave units out"
            )
        else:
            mask = select_units(scores, asked, self.allocation, units, self.model.prunable_shapes)
        context_of(self).pipeline.select(asked, whole=units is not None)
        return mask

    def rounds(self, fraction: float = 0.2, *, most: float = math.inf) -> list[float]:
        """Return the sparsity after each round that removes `fraction` of the remaining weights, up to exactly the cell's.

        If that takes more than `most` rounds, there are `most` rounds, and each removes the same larger fraction.
        """
        usual = formulas.rounds(self.sparsity, fraction)
        if len(usual) <= most:
            return usual
        return formulas.rounds(self.sparsity, 1 - (1 - self.sparsity) ** (1 / max(1, int(most))))

    def generator(self, name: str) -> Generator:
        """Return a random generator of the run's own: a function of the cell's seed and this name.

        The same name returns the same generator, which continues its sequence.
        """
        context = context_of(self)
        if name not in context.generators:
            seed = keys.seed("method", context.setting.cell.seed, name)
            context.generators[name] = Generator().manual_seed(seed)
        return context.generators[name]

    def keep(self, /, **networks: Network) -> None:
        """Have networks evaluated and stored beside the result. The method never sees their accuracy.

        MethodError for the name `init`, which on the record is the initialisation that the result descends from.
        """
        context = context_of(self)
        if "init" in networks:
            raise MethodError(
                "keep(init=…): init is the name of the initialisation that the result descends from; choose another name"
            )
        for net in networks.values():
            context.admit(net)
        context.kept |= networks

    def barrier(self, /, **pairs: tuple[Network, Network]) -> None:
        """Put the error barrier between two networks of one model on the record, for training and test images.

        The method never sees it. Frankle et al., ICML 2020.
        """
        context = context_of(self)
        for pair in pairs.values():
            for net in pair:
                context.admit(net)
        context.lines |= pairs

    def note(self, **values: float | list[float]) -> None:
        """Put numbers on the record. MethodError for one that is not finite."""
        for name, value in values.items():
            numbers = [float(v) for v in value] if isinstance(value, list) else [float(value)]
            if not all(map(math.isfinite, numbers)):
                raise MethodError(f"note({name}=…): {value} is not finite")
            context_of(self).notes[name] = numbers if isinstance(value, list) else numbers[0]

    @contextmanager
    def off_budget(self, name: str) -> Iterator[None]:
        """Charge all work inside the context to an account outside the budget. The row is shown, not ranked."""
        with context_of(self).ledger.account(name):
            yield

    def _of_all(self, scores: Scores) -> Scores:
        """Return the scores of the prunable parameters. MethodError where one has no score."""
        names = self.model.prunable_shapes
        missing = sorted(names.keys() - scores.keys())
        if missing:
            raise MethodError(
                f"select: no scores for {', '.join(missing)}; a score for every prunable parameter is needed"
            )
        return {name: scores[name] for name in names}
