"""Inputs, moments and Fisher blocks equal their definition, computed here with one example or one patch after another."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from lthbench.errors import MethodError
from lthbench.training.probes import (
    Batches,
    BatchStatistics,
    BlockFisher,
    Gradients,
    Inputs,
    Moments,
    PerExampleGradients,
)

EXAMPLES = torch.rand(7, 4, 6, 6, generator=torch.Generator().manual_seed(1)), torch.tensor([0, 1, 2, 0, 1, 2, 0])


def batches(size: int = 3) -> Batches:
    images, labels = EXAMPLES
    return Batches(lambda: zip(images.split(size), labels.split(size), strict=True), (4, 6, 6), 1)


def network(**conv: object) -> nn.Module:
    torch.manual_seed(0)
    layer = nn.Conv2d(4, 4, 3, **conv)  # type: ignore[arg-type]
    flat = layer(EXAMPLES[0]).flatten(1).shape[1]
    return nn.Sequential(layer, nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(flat, 3))


def mask_of(model: nn.Module) -> dict[str, Tensor]:
    return {name: torch.ones_like(model.get_parameter(name), dtype=torch.bool) for name in ("0.weight", "4.weight")}


convolutions = st.fixed_dictionaries(
    {
        "groups": st.sampled_from([1, 2, 4]),
        "stride": st.integers(1, 2),
        "dilation": st.integers(1, 2),
        "padding": st.integers(0, 2),
        "padding_mode": st.sampled_from(["zeros", "circular", "reflect"]),
    }
)


@settings(max_examples=25, deadline=None)
@given(options=convolutions)
def test_moments_give_the_squares_of_a_layers_outputs(options: dict[str, object]) -> None:
    """Σ over examples and positions of y² is n w E[x xᵀ] wᵀ, for the outputs y = w x of any layer."""
    model = network(**options, bias=False)
    found = Moments()(model, mask_of(model), batches())
    with torch.no_grad():
        y = model[0](EXAMPLES[0]).double().square().mean((0, 2, 3))
    rows = model[0].weight.detach().double().flatten(1).unflatten(0, (model[0].groups, -1))
    assert torch.allclose((rows @ found["0.weight"] * rows).sum(2).flatten(), y, rtol=1e-5)


@settings(max_examples=25, deadline=None)
@given(options=convolutions)
def test_inputs_are_the_diagonal_of_the_moments_in_the_shape_of_the_weights(options: dict[str, object]) -> None:
    model = network(**options)
    mask = mask_of(model)
    inputs, moments = Inputs()(model, mask, batches()), Moments()(model, mask, batches())
    for name, keep in mask.items():
        diagonal = moments[name].diagonal(dim1=1, dim2=2).float()
        assert inputs[name].shape == keep.shape
        assert torch.allclose(inputs[name].flatten(1).unflatten(0, (len(diagonal), -1)), diagonal[:, None])


def test_inputs_of_a_linear_layer_are_the_mean_squares_of_what_it_sees() -> None:
    model = network()
    seen = model.eval()[:4](EXAMPLES[0]).square().mean(0)
    assert torch.allclose(Inputs(("4.weight",))(model, mask_of(model), batches())["4.weight"], seen.expand(3, -1))


@pytest.mark.parametrize("asked", ["1.weight", "0.weights"])
def test_an_unknown_layer_is_named(asked: str) -> None:
    with pytest.raises(MethodError, match=rf"Inputs: There is no prunable parameter '{asked}'.*Known: 0.weight"):
        Inputs((asked,))(network(), mask_of(network()), batches())


def test_a_layer_without_matrix_inputs_is_refused() -> None:
    mask = {"1.weight": torch.ones(4, dtype=torch.bool)}
    with pytest.raises(MethodError, match=r"1\.weight is not the weight of a linear layer or a convolution"):
        Moments()(network(), mask, batches())


def by_example(model: nn.Module) -> list[dict[str, Tensor]]:
    names, params = zip(*model.eval().named_parameters(), strict=True)
    losses = [F.cross_entropy(model(image[None]), label[None]) for image, label in zip(*EXAMPLES, strict=True)]
    return [dict(zip(names, torch.autograd.grad(loss, params), strict=True)) for loss in losses]


def test_per_example_gradients_are_squared_and_averaged() -> None:
    model = network()
    found, each = PerExampleGradients()(model, mask_of(model), batches()), by_example(model)
    for name, p in model.named_parameters():
        assert found[name].shape == p.shape
        assert torch.allclose(found[name], torch.stack([g[name] for g in each]).square().mean(0), rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("block", [1, 5, 16])
def test_fisher_blocks_are_means_of_outer_products(block: int) -> None:
    model = network()
    found, each = BlockFisher(block)(model, mask_of(model), batches()), by_example(model)
    for name in mask_of(model):
        g = torch.stack([F.pad(g[name].flatten(), (0, -g[name].numel() % block)) for g in each])
        whole = (g.T @ g / len(g)).unflatten(0, (-1, block)).unflatten(2, (-1, block))
        expected = torch.stack([whole[k, :, k] for k in range(len(whole))])
        assert torch.allclose(found[name], expected, rtol=1e-3, atol=1e-8)


def test_a_block_may_not_be_larger_than_a_result() -> None:
    with pytest.raises(MethodError, match=r"BlockFisher\(block=50\): a block has 1 to 16 weights"):
        BlockFisher(50)(network(), mask_of(network()), batches())


def test_batch_statistics_are_those_of_update_bn() -> None:
    model, other = network(), network()
    torch.optim.swa_utils.update_bn([images for images, _ in batches()()], other)
    found = BatchStatistics()(model, {}, batches())
    expected = {n: b for n, b in other.named_buffers() if not n.endswith("tracked")}
    assert found.keys() == expected.keys() and all(torch.equal(found[n], b) for n, b in expected.items())
    assert not torch.equal(found["1.running_mean"], network().get_buffer("1.running_mean"))


@pytest.mark.parametrize("probe", [Gradients(), PerExampleGradients(), Inputs()])
def test_what_a_plan_knows_of_a_result_is_so(probe: object) -> None:
    model = network()
    found = probe(model, mask_of(model), batches())  # type: ignore[operator]
    assert all(found[name].shape == model.get_parameter(name).shape for name in mask_of(model))
