"""Faults that users of other pruning libraries reported, tried here. Each test names its report."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor

from lthbench import Run, Steps, global_mask, magnitude
from lthbench.cli import main
from lthbench.data import DataHome
from lthbench.errors import MethodError
from lthbench.methods.compact import compacted
from lthbench.models import Model
from lthbench.pruning.allocate import keep_global, removed_count, select
from lthbench.pruning.lineage import Init
from lthbench.pruning.mask import Mask
from lthbench.pruning.state import State, initial_state, module_of
from lthbench.pruning.tensors import copies
from lthbench.pruning.units import Units
from lthbench.training.probes import Batches, Gradients, HessianGradient, Iterated, Sensitivity, SynFlowScores
from lthbench.training.rules import Gradual, GraNet, Rule, TrainingState
from lthbench.training.trainer import Trainer
from tests.helpers import begin, masked, mlp, states, trained, trajectory
from tests.methods.test_compact import answers, network, pruned
from tests.models.zoo import CIFAR, DIGITS, MNIST, model
from tests.models.zoo import feed as drawn_feed
from tests.runs.conftest import _denormals, _fork_is_meant, _own_registry, home
from tests.runs.helpers import open_run, tiny

__all__ = ["_denormals", "_fork_is_meant", "_own_registry", "home"]  # fixtures

FREE = tiny(sparsities=(0.5,), seeds=1, budget="none")
VGG = model("vgg11-w0.1", DIGITS)  # its last maps are 1x1


@pytest.fixture
def run(tmp_path: Path, home: DataHome) -> Iterator[Run]:
    """A run without a budget."""
    with open_run(tmp_path, home, FREE) as run:
        yield run


def initial(m: Model) -> State:
    return initial_state(Init(m, "kaiming-normal", 0, 0))


def sparse(state: State, sparsity: float) -> State:
    """The state, pruned at random."""
    g = Generator().manual_seed(0)
    return masked(state, keep_global({n: torch.rand(m.shape, generator=g) for n, m in state.mask.items()}, sparsity))


def drawn(m: Model, count: int, size: int) -> Batches:
    """Random examples in batches of a size, for as many passes as a probe likes."""
    g = Generator().manual_seed(0)
    images, labels = torch.randn(count, *m.shape, generator=g), torch.randint(0, m.classes, (count,), generator=g)

    def draw() -> Iterator[tuple[Tensor, Tensor]]:
        return zip(images.split(size), labels.split(size), strict=True)

    return Batches(draw, m.shape, 100)


@pytest.mark.parametrize(
    "m",
    [
        model("mobilenet-v1-w0.01", DIGITS),
        model("mobilenet-v2-w0.01", DIGITS),
        model("vgg11-w0.01", CIFAR),
        model("lenet5-w0.01", MNIST),
    ],
    ids=lambda m: m.name,
)
def test_a_layer_of_one_channel_is_not_taken_for_a_depthwise_one(m: Model) -> None:
    """VainF/Torch-Pruning#179: a convolution with one output channel has groups == out_channels == 1."""
    assert 1 in Units.of(m).sizes.values()
    module = network(m, pruned(m, 0.6))
    before = answers(m, module)
    assert torch.allclose(answers(m, compacted(m, module)), before, atol=1e-5)


@pytest.mark.parametrize("m", [model("vgg19-w0.1", CIFAR), model("resnet20-w0.5", DIGITS)], ids=lambda m: m.name)
def test_layers_that_lost_all_channels_are_still_compacted(m: Model) -> None:
    """Eric-mingjie/rethinking-network-pruning#50: an IndexError where no channel of a layer remains."""
    units = Units.of(m)
    gone = {name: torch.ones(size, dtype=torch.bool) for name, size in list(units.sizes.items())[-4:-1]}
    module = network(m, Mask(units.mask(gone, m.prunable_shapes)))
    before, parameters = answers(m, module), sum(t.numel() for t in module.parameters())
    small = compacted(m, module)
    assert torch.allclose(answers(m, small), before, atol=1e-5)
    assert sum(t.numel() for t in small.parameters()) < parameters


