"""How a network came to be, as plain data: known before any work, and all that a worker needs to make it again."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, Literal

from lthbench import keys
from lthbench.models import Model
from lthbench.pruning.bases import Basis


@dataclass(frozen=True)
class Init:
    """Initial weights: a function of the model, the scheme, the seed and the stream."""

    model: Model
    scheme: str
    seed: int
    stream: int
    basis: ClassVar[None] = None

    @cached_property
    def key(self) -> str:
        return keys.key("init", self.model.identity, self.scheme, self.seed, self.stream)


@dataclass(frozen=True)
class Trained:
    """The state of a trajectory (by its key) after so many of its steps."""

    model: Model
    trajectory: str
    step: int
    basis: Basis | None = field(default=None, compare=False)  # the trajectory's, in whose key it is

    @cached_property
    def key(self) -> str:
        return keys.key("state", self.trajectory, self.step)


@dataclass(frozen=True)
class Edit:
    """What a method changed between two operations; tensors and bases enter by their digest."""

    kind: Literal["masked", "with_mask", "with_weights", "in_basis"]
    digest: str
    basis: Basis | None = field(default=None, compare=False)  # the new one, where the kind is in_basis


@dataclass(frozen=True)
class Lineage:
    """A root and the edits since, in order."""

    root: Init | Trained
    edits: tuple[Edit, ...] = ()

    @cached_property
    def key(self) -> str:
        return keys.key("network", self.root.key, [[edit.kind, edit.digest] for edit in self.edits])

    @property
    def model(self) -> Model:
        return self.root.model

    @property
    def basis(self) -> Basis | None:
        """The basis whose coefficients the prunable parameters are; None where they are weights."""
        changes = [edit.basis for edit in self.edits if edit.kind == "in_basis"]
        return changes[-1] if changes else self.root.basis

    @property
    def keeps_momentum(self) -> bool:
        """Whether training goes on with the momentum of the root: only masking leaves it."""
        return isinstance(self.root, Trained) and all(edit.kind == "masked" for edit in self.edits)

    def edited(self, edit: Edit) -> "Lineage":
        """With one more edit; masking twice is masking once by the intersection, which `edit` then is."""
        kept = (
            self.edits[:-1] if edit.kind == "masked" and self.edits and self.edits[-1].kind == "masked" else self.edits
        )
        return Lineage(self.root, (*kept, edit))
