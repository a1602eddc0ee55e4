"""The construction: the pruned random network computes the target up to the stated errors."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from lthbench import MethodError, Model, approximated, closest_single, closest_subset, doubled
from lthbench.methods.theory.construction import Choose
from lthbench.models import initial_tensors
from lthbench.pruning.state import State, module_of

TARGET = Model("mlp-5-4", (1, 2, 3), 3, ("*.weight",), ("*.bias",))


def net(model: Model, scheme: str, seed: int) -> Any:
    """Return the part of a network that the construction reads."""
    params = initial_tensors(model, scheme, seed, 0)
    return SimpleNamespace(model=model, params=params, prunable={n: params[n] for n in model.prunable_shapes})


def outputs(model: Model, params: dict[str, Tensor], images: Tensor) -> Tensor:
    return module_of(model, State(params, {}, {})).double()(images.double()).detach()


def made(candidates: int, choose: Choose) -> tuple[Any, Any, Any]:
    target, random = net(TARGET, "kaiming-uniform", 1), net(doubled(TARGET, candidates), "uniform", 2)
    return target, random, approximated(target, random, candidates, choose)


def test_the_random_network_has_twice_the_depth_and_candidates_for_every_input() -> None:
    shapes = [tuple(shape) for shape in doubled(TARGET, 7).prunable_shapes.values()]
    assert shapes == [(84, 6), (5, 84), (70, 5), (4, 70), (56, 4), (3, 56)]
    assert doubled(replace(TARGET, name="mlp-10-8-w0.5"), 7).prunable_shapes == doubled(TARGET, 7).prunable_shapes


@pytest.mark.parametrize("choose", [closest_subset, closest_single])
def test_the_pruned_network_is_the_target_with_its_weights_off_by_the_errors(choose: Choose) -> None:
    """One layer after another: with an exact first layer the second is a linear map of what comes in."""
    target, random, near = made(12, choose)
    weights = {n: w * near.mask.tensors[n] for n, w in random.prunable.items()}
    images = torch.randn(40, 1, 2, 3, generator=Generator().manual_seed(3))
    x, at = images.flatten(1).double(), 0
    pairs = list(weights.values())
    for layer, weight in enumerate(target.prunable.values()):
        first, second = pairs[2 * layer].double(), pairs[2 * layer + 1].double()
        x = x if layer == 0 else x.abs()
        count = weight.numel() * (2 if layer == 0 else 1)
        errors = near.errors[at : at + count].view(-1, *weight.shape)
        got, wanted = (first @ x.T).relu().T @ second.T, x @ weight.T.double()
        bound = x.clamp(min=0) @ errors[0].T + (-x).clamp(min=0) @ errors[-1].T
        assert ((got - wanted).abs() <= bound + 1e-6).all()
        x, at = got, at + count
    assert at == len(near.errors)


def test_more_candidates_come_nearer_and_the_outputs_with_them() -> None:
    images = torch.randn(50, 1, 2, 3, generator=Generator().manual_seed(3))
    distances = []
    for candidates in (4, 10, 20):
        target, random, near = made(candidates, closest_subset)
        pruned = {n: w * near.mask.tensors[n] if n in near.mask.tensors else w for n, w in random.params.items()}
        gap = outputs(TARGET, target.params, images) - outputs(random.model, pruned, images)
        distances.append((float(near.errors.mean()), float(gap.abs().mean())))
    assert distances == sorted(distances, reverse=True)
    assert distances[-1][1] < 0.1 * float(outputs(TARGET, made(4, closest_single)[0].params, images).abs().mean())


def test_every_neuron_is_left_to_one_input_and_none_to_nobody() -> None:
    _, _, near = made(6, closest_subset)
    masks = list(near.mask.tensors.values())
    for first, second in zip(masks[::2], masks[1::2], strict=True):
        assert (first.sum(1) <= 1).all()
        assert torch.equal(first.any(1), second.any(0))
    assert near.kept == sum(int(mask.sum()) for mask in masks)


def test_what_it_cannot_do_it_says() -> None:
    with pytest.raises(MethodError, match="not conv2"):
        doubled(replace(TARGET, name="conv2"), 5)
    target, random, _ = made(2, closest_single)
    target.params["out.bias"] = torch.ones(3)
    with pytest.raises(MethodError, match=r"out\.bias is not 0"):
        approximated(target, random, 2, closest_single)
