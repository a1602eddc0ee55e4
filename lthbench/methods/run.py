"""What a method is given: one cell of a suite, and the operations that it may ask for."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from torch import Generator

from lthbench import budget as formulas
from lthbench import keys
from lthbench.errors import MethodError
from lthbench.methods.internals.ledger import Ledger
from lthbench.methods.internals.operations import Measure, Validate
from lthbench.methods.internals.pipeline import Story
from lthbench.methods.internals.setting import Setting
from lthbench.methods.network import Network
from lthbench.models import Model
from lthbench.pruning.allocate import Scores, select
from lthbench.pruning.lineage import Init, Lineage
from lthbench.pruning.mask import Mask
from lthbench.pruning.state import State
from lthbench.pruning.structured import select_units
from lthbench.pruning.tensors import Tensors, is_planned
from lthbench.pruning.units import Units
from lthbench.training.probes import Probe
from lthbench.training.recipe import Clock, Position, Recipe, Steps, check_position
from lthbench.training.rules import Rule, overrides
from lthbench.training.trajectory import Trajectory


class Engine(Protocol):
    """Who does what a run asks for: the driver for real, the planner in thought."""

    def train(self, run: "Run", trajectory: Trajectory, stop: int) -> int: ...
    def measure(self, run: "Run", operation: Measure) -> Tensors: ...
    def validate(self, run: "Run", operation: Validate) -> float: ...
    def load(self, run: "Run", net: Network) -> State: ...


class Run:
    """One method on one cell. Every random choice is a function of the cell's seed."""

    def __init__(self, setting: Setting, engine: Engine):
        self.setting = setting
        self.ledger = Ledger(setting.budget, setting.size)
        self.story = Story()
        self.kept: dict[str, Network] = {}
        self.lines: dict[str, tuple[Network, Network]] = {}
        self.notes: dict[str, float | list[float]] = {}
        self.content: dict[str, Tensors] = {}  # of edits, by digest: what workers may ask for
        self.starts: dict[str, Lineage] = {}  # of trainings, by the key of their trajectory
        self.diverged = False  # whether a network that was looked at holds NaN or infinity
        self._engine = engine
        self._generators: dict[str, Generator] = {}

    @property
    def sparsity(self) -> float:
        """The share of prunable weights that the cell asks to remove."""
        return self.setting.cell.sparsity

    @property
    def recipe(self) -> Recipe:
        """The suite's recipe, at the cell's learning rate."""
        return self.setting.recipe

    @property
    def epochs(self) -> int:
        """T, the recipe's epochs."""
        return self.recipe.epochs

    @property
    def budget(self) -> float:
        """Epochs that may be spent; infinite where the suite sets no budget."""
        return math.inf if self.setting.budget is None else self.setting.budget

    @property
    def stretched(self) -> Recipe:
        """The recipe stretched to the whole budget. MethodError where the suite sets none."""
        if self.setting.budget is None:
            raise MethodError("the suite sets no budget to stretch the recipe to; give run.recipe.replace(epochs=…)")
        return self.recipe.replace(epochs=int(self.budget))

    @property
    def left(self) -> float:
        """Epochs that are left of the budget."""
        return self.ledger.left

    @property
    def examples(self) -> int:
        """Training examples: one epoch."""
        return self.setting.size

    @property
    def model(self) -> Model:
        """The workload's model."""
        return self.setting.model

    @property
    def allocation(self) -> str:
        """The suite's allocation: global, uniform or erk."""
        return self.setting.suite.allocation

    def init(self, stream: int = 0, *, model: Model | str | None = None, scheme: str | None = None) -> Network:
        """A network at initialisation. Another `stream` is another draw of the same seed; `model` another of the family;
        `scheme` another initialisation than the workload's."""
        if isinstance(model, str):
            model = self.setting.cell.workload.model_copy(update={"model": model}).build(
                self.model.shape, self.model.classes
            )
        workload = self.setting.cell.workload
        root = Init(model or self.model, scheme or workload.init, self.setting.cell.seed, stream)
        net = Network(self, Lineage(root), Mask.full(root.model.prunable_shapes))
        self.story.init(net, stream)
        return net

    def train(
        self,
        net: Network,
        *,
        until: Position | None = None,
        recipe: Recipe | None = None,
        rule: Rule | None = None,
        order: int = 0,
    ) -> Network:
        """Train on to the recipe's end, or `until` an epoch or Steps(n).

        `order` gives another order of the data. Raises MethodError behind the position, past the end, or where the
        position means something else under `recipe`; OverBudget before it would spend too much.
        """
        self._own(net)
        recipe = recipe or self.recipe
        clock = recipe.clock(self.setting.size)
        start = self._standing(net, recipe, clock)
        if until is not None:
            check_position("until", until)
        stop = clock.total if until is None else clock.step(until)
        if stop == start and until is not None:
            return net
        self._check_span(start, stop, clock)
        trajectory = self._trajectory(net, start, recipe, clock, rule, order)
        self.starts[trajectory.key] = trajectory.start
        self.ledger.train(trajectory.key, clock, start, stop)
        ended = self._engine.train(self, trajectory, stop)
        self.ledger.end(trajectory.key, clock, ended, stop)
        moves_mask = overrides(rule, "after_step") or overrides(rule, "finish")
        out = Network(self, Lineage(trajectory.state(stop)), None if moves_mask else net.mask, Steps(ended), trajectory)
        self.story.train(net, out, ended - start, clock, rule)
        return out

    def fine_tune(self, net: Network, epochs: int, *, rule: Rule | None = None, order: int = 0) -> Network:
        """Train for so many epochs at the recipe's last rate (`fine_tune_lr`), from where the network is."""
        return self.train(net.at(0), recipe=self.recipe.fine_tuning(epochs), rule=rule, order=order)

    def measure(
        self, net: Network, probe: Probe, *, examples: int | None = None, per_class: int | None = None, stream: int = 0
    ) -> Tensors:
        """What a probe finds on seeded training examples: so many, or so many per class, or all of them.

        Another `stream` is another draw. Charged as scoring: passes x examples.
        """
        self._own(net)
        count = self._examples(examples, per_class)
        operation = Measure(
            net.lineage,
            probe,
            self.setting.split,
            self.setting.suite.precision,
            self.setting.cell.seed,
            stream,
            self.recipe.batch,
            examples,
            per_class,
        )
        self.ledger.measure("score", operation.key, probe.passes * count)
        self.story.measure(probe)
        return self._engine.measure(self, operation)

    def validate(self, net: Network) -> float:
        """The share of right answers on the held-out training examples, in 0…1. Charged as validation."""
        self._own(net)
        held = self.setting.suite.validation
        if not held:
            raise MethodError("validate: the suite holds out no example (validation = 0); choose without it")
        operation = Validate(net.lineage, self.setting.split, self.setting.suite.precision)
        self.ledger.measure("validate", operation.key, held)
        return self._engine.validate(self, operation)

    def select(self, scores: Scores, sparsity: float | None = None, *, units: Units | None = None) -> Mask:
        """The mask that the suite's allocation makes of scores, with an exact count; the cell's sparsity by default.

        With `units`, scores are by group of units, and whole units go: the fewest that reach the count.
        """
        asked = self.sparsity if sparsity is None else sparsity
        if units is None:
            mask = self._select(scores, asked)
        else:
            mask = select_units(scores, asked, self.allocation, units, self.model.prunable_shapes)
        self.story.select(asked, whole=units is not None)
        return mask

    def _select(self, scores: Scores, asked: float) -> Mask:
        names = self.model.prunable_shapes
        missing = sorted(names.keys() - scores.keys())
        if missing:
            raise MethodError(
                f"select: no scores for {', '.join(missing)}; a score for every prunable parameter is needed"
            )
        return select({name: scores[name] for name in names}, asked, self.allocation)

    def rounds(self, rate: float = 0.2, *, most: float = math.inf) -> list[float]:
        """The sparsity after each round that removes `rate` of what is left, ending at exactly the cell's.

        Where that takes more than `most` rounds, so many are taken, each removing the same larger share.
        """
        usual = formulas.rounds(self.sparsity, rate)
        if len(usual) <= most:
            return usual
        return formulas.rounds(self.sparsity, 1 - (1 - self.sparsity) ** (1 / max(1, int(most))))

    def generator(self, name: str) -> Generator:
        """A generator of the run's own: a function of the cell's seed and this name. The same name goes on where it was."""
        if name not in self._generators:
            seed = keys.seed("method", self.setting.cell.seed, name)
            self._generators[name] = Generator().manual_seed(seed)
        return self._generators[name]

    def keep(self, /, **networks: Network) -> None:
        """Networks to evaluate and store beside the result. The method never sees what they reach."""
        for net in networks.values():
            self._own(net)
        self.kept |= networks

    def barrier(self, /, **pairs: tuple[Network, Network]) -> None:
        """Pairs of networks of one model: the record gets the error barrier on the line between them, on training and test
        images. The method never sees it. Frankle et al., ICML 2020."""
        for pair in pairs.values():
            for net in pair:
                self._own(net)
        self.lines |= pairs

    def note(self, **values: float | list[float]) -> None:
        """Numbers for the record. MethodError for one that is not finite."""
        for name, value in values.items():
            numbers = [float(v) for v in value] if isinstance(value, list) else [float(value)]
            if not all(map(math.isfinite, numbers)):
                raise MethodError(f"note({name}=…): {value} is not finite")
            self.notes[name] = numbers if isinstance(value, list) else numbers[0]

    @contextmanager
    def apart(self, name: str) -> Iterator[None]:
        """Charge what happens inside to an account beside the charge. The row is shown, not ranked."""
        with self.ledger.account(name):
            yield

    def finish(self, net: object) -> Network:
        """What the method returned, looked at: a network of this run. Its sparsity is counted when it is evaluated."""
        if not isinstance(net, Network):
            raise MethodError(f"a method returns a Network, not {type(net).__name__}; write return run.train(…)")
        self._own(net)
        self.story.end(net)
        return net

    def load(self, net: Network) -> State:
        """The tensors of a network."""
        state = self._engine.load(self, net)
        self.diverged |= not is_planned(state.params) and not state.finite
        return state

    def clock(self, model: Model) -> Clock:
        """The clock of the suite's recipe."""
        return self.recipe.clock(self.setting.size)

    def _own(self, net: Network) -> None:
        if not isinstance(net, Network):
            raise MethodError(f"asked for a Network, got {type(net).__name__}")
        if not net.belongs_to(self):
            raise MethodError("this network belongs to another run; make it with this run's init and train")
        net.unchanged()
        self.content |= net.content

    def _standing(self, net: Network, recipe: Recipe, clock: Clock) -> int:
        if net.trajectory and net.step and net.trajectory.recipe.pace != recipe.pace:
            raise MethodError(
                "epochs, batch, examples or warm-up of this recipe differ from those that the network was trained "
                f"under: say where it stands with net.at(…), net.at(0) to start the new schedule (it is at step {net.step})"
            )
        return net.step if net.trajectory else clock.step(net.position)

    def _check_span(self, start: int, stop: int, clock: Clock) -> None:
        if stop > clock.total:
            raise MethodError(
                f"until step {stop}: the recipe ends at step {clock.total}; give a recipe with more epochs"
            )
        if start >= clock.total:
            raise MethodError(
                f"this network is trained to the end (step {start}); write net.at(0) to train it once more"
            )
        if stop < start:
            raise MethodError(
                f"until step {stop}: the network stands at step {start} already; write net.at({stop}) first"
            )

    def _trajectory(
        self, net: Network, start: int, recipe: Recipe, clock: Clock, rule: Rule | None, order: int
    ) -> Trajectory:
        running = net.trajectory
        if running and not net.lineage.edits and running.continues(recipe, rule, order):
            return running
        setting = self.setting
        return Trajectory(
            start=net.lineage,
            first=start,
            momentum=bool(running) and net.lineage.keeps_momentum,
            recipe=recipe,
            clock=clock,
            dataset=setting.split.dataset,
            validation=setting.split.validation,
            data=setting.split.fingerprint,
            precision=setting.suite.precision,
            seed=setting.cell.seed,
            order=order,
            rule=rule,
            allocation=self.allocation,
        )

    def _examples(self, examples: int | None, per_class: int | None) -> int:
        if examples is not None and per_class is not None:
            raise MethodError("measure: give examples or per_class, not both")
        asked = per_class * self.model.classes if per_class is not None else examples
        if asked is not None and not 0 < asked <= self.setting.size:
            raise MethodError(f"measure: {asked} examples were asked for, there are {self.setting.size}")
        return self.setting.size if asked is None else asked
