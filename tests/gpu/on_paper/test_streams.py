"""Streams: no two live trainings share one, and what a training took is given back."""

from contextlib import closing

import pytest
import torch

from lthbench.training.feed import Feed, StreamedFeed
from lthbench.training.gpu.ahead import Ahead
from lthbench.training.gpu.capture import refusing_waits
from lthbench.training.gpu.graph_trainer import GraphTrainer
from lthbench.training.gpu.settings import STREAMS
from lthbench.training.gpu.streams import streams
from lthbench.training.trainer import Trainer
from tests.gpu.trainings import DEVICE, feed, lane, start, trajectory

pytestmark = pytest.mark.cuda

TRAININGS = 40


def test_forty_lanes_alive_and_dead_in_turn_share_no_stream() -> None:
    data = feed()
    oldest = lane(trajectory("mlp-8", data), data)
    oldest.prepare()
    alive: list[GraphTrainer] = [oldest]
    for seed in range(1, TRAININGS):
        newcomer = lane(trajectory("mlp-8", data, seed=seed), data)
        newcomer.prepare()
        alive.append(newcomer)
        assert len({one.stream.cuda_stream for one in alive}) == len(alive)  # type: ignore[union-attr]
        oldest.replays[16].run()
        if seed % 3:
            alive.pop(1).close()
    for one in alive:
        one.close()
    assert len(streams(DEVICE)._free) == STREAMS


def test_a_training_that_fails_to_start_gives_its_stream_back() -> None:
    data = feed()
    t = trajectory("mlp-8", data)
    with pytest.raises(TypeError):
        GraphTrainer(t, None, 0, data)  # type: ignore[arg-type]
    assert len(streams(DEVICE)._free) == STREAMS


def test_more_trainings_than_streams_are_refused() -> None:
    data = feed()
    taken = [streams(DEVICE).take() for _ in range(STREAMS)]
    try:
        with pytest.raises(RuntimeError, match="all 32 streams"):
            lane(trajectory("mlp-8", data), data)
    finally:
        for stream in taken:
            streams(DEVICE).give_back(stream)
    assert len({stream.cuda_stream for stream in taken}) == STREAMS
    assert torch.cuda.current_stream() == torch.cuda.default_stream()


def test_the_host_runs_two_epochs_ahead_and_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    queued: list[int] = []
    wait = Ahead.wait

    def waits(ahead: Ahead) -> None:
        wait(ahead)
        queued.append(len(ahead._ends))

    monkeypatch.setattr(Ahead, "wait", waits)
    data = feed()
    t = trajectory("mlp-8", data, epochs=5)
    with closing(lane(t, data)) as one:
        one.run([t.clock.total], lambda *_: None)
    assert queued == [0, 1, 1, 1, 1]


@pytest.mark.parametrize("kind", [Feed, StreamedFeed])
def test_a_plain_step_waits_for_nothing_in_its_turn(kind: type[Feed]) -> None:
    resident = feed()
    data = resident
    if kind is StreamedFeed:
        data = StreamedFeed(resident._raw, torch.arange(len(resident)), resident._manifest, DEVICE)
    t = trajectory("mlp-8", resident)
    trainer = Trainer(t, start(t), 0, data)
    trainer.run([1], lambda *_: None)
    batches = data.epoch(t.clock, t.recipe, t.seed, t.order, 0)[1:]
    with refusing_waits():
        trainer._train(batches)
    assert trainer.current.step == 2
