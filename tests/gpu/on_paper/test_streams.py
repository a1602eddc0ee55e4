"""Streams: no two live trainings share one, and what a training took is given back."""

import pytest
import torch

from lthbench.training.gpu.graph_trainer import GraphTrainer
from lthbench.training.gpu.settings import STREAMS
from lthbench.training.gpu.streams import streams
from tests.gpu.trainings import DEVICE, feed, lane, trajectory

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
