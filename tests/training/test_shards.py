"""A batch in parts gives the result of independent arithmetic, on any number of devices."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

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
from lthbench.training.kernels.forward import by_torch
from lthbench.training.recipe import Recipe
from lthbench.training.rules import L1, Rule, Slimming, TrainingState
from lthbench.training.shards import Part, Shards
from lthbench.training.trainer import Trainer
from lthbench.training.trajectory import Trajectory
from tests.helpers import FAMILY, begin, bits, conv, feed, mlp, trained, trajectory

CPU, SECOND, THIRD = torch.device("cpu"), torch.device("cpu:0"), torch.device("cpu:1")  # names of one device


@dataclass(frozen=True)
class Alone(Rule):
    """A rule of an author, which is not made for several threads."""

    thread: int

    def loss(self, s: TrainingState, logits: Tensor, labels: Tensor, images: Tensor) -> Tensor:
        assert threading.get_ident() == self.thread
        return F.cross_entropy(logits, labels)


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
    parts = list(Shards(nn.Linear(1, 1), count, [CPU], by_torch).split(images, labels))
    assert torch.cat([part.images for part in parts]).equal(images)
    assert torch.cat([part.labels for part in parts]).equal(labels)
    assert [part.first for part in parts] == [i == 0 for i in range(len(parts))]
    sizes = [len(part.images) for part in parts]
    assert len(sizes) == min(count, size)
    assert max(sizes) - min(sizes) <= 1
    assert [part.share for part in parts] == [n / size for n in sizes]


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


@pytest.mark.parametrize("devices", [[CPU] * 2, [CPU, SECOND], [SECOND, CPU], [CPU, SECOND, THIRD], [CPU] * 5])
@pytest.mark.parametrize("rule", [None, L1(1e-3), Slimming(1e-3)], ids=lambda rule: type(rule).__name__)
def test_the_number_of_devices_changes_no_bit(devices: list[torch.device], rule: Rule | None) -> None:
    t = replace(trajectory(conv("conv-norm"), shards=3, augment="crop-flip"), rule=rule)
    assert bits(on(t, devices)) == bits(on(t, [CPU]))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_devices_compute_side_by_side_in_one_precision(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    meeting, seen = threading.Barrier(2), set()

    def loss(self: Rule, s: object, logits: Tensor, labels: Tensor, images: Tensor) -> Tensor:
        meeting.wait(20)  # until the other device has come as far
        seen.add((threading.get_ident(), logits.dtype))
        return F.cross_entropy(logits, labels)

    monkeypatch.setattr(Rule, "loss", loss)
    on(replace(trajectory(mlp(), shards=2, epochs=1), precision=precision), [CPU, SECOND])
    assert len({thread for thread, _ in seen} - {threading.get_ident()}) == 2
    assert {kind for _, kind in seen} == {torch.float32 if precision == "fp32" else torch.bfloat16}


def test_the_rule_of_an_author_meets_one_thread() -> None:
    on(replace(trajectory(mlp(), shards=2, epochs=1), rule=Alone(threading.get_ident())), [CPU, SECOND])


def test_a_fault_on_one_device_ends_the_step_after_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = []

    def work(part: Part) -> None:
        if part.first:
            raise MethodError("no")
        time.sleep(0.2)
        ended.append(part)

    shards = Shards(nn.Linear(1, 1), 2, [CPU, SECOND], by_torch, lambda device: nullcontext())
    with pytest.raises(MethodError, match="^no$"):
        list(shards.each(work, torch.ones(2, 1), torch.ones(2)))
    assert len(ended) == 1


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
