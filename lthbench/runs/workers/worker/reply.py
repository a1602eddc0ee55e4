"""The answers of a worker that are not the operation's own error."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Reply:
    """The cost of an operation: epochs computed, seconds, CPU seconds, examples that networks saw."""

    epochs: float
    seconds: float = 0.0
    cpu: float = 0.0
    seen: int = 0


class Lost(Exception):
    """The error that a worker is gone, or has to be ended, and why. Its operations are not done."""


class Retired(Lost):
    """The error that a worker ends itself, after all that it had begun. Another worker has to do this operation.

    `alone`: the operation found too little memory beside `beside` trainings.
    """

    def __init__(self, why: str, alone: bool = False, beside: int = 0):
        super().__init__(why, alone, beside)
        self.alone, self.beside = alone, beside

    def __str__(self) -> str:
        return str(self.args[0])