@settings(max_examples=10)
@given(sparsity=st.sampled_from([0.3, 0.9, 0.99, 0.9999, 1.0]), rounds=st.integers(1, 12), dead=st.booleans())
def test_synaptic_flow_in_rounds_removes_exactly_what_is_asked(sparsity: float, rounds: int, dead: bool) -> None:
    """ganguli-lab/Synaptic-Flow#12: "ERROR: 2888329 prunable parameters remaining, expected 12531568.7".

    A `dead` network has a layer of zeros: nothing flows, and all scores are equal.
    """
    m = model("conv8-w0.05", CIFAR)
    state, probe = initial(m), Iterated(SynFlowScores(), rounds, sparsity, "global")
    module = module_of(m, state)
    if dead:
        torch.nn.init.zeros_(module.get_parameter("fc1.weight"))
    scores = probe(module, copies(state.mask), Batches(lambda: iter(()), m.shape, 0))
    assert select(scores, sparsity, "global").removed == removed_count(m.prunable_count, sparsity)


@pytest.mark.parametrize("probe", [Gradients(), Sensitivity(), HessianGradient()], ids=lambda p: type(p).__name__)
def test_a_measurement_in_training_mode_leaves_the_running_statistics(run: Run, probe: Any) -> None:
    """neuralmagic/sparseml#756: collecting gradients moved batch-norm's statistics and cost half of the accuracy."""
    net = run.init(model=model("resnet8-w0.2", DIGITS))
    before = {name: t.clone() for name, t in net.buffers.items()}
    run.measure(net, probe, per_class=2)
    trained = run.train(net, until=Steps(1))
    assert before and all(torch.equal(net.module().get_buffer(name), t) for name, t in before.items())
    assert all(int(t) == 1 for name, t in trained.buffers.items() if name.endswith("num_batches_tracked"))


SUITE = """
name = "one"
version = "0.1"
methods = ["dense", "snip"]
learning_rates = [0.1]
sparsities = [0.5]
seeds = 1
budget = "2T"
validation = 130
[recipe]
epochs = 1
batch = {batch}
[[workload]]
model = "{model}"
dataset = "digits"
prunable = "all"
"""


@pytest.mark.parametrize(
    ("batch", "name", "failed"),
    [
        (53, "vgg11-w0.1", "in batches of 53 end in a batch or shard of one image, on which vgg11-w0.1"),
        (33, "vgg11-w0.1", "snip: 1 runs failed: the last batch of the measurement has one example"),
        (53, "resnet8-w0.2", ""),  # its last maps are 2x2
    ],
)
def test_a_last_batch_of_one_example_is_refused_only_where_batch_norm_needs_two(
    tmp_path: Path, data_folder: Path, batch: int, name: str, failed: str
) -> None:
    """pytorch/pytorch#7716: "Expected more than 1 value per channel when training", at the end of an epoch."""
    (tmp_path / "one.toml").write_text(SUITE.format(batch=batch, model=name))
    typed = ["run", str(tmp_path / "one.toml"), "--serial", "--out", str(tmp_path / "out"), "--data", str(data_folder)]
    done = CliRunner().invoke(main, typed)
    assert failed in done.output and (done.exit_code == 0) == (failed == "")
    assert "functional.py" not in done.output and "Traceback" not in done.output


@pytest.mark.parametrize(("size", "batch", "shards"), [(22, 21, 1), (1, 8, 1), (22, 4, 2)])
def test_a_training_that_will_meet_a_single_example_is_refused_before_its_first_step(
    size: int, batch: int, shards: int
) -> None:
    """pytorch/pytorch#7716, for a last batch, for a data set of one example, and for shards."""
    t = trajectory(VGG, size=size, batch=batch, shards=shards)
    with pytest.raises(MethodError, match="choose another batch"):
        Trainer(t, initial(VGG), 0, drawn_feed(VGG, size))


