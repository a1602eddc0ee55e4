"""The view of a running training that hooks inside a recorded step get."""

from typing import Any

from lthbench.training.rules import TrainingState


class GraphSafeView:
    """The part of a running training that is safe for a hook inside every step: no value that differs from step to
    step."""

    def __init__(self, current: TrainingState):
        self._current = current

    def __getattr__(self, name: str) -> Any:
        if name in ("step", "generator", "grads"):
            raise AttributeError(
                f"a hook that is part of every step must not read `{name}`, which differs from step to step"
            )
        return getattr(self._current, name)
