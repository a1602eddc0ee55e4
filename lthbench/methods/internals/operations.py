"""Operations: units of work for workers, as plain data, each with a key that is known before any work."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lthbench import keys
from lthbench.pruning.lineage import Lineage, NamedLineages
from lthbench.pruning.starts import Normalisation
from lthbench.training.identity import identity
from lthbench.training.probes import Probe
from lthbench.training.trajectory import Trajectory


@dataclass(frozen=True)
class Split:
    """The training data of a workload: a packed data set, with `validation` of its training examples held out.

    `normalisation` is that of the workload's start; None for the data set's own. `limit` is the number of the other
    training examples that are used; None for all.
    """

    dataset: str
    validation: int
    fingerprint: str  # of the training examples that are used, and of the normalisation where it is given
    normalisation: Normalisation | None = None
    limit: int | None = None


@dataclass(frozen=True)
class Train:
    """A training along a trajectory from `begin` (its first step, or a stored state). It leaves a state at every stop."""

    trajectory: Trajectory
    begin: int
    stops: tuple[int, ...]

    @property
    def key(self) -> str:
        return self.trajectory.state(self.stops[-1]).key

    @property
    def split(self) -> Split:
        """Return the training data of the workload."""
        t = self.trajectory
        return Split(t.dataset, t.validation, t.data, t.normalisation, t.limit)

    @property
    def source(self) -> Lineage:
        """Return the lineage that the training starts from."""
        first = self.begin == self.trajectory.first
        return self.trajectory.start if first else Lineage(self.trajectory.state(self.begin))


@dataclass(frozen=True)
class Measure:
    """A probe of a network on seeded training examples: `examples` of them, `per_class` of each class, or all.

    `passes` is the number of passes that the probe declared when it was charged. It is allowed no more. The probe may look
    at the `networks`.
    """

    source: Lineage
    probe: Probe
    split: Split
    precision: str
    seed: int
    stream: int
    batch: int
    passes: int
    examples: int | None = None
    per_class: int | None = None
    networks: NamedLineages = ()

    @cached_property
    def key(self) -> str:
        which: list[Any] = [self.split.fingerprint, self.seed, self.stream, self.batch, self.examples, self.per_class]
        others = [[name, other.key] for name, other in self.networks]
        return keys.key(
            "measure", 1, self.source.key, identity(self.probe), which, self.precision, *filter(None, [others])
        )


@dataclass(frozen=True)
class Validate:
    """A count of the correct answers of a network on the held-out training examples."""

    source: Lineage
    split: Split
    precision: str

    @cached_property
    def key(self) -> str:
        return keys.key("validate", 1, self.source.key, self.split.fingerprint, self.precision)


@dataclass(frozen=True)
class Evaluate:
    """The answers of a network on the test, validation and training split, and its weight correlations.

    The correlations are with networks of the same model. With a `pattern` such as 2:4, the groups that do not follow it are
    counted. A process that runs no method code does this operation.
    """

    source: Lineage
    split: Split
    precision: str
    test: str  # fingerprint of the test split
    others: NamedLineages = ()  # networks that it is compared with, by name
    pattern: str = ""

    @cached_property
    def key(self) -> str:
        others = [[name, other.key] for name, other in self.others]
        more = [self.pattern] * bool(self.pattern)  # keys from before there were patterns stay valid
        return keys.key(
            "evaluate", 3, self.source.key, self.split.fingerprint, self.test, self.precision, others, *more
        )


@dataclass(frozen=True)
class Barrier:
    """The error along the straight line between two networks. The process that evaluates does this operation."""

    source: Lineage
    other: Lineage
    split: Split
    precision: str
    test: str  # fingerprint of the test split

    @cached_property
    def key(self) -> str:
        data = [self.split.fingerprint, self.test]
        return keys.key("barrier", 1, self.source.key, self.other.key, data, self.precision)


Operation = Train | Measure | Validate | Evaluate | Barrier
Value = Measure | Validate | Evaluate | Barrier  # operations whose result is an entry of its own in the store
Judgement = Evaluate | Barrier  # not seen by any method: done by a process that runs no method code


def sources(operation: Operation) -> list[Lineage]:
    """Return the networks that an operation needs."""
    match operation:
        case Evaluate(others=others):
            return [operation.source, *(other for _, other in others)]
        case Barrier(other=other):
            return [operation.source, other]
        case Measure(networks=networks) | Train(trajectory=Trajectory(networks=networks)):
            return [operation.source, *(other for _, other in networks)]
    return [operation.source]
