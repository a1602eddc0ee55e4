"""The host runs two lots of steps ahead of a device, and no further."""

from typing import Any

import pytest
import torch

from lthbench.training.gpu.ahead import Ahead


class Stream:
    """A stream whose events note in what order they are waited for."""

    def __init__(self) -> None:
        self.recorded, self.waited = 0, []  # type: ignore[var-annotated]

    def record_event(self, event: Any) -> Any:
        number, self.recorded = self.recorded, self.recorded + 1
        event.synchronize = lambda: self.waited.append(number)
        return event


def test_the_end_of_the_lot_before_last_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    class Event:
        def __init__(self, blocking: bool):
            assert blocking

    monkeypatch.setattr(torch.cuda, "Event", Event)
    stream, ahead, waited = Stream(), Ahead(), []
    for _ in range(5):
        ahead.wait()
        waited.append(list(stream.waited))
        ahead.queued(stream)  # type: ignore[arg-type]
    assert waited == [[], [], [0], [0, 1], [0, 1, 2]]
