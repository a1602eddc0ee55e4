"""The work of a few steps of a training, which stands for the work of all: to count operations slows a step down."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from lthbench import keys
from lthbench.training.metering.meter import Meter, metered

ONE_IN = 128  # steps


@dataclass
class SampledWork:
    """A meter that counts the operations of the first step and of one in 128, which ones only the training's key tells.

    `examples` counts the examples of these steps.
    """

    key: str
    meter: Meter = field(default_factory=Meter)
    examples: int = 0
    _first: bool = True

    def step(self, step: int, examples: int) -> AbstractContextManager[object]:
        """Return the context of a step on this number of examples."""
        if not self._first and keys.seed("sampled step", self.key, step) % ONE_IN:
            return nullcontext()
        self._first = False
        self.examples += examples
        return metered(self.meter)

    def add(self, flops: int, examples: int) -> None:
        """Add the operations of a step that a program repeats."""
        self.meter.flops += flops
        self.examples += examples
