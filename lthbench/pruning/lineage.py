"""The lineage of a network as plain data. It is known before any work, and a worker needs nothing else to remake the
network."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, Literal

from lthbench import keys
from lthbench.models import Model
from lthbench.pruning.bases import Basis


@dataclass(frozen=True)
class Init:
    """Initial weights, a function of the model, the scheme, the seed and the stream.

    `start` is the digest of pretrained tensors that replace those of their names.
    """

    model: Model
    scheme: str
    seed: int
    stream: int
    start: str = ""
    basis: ClassVar[None] = None

    @cached_property
    def key(self) -> str:
        start = [self.start] if self.start else []
        return keys.key("init", self.model.identity, self.scheme, self.seed, self.stream, *start)


@dataclass(frozen=True)
class Trained:
    """The state of a trajectory (given by its key) after `step` of its steps."""

    model: Model
    trajectory: str
    step: int
    basis: Basis | None = field(default=None, compare=False)  # that of the trajectory, whose key contains it

    @cached_property
    def key(self) -> str:
        return keys.key("state", self.trajectory, self.step)


@dataclass(frozen=True)
class Edit:
    """A change that a method makes between two operations. Tensors and bases enter by their digest."""

    kind: Literal["masked", "with_mask", "with_weights", "in_basis"]
    digest: str
    basis: Basis | None = field(default=None, compare=False)  # the new basis, if the kind is in_basis


@dataclass(frozen=True)
class Lineage:
    """A root and the edits since then, in order."""

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
        """Return the basis in which the prunable parameters are coefficients. None if they are weights."""
        changes = [edit.basis for edit in self.edits if edit.kind == "in_basis"]
        return changes[-1] if changes else self.root.basis

    @property
    def keeps_momentum(self) -> bool:
        """Tell whether training continues with the momentum of the root: only masking preserves it."""
        return isinstance(self.root, Trained) and all(edit.kind == "masked" for edit in self.edits)

    def edited(self, edit: Edit) -> "Lineage":
        """Return the lineage with one more edit.

        Two masks in a row are one edit. `edit` then holds the intersection of both and replaces the last one.
        """
        kept = (
            self.edits[:-1] if edit.kind == "masked" and self.edits and self.edits[-1].kind == "masked" else self.edits
        )
        return Lineage(self.root, (*kept, edit))


NamedLineages = tuple[tuple[str, Lineage], ...]
"""Networks that an operation looks at beside its own, by name."""