@dataclass(frozen=True)
class Rates(Rule):
    """Keeps the learning rate of every step."""

    every: int = 1

    def start(self, s: TrainingState) -> dict[str, Tensor]:
        return {"rates": torch.full((s.total,), math.nan)}

    def after_step(self, s: TrainingState) -> None:
        s.state["rates"][s.step] = s.lr


def test_every_round_of_rewinding_has_the_whole_schedule_behind_the_rewinding_point(run: Run) -> None:
    """VITA-Group/BERT-Tickets#4: one schedule lay over all rounds, so that none ended at its last rate."""
    recipe = replace(run.recipe, schedule="linear", drops=())
    early = net = run.train(run.init(), recipe=recipe, until=Steps(4))
    for sparsity in (0.2, 0.4, 0.5):
        net = run.train(early.masked(global_mask(magnitude(net), sparsity)), recipe=recipe, rule=Rates())
        total = len(net.state["rates"])
        expected = torch.tensor([recipe.lr * (1 - step / total) for step in range(4, total)])
        assert torch.allclose(net.state["rates"][4:], expected)
        assert net.state["rates"][:4].isnan().all()


@settings(max_examples=10)
@given(size=st.integers(1, 23))
def test_products_with_the_hessian_do_not_depend_on_the_batches(size: int) -> None:
    """alecwangcq/GraSP#1: the gradient was that of all examples in one factor and of one batch in the other."""
    m = mlp()
    state = sparse(trained(trajectory(m)), 0.4)
    whole, parts = (
        HessianGradient(200.0)(module_of(m, state), state.mask, drawn(m, 24, count)) for count in (24, size)
    )
    assert all(torch.allclose(parts[n], whole[n], rtol=1e-3, atol=1e-6 * float(whole[n].abs().max())) for n in whole)


@pytest.mark.parametrize("allocation", ["global", "uniform", "erk"])
@pytest.mark.parametrize("rule", [Gradual(0.9, every=1), GraNet(0.9, every=1), Gradual(0.7, every=1, begin=0.5)])
def test_gradual_pruning_goes_on_from_a_sparse_network(rule: Gradual, allocation: str) -> None:
    """neuralmagic/sparseml#145: a network that is 70 % sparse could not be pruned further."""
    t = trajectory(mlp("mlp-20-20"), rule=rule, epochs=6, allocation=allocation)
    start = sparse(begin(t), 0.7)
    removed = [Mask(state.mask).removed for state in states(t, range(1, t.clock.total + 1), start).values()]
    assert removed[0] == Mask(start.mask).removed
    assert removed[-1] == removed_count(t.model.prunable_count, rule.final)
    assert all(one <= other for one, other in pairwise(removed))


def test_gradual_pruning_to_less_than_there_is_says_so() -> None:
    """neuralmagic/sparseml#145, the other way."""
    t = trajectory(mlp("mlp-20-20"), rule=Gradual(0.5, every=1))
    with pytest.raises(MethodError, match="pruned already"):
        states(t, [t.clock.total], sparse(begin(t), 0.7))


def zero(t: Tensor) -> Tensor:
    return torch.zeros_like(t)


def negative(t: Tensor) -> Tensor:
    return -t.abs()


@pytest.mark.parametrize("start", [zero, negative])
def test_kept_weights_that_are_zero_or_negative_are_trained(start: Callable[[Tensor], Tensor]) -> None:
    """rahulvigneswaran/Lottery-Ticket-Hypothesis-in-Pytorch#7: gradients were cut where a weight was under 1e-6."""
    t = trajectory(mlp("mlp-20"), weight_decay=0.0)
    state = sparse(begin(t), 0.5)
    last = "out.weight"
    state = replace(state, params=state.params | {last: torch.where(state.mask[last], start(state.params[last]), 0.0)})
    end = states(t, [t.clock.total], state)[t.clock.total]
    moved = end.params[last] != state.params[last]
    assert torch.equal(moved, state.mask[last])
