"""Models: their parameters, which of them are prunable, their initial weights, and what they cost."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lthbench.errors import InputError
from lthbench.models import FAMILIES, SCHEMES, Model, initial_tensors
from lthbench.models.cost import multiplications
from lthbench.pruning.tensors import digest
from lthbench.suite.workload import Workload
from tests.helpers import BIASES, FAMILY, WEIGHTS, conv, in_fresh_process, mlp

DIGITS = (1, 8, 8)
GOLDEN = {
    "kaiming-normal": "6cac6258469edf664888e27b9e88bc7b",
    "kaiming-uniform": "68feb76f8f11b258225e1ebef60684bf",
    "glorot-normal": "84b7f60a974250d34c0e5c07a2dcbd04",
    "signed-constant": "5cf62245e7683b187b540b4af925aff0",
    "uniform": "370b0a476dc035ecbca96976c425b750",
}


@pytest.fixture(autouse=True)
def conv_family(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAMILIES, "conv", FAMILY)


def digits_mlp(name: str) -> Model:
    return Model(name, DIGITS, 10, WEIGHTS, BIASES)


@pytest.mark.parametrize(
    ("name", "prunable", "biases"),
    [
        ("mlp-32", 64 * 32 + 32 * 10, 32 + 10),
        ("mlp-300-100", 64 * 300 + 300 * 100 + 100 * 10, 300 + 100 + 10),
        ("mlp-1", 64 + 10, 11),
    ],
)
def test_parameter_counts(name: str, prunable: int, biases: int) -> None:
    model = digits_mlp(name)
    assert model.prunable_count == prunable
    assert sum(shape.numel() for shape in model.shapes.values()) == prunable + biases
    assert all(name.endswith("weight") for name in model.prunable_shapes)


def test_lenet_on_mnist_has_the_266200_weights_of_the_literature() -> None:
    assert Model("mlp-300-100", (1, 28, 28), 10, WEIGHTS, BIASES).prunable_count == 266_200


def test_building_draws_no_random_number_and_takes_no_memory() -> None:
    before = torch.get_rng_state()
    module = digits_mlp("mlp-300-100").module()
    assert all(parameter.is_meta for parameter in module.parameters())
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", ["mlp", "mlp-", "mlp-0", "mlp-03", "mlp-3-", "MLP-3", "mlp-3x", "perceptron"])
def test_unknown_models_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=repr(name)):
        _ = mlp(name).shapes


@pytest.mark.parametrize(
    ("prunable", "dense", "named"),
    [
        (("hidden.*.weight",), BIASES, "out.weight"),  # neither
        (WEIGHTS, (), "out.bias"),  # neither
        (("*",), BIASES, "out.bias"),  # both
        (("hiden.*",), ("out.*",), "hidden.0.weight"),  # misspelt
    ],
)
def test_a_parameter_that_is_not_classified_once_is_named(
    prunable: tuple[str, ...], dense: tuple[str, ...], named: str
) -> None:
    with pytest.raises(InputError, match=named):
        _ = mlp(prunable=prunable, dense=dense).shapes


def test_a_workload_without_a_prunable_parameter_is_refused() -> None:
    with pytest.raises(InputError, match="matches no parameter"):
        Workload(model="mlp-32", dataset="digits", prunable=("nothing",), dense=("*",)).build(DIGITS, 10)


@given(st.sampled_from(["mlp-32", "mlp-300-100", "mlp-20-7-50"]), st.floats(0.12, 1.0))
def test_narrowed_is_the_widest_that_fits(name: str, density: float) -> None:
    model = digits_mlp(name)
    allowed = density * model.prunable_count + 0.5  # as a mask: counts are whole
    narrow = model.narrowed(density)
    assert narrow.prunable_count <= allowed
    assert narrow.width <= model.width
    if narrow != model:
        assert replace(narrow, width=narrow.width + 2e-6).prunable_count > allowed - 1
    assert narrow.shapes.keys() == model.shapes.keys()


def test_narrowed_at_density_one_is_itself() -> None:
    assert digits_mlp("mlp-32").narrowed(1.0) == digits_mlp("mlp-32")


def test_narrower_than_one_neuron_is_refused() -> None:
    with pytest.raises(InputError, match="lower sparsity"):
        digits_mlp("mlp-32").narrowed(0.02)


def test_the_identity_tells_widths_apart_and_not_types_of_numbers() -> None:
    model = digits_mlp("mlp-32")
    assert model.identity == replace(model, width=1).identity
    assert model.identity != replace(model, width=0.5).identity


@pytest.mark.parametrize("scheme", SCHEMES)
def test_initial_weights_are_golden(scheme: str) -> None:
    assert digest(initial_tensors(digits_mlp("mlp-32"), scheme, 7, 0)) == GOLDEN[scheme]


@pytest.mark.parametrize(("shape", "fans"), [((300, 784), 300 + 784), ((16, 8, 5, 5), 16 * 25 + 8 * 25)])
def test_glorot_draws_by_both_fans(shape: tuple[int, ...], fans: int) -> None:
    drawn = SCHEMES["glorot-normal"](torch.Size(shape), torch.Generator().manual_seed(0))
    assert drawn.std().item() == pytest.approx((2 / fans) ** 0.5, rel=0.05)


def test_initial_weights_are_the_same_in_a_fresh_process_without_vector_instructions() -> None:
    code = (
        "from lthbench.models import Model, initial_tensors; from lthbench.pruning.tensors import digest;"
        f"m = Model('mlp-32', {DIGITS}, 10, {WEIGHTS}, {BIASES});"
        "print(digest(initial_tensors(m, 'kaiming-normal', 7, 0)))"
    )
    found = in_fresh_process(code, PYTHONHASHSEED="99", ATEN_CPU_CAPABILITY="default", OMP_NUM_THREADS="3")
    assert found == GOLDEN["kaiming-normal"]


def test_initial_weights_are_a_function_of_seed_and_stream() -> None:
    def drawn(seed: int, stream: int) -> str:
        torch.manual_seed(seed + stream)  # no matter where the global generator stands
        return digest(initial_tensors(mlp(), "kaiming-normal", seed, stream))

    assert drawn(1, 2) == drawn(1, 2)
    assert len({drawn(seed, stream) for seed in range(3) for stream in range(3)}) == 9


def test_drawing_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    initial_tensors(mlp(), "kaiming-normal", 1, 0)
    assert torch.equal(torch.get_rng_state(), before)


def test_layers_of_one_shape_start_differently() -> None:
    drawn = initial_tensors(mlp("mlp-6-6-6"), "kaiming-normal", 1, 0)
    assert not torch.equal(drawn["hidden.2.weight"], drawn["hidden.4.weight"])


@pytest.mark.parametrize("scheme", [name for name in SCHEMES if name not in ("uniform", "glorot-normal")])
def test_weights_have_mean_zero_and_variance_two_over_fan_in(scheme: str) -> None:
    weight = initial_tensors(digits_mlp("mlp-400"), scheme, 3, 0)["hidden.0.weight"].double()
    assert abs(weight.mean()) < 4 * (2 / 64 / weight.numel()) ** 0.5
    assert weight.var().item() == pytest.approx(2 / 64, rel=0.05)


def test_the_fan_in_of_a_convolution_counts_its_window() -> None:
    values = initial_tensors(conv("conv"), "signed-constant", 3, 0)["conv.weight"].unique()
    assert values.tolist() == pytest.approx([-((2 / 9) ** 0.5), (2 / 9) ** 0.5])


def test_kaiming_uniform_is_bounded_and_flat() -> None:
    weight = initial_tensors(digits_mlp("mlp-400"), "kaiming-uniform", 3, 0)["hidden.0.weight"]
    bound = (6 / 64) ** 0.5
    assert 0.99 * bound < weight.abs().max() <= bound * (1 + 1e-6)
    assert ((weight.abs() < bound / 2).float().mean() - 0.5).abs() < 0.02


def test_kaiming_normal_has_tails() -> None:
    weight = initial_tensors(digits_mlp("mlp-400"), "kaiming-normal", 3, 0)["hidden.0.weight"]
    assert ((weight.abs() > 2 * (2 / 64) ** 0.5).float().mean() - 0.0455).abs() < 0.01


def test_signed_constant_has_two_values_of_equal_share() -> None:
    weight = initial_tensors(digits_mlp("mlp-400"), "signed-constant", 3, 0)["hidden.0.weight"]
    assert len(weight.unique()) == 2
    assert ((weight > 0).float().mean() - 0.5).abs() < 0.02


def test_biases_are_zero_and_normalisation_is_the_identity() -> None:
    drawn = initial_tensors(conv("conv-norm"), "kaiming-normal", 3, 0)
    assert drawn["out.bias"].eq(0).all() and drawn["norm.bias"].eq(0).all()
    assert drawn["norm.weight"].eq(1).all()
    assert drawn["norm.running_mean"].eq(0).all() and drawn["norm.running_var"].eq(1).all()
    assert drawn["norm.num_batches_tracked"] == 0 and drawn["norm.num_batches_tracked"].dtype == torch.int64


def test_an_unknown_scheme_has_a_suggestion() -> None:
    with pytest.raises(InputError, match="Did you mean 'kaiming-normal'"):
        initial_tensors(mlp(), "kaiming-norml", 1, 0)


def kept(model: Model) -> dict[str, torch.Tensor]:
    return {name: torch.ones(shape, dtype=torch.bool) for name, shape in model.prunable_shapes.items()}


def test_multiplications_of_a_perceptron_are_its_weights() -> None:
    model = digits_mlp("mlp-32")
    mask = kept(model)
    mask["hidden.0.weight"][:3] = False
    assert multiplications(model, kept(model)) == (2368, 2368)
    assert multiplications(model, mask) == (2368 - 3 * 64, 2368)


def test_multiplications_of_a_convolution_count_every_position() -> None:
    model = conv("conv-norm")  # 3 filters of 9 at 4 x 4 positions, then 48 x 3
    mask = kept(model)
    mask["conv.weight"][0] = False
    mask["out.weight"][0, :5] = False
    assert multiplications(model, kept(model)) == (27 * 16 + 48 * 3, 27 * 16 + 48 * 3)
    assert multiplications(model, mask) == (18 * 16 + 48 * 3 - 5, 27 * 16 + 48 * 3)
