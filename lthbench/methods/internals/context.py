"""The context behind a run: the cell, the accounts, and the engine that has operations done."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Generator

from lthbench.errors import MethodError
from lthbench.methods.facade import behind
from lthbench.methods.internals.ledger import Ledger
from lthbench.methods.internals.operations import Measure, Validate
from lthbench.methods.internals.pipeline import Pipeline
from lthbench.methods.internals.setting import Setting
from lthbench.methods.network import Network, origin_of
from lthbench.pruning.lineage import Lineage, NamedLineages
from lthbench.pruning.state import State
from lthbench.pruning.tensors import Tensors, is_planned
from lthbench.training.clock import Clock
from lthbench.training.recipe import Recipe
from lthbench.training.rules import Rule, passes_of_rule
from lthbench.training.trajectory import Trajectory


class Engine(Protocol):
    """The interface that has the operations of a run done: for real by the driver, without values by the planner."""

    def train(self, context: "RunContext", trajectory: Trajectory, stop: int) -> int: ...
    def measure(self, context: "RunContext", operation: Measure) -> Tensors: ...
    def validate(self, context: "RunContext", operation: Validate) -> float: ...
    def load(self, context: "RunContext", net: Network) -> State: ...


@dataclass(eq=False)
class RunContext:
    """One method on one cell, as the driver sees it. It holds the ledger and everything that enters the record."""

    setting: Setting
    engine: Engine
    ledger: Ledger = field(init=False)
    pipeline: Pipeline = field(default_factory=Pipeline)
    kept: dict[str, Network] = field(default_factory=dict)
    lines: dict[str, tuple[Network, Network]] = field(default_factory=dict)  # pairs whose error barrier is requested
    notes: dict[str, float | list[float]] = field(default_factory=dict)
    edit_tensors: dict[str, Tensors] = field(default_factory=dict)  # by digest, for workers; the start's too
    starts: dict[str, Lineage] = field(default_factory=dict)  # of trainings, by the key of their trajectory
    generators: dict[str, Generator] = field(default_factory=dict)
    diverged: bool = False  # whether a network that was loaded holds NaN or infinity

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.setting.budget, self.setting.n_train)
        self.edit_tensors |= self.setting.start_tensors

    def load(self, net: Network) -> State:
        """Return the tensors of a network."""
        state = self.engine.load(self, net)
        self.diverged |= not is_planned(state.params) and not state.finite
        return state

    def clock(self) -> Clock:
        """Return the clock of the suite's recipe."""
        return self.setting.recipe.clock(self.setting.n_train)

    def admit(self, net: Any) -> None:
        """Check a network that a method hands in, and note the tensors of its edits."""
        if not isinstance(net, Network):
            raise MethodError(f"asked for a Network, got {type(net).__name__}")
        origin = origin_of(net)
        if origin.owner is not self:
            raise MethodError("this network belongs to another run; make it with this run's init and train")
        origin.check_unchanged()
        self.edit_tensors |= origin.edit_tensors

    def others(self, networks: Mapping[str, Network]) -> NamedLineages:
        """Check the networks that an operation may look at beside its own, and return their lineages by name."""
        for net in networks.values():
            self.admit(net)
        return tuple(sorted((name, origin_of(net).lineage) for name, net in networks.items()))

    def returned(self, net: object) -> Network:
        """Check that the method returned a network of this run. Its sparsity is counted when it is evaluated."""
        if not isinstance(net, Network):
            raise MethodError(f"a method returns a Network, not {type(net).__name__}; write return run.train(…)")
        self.admit(net)
        self.pipeline.end(net)
        return net

    def trajectory(
        self,
        net: Network,
        start: int,
        recipe: Recipe,
        clock: Clock,
        rule: Rule | None,
        order: int,
        networks: NamedLineages = (),
    ) -> Trajectory:
        """Return the trajectory that a training continues, or a new one from this network, watched as the suite says."""
        origin, setting = origin_of(net), self.setting
        recipe = recipe.replace(watch=setting.recipe.watch)
        running = origin.trajectory
        if running and not origin.lineage.edits and running.continues(recipe, rule, order, networks):
            return running
        return Trajectory(
            start=origin.lineage,
            first=start,
            momentum=bool(running) and origin.lineage.keeps_momentum,
            recipe=recipe,
            clock=clock,
            dataset=setting.split.dataset,
            validation=setting.split.validation,
            data=setting.split.fingerprint,
            normalisation=setting.split.normalisation,
            precision=setting.suite.precision,
            seed=setting.cell.seed,
            order=order,
            rule=rule,
            allocation=setting.suite.selection,
            networks=networks,
            passes=passes_of_rule(rule),
            limit=setting.split.limit,
        )


def context_of(run: Any) -> RunContext:
    """Return the context behind a Run. Not for methods."""
    context: RunContext = behind(run)
    return context
