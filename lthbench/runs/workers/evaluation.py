"""The result of an evaluation of a network, from the worker to the record. No method sees it."""

import math
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from lthbench.runs.records.record import Count, Kept

Pair = tuple[int, int]


class Evaluation(BaseModel):
    """Answers, layers and digests of one network, by part of the data where a field is a dictionary.

    `right` holds pairs (correct answers, examples). `correct` marks the test images with a correct answer, in the format of
    `lthbench.bits`. `layers` holds pairs (removed, size). `multiplications` are pairs (left, dense). `compact` is
    (parameters, multiplications) without the units that are removed whole. `mask_digest` is called "ticket" in the store.
    `off_pattern` is the number of groups that do not follow the suite's pattern.
    """

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    right: dict[str, Pair]
    correct: str
    loss: dict[str, float]
    finite: bool
    weights: str
    layers: dict[str, Pair]
    mask_digest: str = Field(alias="ticket")
    multiplications: Pair
    correlation: dict[str, dict[str, float]]
    compact: Pair | None = None
    zero_weights: int | None = None
    off_pattern: int = 0

    @property
    def note(self) -> dict[str, Any]:
        """Return the note that is written to the store."""
        return self.model_dump(by_alias=True)

    @property
    def counts(self) -> dict[str, Count]:
        """Return the correct answers by part of the data."""
        return {part: Count(right=right, of=of) for part, (right, of) in self.right.items()}

    @property
    def finite_loss(self) -> dict[str, float]:
        """Return the finite losses."""
        return {part: value for part, value in self.loss.items() if math.isfinite(value)}

    @property
    def kept(self) -> Kept:
        """Return the entry on the record for a network that was kept beside the result."""
        removed, prunable = (sum(numbers) for numbers in zip(*self.layers.values(), strict=True))
        return Kept(
            test=self.counts["test"],
            correct=self.correct,
            train=self.counts["train"],
            loss=self.finite_loss,
            removed=removed,
            prunable=prunable,
            mask_digest=self.mask_digest,
        )
