"""Greedy forward selection, compared with a search through all networks of each number of neurons."""

from collections.abc import Iterator
from itertools import combinations_with_replacement

import pytest
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from lthbench import GreedyForward, MethodError
from lthbench.models.mlp import MLP
from lthbench.training.probes import Batches, greedy

NEURONS, CLASSES, EXAMPLES = 7, 3, 40


def tiny(seed: int) -> tuple[MLP, Tensor, Tensor]:
    g = Generator().manual_seed(seed)
    model = MLP(5, [NEURONS], CLASSES)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=g))
    return model, torch.randn(EXAMPLES, 1, 1, 5, generator=g), torch.randint(0, CLASSES, (EXAMPLES,), generator=g)


def chosen(seed: int, neurons: int, patience: int = 4) -> tuple[list[int], list[float]]:
    """Return how often each neuron is chosen, and the loss after each step."""
    model, images, labels = tiny(seed)

    def draw() -> Iterator[tuple[Tensor, Tensor]]:
        return iter([(images[:25], labels[:25]), (images[25:], labels[25:])])

    found = GreedyForward("out", neurons, patience)(model, {}, Batches(draw, (1, 1, 5), 1))
    return found["count"].int().tolist(), found["loss"].tolist()


def loss(seed: int, members: tuple[int, ...]) -> float:
    """Return the loss of the mean of these neurons, by building that network."""
    model, images, labels = tiny(seed)
    with torch.no_grad():
        times = torch.tensor([members.count(j) for j in range(NEURONS)])
        model.out.weight.mul_(times * NEURONS / len(members))
        return float(F.cross_entropy(model(images), labels))


@pytest.mark.parametrize("seed", range(4))
def test_every_step_is_the_best_of_all_steps(seed: int) -> None:
    _, losses = chosen(seed, 4)
    members: tuple[int, ...] = ()
    for step in range(len(losses)):
        tried = [loss(seed, (*members, j)) for j in range(NEURONS)]
        assert losses[step] == pytest.approx(min(tried), abs=1e-5)
        members = (*members, tried.index(min(tried)))
        if len(set(members)) == 4 or step + 1 >= 4 * 4:
            break
    counts, _ = chosen(seed, 4)
    if len(losses) < 16:
        assert counts == [members.count(j) for j in range(NEURONS)]


@pytest.mark.parametrize("seed", range(4))
def test_against_exhaustive_search(seed: int) -> None:
    """One neuron is the best of all. Two are not better than the best pair, and the first of them is on the path."""
    counts, losses = chosen(seed, 1)
    singles = [loss(seed, (j,)) for j in range(NEURONS)]
    assert losses == [pytest.approx(min(singles), abs=1e-5)] and counts[singles.index(min(singles))] == 1
    _, more = chosen(seed, 3)
    best_pair = min(loss(seed, pair) for pair in combinations_with_replacement(range(NEURONS), 2))
    assert (
        best_pair - 1e-5 <= more[1] <= singles[singles.index(min(singles))] + 1e-5
    )  # choosing the same one again is no worse


@pytest.mark.parametrize("block", [1, 100, 10**6])
def test_blocks_of_examples_give_the_same(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    counts, losses = chosen(1, 5)
    monkeypatch.setattr(greedy, "BLOCK", block)
    again = chosen(1, 5)
    assert again == (counts, pytest.approx(losses, abs=1e-5))


@pytest.mark.parametrize("patience", [1, 4, 50])
def test_so_many_different_neurons(patience: int) -> None:
    for neurons in (1, 3, NEURONS):
        counts, losses = chosen(0, neurons, patience)
        assert sum(c > 0 for c in counts) == neurons and sum(counts) == len(losses)
        assert len(losses) <= (patience + 1) * neurons


@pytest.mark.parametrize("neurons", [0, NEURONS + 1])
def test_refused(neurons: int) -> None:
    with pytest.raises(MethodError, match="GreedyForward"):
        chosen(0, neurons)
