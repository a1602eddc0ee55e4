"""How a network came to be, as plain data: known before any work, and all that a worker needs to make it again."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from lthbench import keys
from lthbench.models import Model


@dataclass(frozen=True)
class Init:
    """Initial weights: a function of the model, the scheme, the seed and the stream."""

    model: Model
    scheme: str
    seed: int
    stream: int

    @cached_property
    def key(self) -> str:
        return keys.key("init", self.model.identity, self.scheme, self.seed, self.stream)


@dataclass(frozen=True)
class Trained:
    """The state of a trajectory (by its key) after so many of its steps."""

    model: Model
    trajectory: str
    step: int

    @cached_property
    def key(self) -> str:
        return keys.key("state", self.trajectory, self.step)


@dataclass(frozen=True)
class Edit:
    """What a method changed between two operations; the tensors enter by their digest."""

    kind: Literal["masked", "with_mask", "with_weights"]
    digest: str


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
    def keeps_momentum(self) -> bool:
        """Whether training goes on with the momentum of the root: only masking leaves it."""
        return isinstance(self.root, Trained) and all(edit.kind == "masked" for edit in self.edits)

    def edited(self, edit: Edit) -> "Lineage":
        """With one more edit; masking twice is masking once by the intersection, which `edit` then is."""
        kept = (
            self.edits[:-1] if edit.kind == "masked" and self.edits and self.edits[-1].kind == "masked" else self.edits
        )
        return Lineage(self.root, (*kept, edit))
