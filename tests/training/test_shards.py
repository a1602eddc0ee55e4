"""A batch in parts gives the result of independent arithmetic, on any number of devices."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from lthbench.errors import InputError, MethodError
from lthbench.models import FAMILIES
from lthbench.pruning.state import State, module_of
from lthbench.runs.workers.worker_config import WorkerConfig
from lthbench.training import numerics
from lthbench.training.recipe import Recipe
from lthbench.training.shards import Shards
from lthbench.training.trainer import Trainer
from lthbench.training.trajectory import Trajectory
from tests.helpers import FAMILY, begin, bits, conv, feed, mlp, trained, trajectory

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def conv_family(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAMILIES, "conv", FAMILY)


def on(t: Trajectory, devices: Sequence[torch.device]) -> State:
    found: dict[int, State] = {}
    Trainer(t, begin(t), 0, feed(t.clock.size), devices=devices).run([t.clock.total], found.__setitem__)
    return found[t.clock.total]


@given(count=st.integers(1, 9), size=st.integers(1, 9))
def test_parts_are_the_batch_in_order(count: int, size: int) -> None:
    images, labels = torch.arange(float(size)).view(size, 1), torch.arange(size)
    parts = list(Shards(nn.Linear(1, 1), count, [CPU]).split(images, labels))
    assert torch.cat([some for some, _, _ in parts]).equal(images)
    assert torch.cat([theirs for _, theirs, _ in parts]).equal(labels)
    sizes = [len(some) for some, _, _ in parts]
    assert len(sizes) == min(count, size)
    assert max(sizes) - min(sizes) <= 1
    assert [share for _, _, share in parts] == [n / size for n in sizes]


@pytest.mark.parametrize("shards", [2, 3, 8])
def test_one_step_is_the_mean_over_parts_normalised_apart(shards: int) -> None:
    t = trajectory(conv("conv-norm"), size=8, epochs=1, shards=shards, weight_decay=0.0, momentum=0.0)
    before, after = begin(t), trained(t, 1)
    [index] = feed(8).epoch(t.clock, t.recipe, t.seed, t.order, 0)
    images, labels = feed(8).batch(index)
    means: dict[str, Tensor] = {name: torch.zeros_like(w) for name, w in before.params.items()}
    running = torch.zeros(3)
    for some, theirs in zip(images.tensor_split(shards), labels.tensor_split(shards), strict=True):
        module = module_of(t.model, before, CPU).train()
        (F.cross_entropy(module(some), theirs) * len(some) / 8).backward()
        for name, w in module.named_parameters():
            means[name] += w.grad  # type: ignore[operator]
        running += module.norm.running_mean / shards  # type: ignore[union-attr, operator]
    for name, w in before.params.items():
        torch.testing.assert_close(after.params[name], w - 0.1 * means[name])
    torch.testing.assert_close(after.buffers["norm.running_mean"], running)
    assert after.buffers["norm.num_batches_tracked"] == 1


def test_without_batch_norm_parts_make_no_difference_but_rounding() -> None:
    whole, parts = trained(trajectory(mlp())), trained(trajectory(mlp(), shards=3))
    for name, w in whole.params.items():
        torch.testing.assert_close(parts.params[name], w)


@pytest.mark.parametrize("devices", [1, 2, 3, 5])
def test_the_number_of_devices_changes_no_bit(devices: int) -> None:
    t = trajectory(conv("conv-norm"), shards=3, augment="crop-flip")
    assert bits(on(t, [CPU] * devices)) == bits(trained(t))


@pytest.mark.cuda
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_two_gpus_give_the_bits_of_one() -> None:
    t = trajectory(conv("conv-norm"), shards=2)
    first, second = torch.device("cuda:0"), torch.device("cuda:1")
    found: list[State] = []
    for devices in ([first], [first, second]):
        Trainer(t, begin(t), 0, feed(t.clock.size, "cuda:0"), devices=devices).run(
            [t.clock.total], lambda stop, state: found.append(state)
        )
    assert bits(found[0]) == bits(found[1])


def test_shards_are_of_the_key_and_one_is_as_before() -> None:
    plain = Recipe(epochs=3, batch=8, lr=0.1)
    assert "shards" not in plain.identity
    keys = {replace(trajectory(), recipe=replace(plain, shards=n)).key for n in (1, 2, 3)}
    assert len(keys) == 3


def test_what_draws_random_numbers_is_refused() -> None:
    with pytest.raises(MethodError, match="conv-dropout draws random numbers, .* shards = 1"):
        trained(trajectory(conv("conv-dropout"), shards=2))


@pytest.fixture
def five_gpus(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(numerics, "alike", lambda device: [torch.device("cuda", i) for i in range(5)])
    yield


@pytest.mark.usefixtures("five_gpus")
def test_workers_of_several_gpus(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp()
    places = WorkerConfig(folder, folder, "cuda", gpus=2).each()
    assert [(place.device, place.peers) for place in places] == [("cuda:0", ("cuda:1",)), ("cuda:2", ("cuda:3",))]
    with pytest.raises(InputError, match="6 GPUs for each worker were asked for; there are 5 of one kind"):
        WorkerConfig(folder, folder, "cuda", gpus=6).each()
