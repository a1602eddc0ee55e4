"""Networks made without a training, and networks beside a training or a measurement, in real runs."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lthbench import (
    SAM,
    Batches,
    Distillation,
    Mask,
    MethodError,
    Network,
    OverBudget,
    Run,
    Tensors,
    balanced_mask,
    magnitude,
    uniform_mask,
)
from lthbench.data import DataHome
from lthbench.methods.internals.context import context_of
from lthbench.suite.workload import Workload
from tests.runs.helpers import EPOCHS, drive, equal, found, method, open_run, same, tiny

FREE = tiny(sparsities=(0.5,), seeds=1, budget="none")
NORMED = tiny(
    sparsities=(0.5,),
    seeds=1,
    budget="none",
    workload=(Workload(model="resnet8-w0.25", dataset="digits", prunable="all"),),
)


@pytest.fixture
def run(tmp_path: Path, home: DataHome) -> Iterator[Run]:  # type: ignore[misc]
    with open_run(tmp_path, home, FREE) as run:
        yield run


def charged(run: Run, phase: str) -> float:
    return context_of(run).ledger.charged[phase] / run.examples


def masks_of(net: Network) -> tuple[Mask, Mask]:
    return uniform_mask(magnitude(net), 0.5), balanced_mask(magnitude(net), 0.7)


def test_a_mixture_is_the_weighted_mean_and_keeps_what_any_keeps(run: Run) -> None:
    a, b = run.init(0), run.init(1)
    one, other = masks_of(a)
    net = run.mixed({a.masked(one): 0.25, b.masked(other): 0.75})
    for name, kept in one.tensors.items():
        either = kept | other.tensors[name]
        mean = 0.25 * a.params[name] * kept + 0.75 * b.params[name] * other.tensors[name]
        assert torch.equal(net.mask.tensors[name], either)
        assert torch.allclose(net.params[name], mean)
    assert net.params["out.bias"].shape == a.params["out.bias"].shape
    assert charged(run, "train") == charged(run, "score") == 0


def test_a_mixture_of_one_network_is_that_network(run: Run) -> None:
    init = run.init()
    net = init.masked(masks_of(init)[0])
    assert equal(run.mixed({net: 1}), net)
    assert equal(run.mixed({net: 0.5, net.at(1): 0.5}), net)


@pytest.mark.parametrize(
    ("shares", "reason"),
    [
        (lambda run: {}, r"the shares are \[\]; give one or more networks whose shares add up to 1"),
        (lambda run: {run.init(): 0.4, run.init(1): 0.5}, r"the shares are \[0\.4, 0\.5\]; .* add up to 1"),
        (lambda run: {run.init(): float("nan")}, r"the share nan is not a finite number"),
        (
            lambda run: {run.init(): "1"},
            r"the share '1' is not a finite number; write run\.mixed\(\{a: 0\.5, b: 0\.5\}\)",
        ),
        (lambda run: {run.init(): 0.5, run.init(model="mlp-8"): 0.5}, r"mlp-8 and mlp-16 differ in model or basis"),
    ],
)
def test_a_mixture_that_makes_no_sense_is_refused(run: Run, shares: object, reason: str) -> None:
    with pytest.raises(MethodError, match=reason):
        run.mixed(shares(run))  # type: ignore[operator]


def test_recalibration_takes_the_statistics_anew_and_is_charged(tmp_path: Path, home: DataHome) -> None:
    with open_run(tmp_path, home, NORMED) as run:
        net = run.train(run.init(), until=1)
        again = run.recalibrated(net, examples=500)
        moved = {name for name, b in net.buffers.items() if not torch.equal(b, again.buffers[name])}
        assert moved == {name for name in net.buffers if name.endswith(("running_mean", "running_var"))}
        assert same(net.params, again.params) and again.step == net.step
        assert charged(run, "score") == 500 / run.examples


def test_a_network_without_batch_norm_is_not_recalibrated(run: Run) -> None:
    init = run.init()
    assert run.recalibrated(init) is init
    assert charged(run, "score") == 0


def test_a_teacher_enters_the_key_and_its_pass_is_charged(run: Run) -> None:
    init, teachers = run.init(), [run.train(run.init(stream), until=1) for stream in (1, 2)]
    before = charged(run, "train")
    nets = [run.train(init, rule=Distillation(), networks={"teacher": teacher}) for teacher in teachers]
    assert charged(run, "train") - before == 2 * 2 * EPOCHS
    assert nets[0].key != nets[1].key and not same(nets[0].params, nets[1].params)
    assert same(teachers[0].params, run.train(run.init(1), until=1).params)


def test_a_training_with_a_teacher_goes_on_where_it_stopped(run: Run) -> None:
    init, teacher = run.init(), run.init(1)
    whole = run.train(init, rule=Distillation(), networks={"teacher": teacher})
    half = run.train(init, rule=Distillation(), networks={"teacher": teacher}, until=1)
    assert run.train(half, rule=Distillation(), networks={"teacher": teacher}).key == whole.key
    assert run.train(half, rule=Distillation(), networks={"teacher": run.init(2)}).key != whole.key


def test_passes_are_charged_before_they_are_done(tmp_path: Path, home: DataHome) -> None:
    with open_run(tmp_path, home, tiny(sparsities=(0.5,), seeds=1, budget="3")) as run:
        net = run.train(run.init(), rule=SAM(), until=1)
        assert run.left == 1
        with pytest.raises(OverBudget, match="over budget"):
            run.train(net, rule=SAM())


@dataclass(frozen=True)
class Disagreement:
    """The mean square of the difference between the outputs of two networks."""

    passes: int = 2

    def __call__(self, model: nn.Module, mask: Tensors, batches: Batches) -> dict[str, Tensor]:
        differences = [
            (model.eval()(images) - batches.networks["other"](images)).square().mean() for images, _ in batches()
        ]
        return {"difference": torch.stack(differences).mean()}


def test_a_probe_compares_networks(run: Run) -> None:
    a, b = run.init(), run.init(1)
    found = [float(run.measure(a, Disagreement(), examples=256, networks={"other": n})["difference"]) for n in (a, b)]
    assert found[0] == 0 < found[1]
    assert charged(run, "score") == 2 * 2 * 256 / run.examples


def test_a_probe_that_hides_a_pass_fails(run: Run) -> None:
    with pytest.raises(MethodError, match=r"Disagreement fed 512 examples to networks, 256 were charged"):
        run.measure(run.init(), Disagreement(passes=1), examples=256, networks={"other": run.init(1)})


def test_a_network_that_is_not_there_is_named(run: Run) -> None:
    with pytest.raises(MethodError, match=r"There is no network 'teacher'\. .*Known: none.*networks="):
        run.train(run.init(), rule=Distillation())
    with pytest.raises(MethodError, match="asked for a Network, got str"):
        run.train(run.init(), rule=Distillation(), networks={"teacher": "dense"})  # type: ignore[dict-item]


def distilled(run: Run) -> Network:
    dense = run.train(run.init(), recipe=run.recipe.replace(epochs=1))
    ticket = dense.masked(run.select(magnitude(dense))).at(0)
    return run.train(ticket, recipe=run.recipe.replace(epochs=1), rule=Distillation(), networks={"teacher": dense})


def test_the_plan_knows_the_charge_and_the_work_of_passes(tmp_path: Path, home: DataHome) -> None:
    outcome = drive(FREE, [method(distilled)], tmp_path, home)
    [record] = outcome.records
    assert record.result.status == "ok", record.result.reason
    [planned] = outcome.plan.runs
    assert planned.complete and planned.charge == 3 == record.result.charged["train"] / record.result.epoch
    assert outcome.plan.computed == pytest.approx(3) == record.provenance.epochs_computed


FAULTS = {
    "numpy": (
        "run.select({n: w.numpy() for n, w in run.init().prunable.items()})",
        r"of type ndarray; .*\(own\.py:\d+\)",
    ),
    "never": ("run.train(run.init(), rule=Never())", r"Never\.after_step \(own\.py:8\) would never be called"),
    "inside": ("run.train(run.init(), rule=Inside())", r"the score of .* is of type float; .*\(own\.py:15\)$"),
    "passes": ("run.measure(run.init(), Undeclared())", r"Undeclared\.passes is None \(own\.py:16\): write how often"),
    "float": (
        "run.init().with_weights({'out.bias': 1.0})",
        r"the value of out\.bias is of type float.*\(own\.py:\d+\)",
    ),
}
BODY = """
@dataclass(frozen=True)
class Never(Rule):
    def after_step(self, s):
        pass

@dataclass(frozen=True)
class Inside(Rule):
    every: int = 5
    def after_step(self, s):
        s.select({n: 1.0 for n in s.prunable}, 0.5)
@dataclass(frozen=True)
class Undeclared:
    def __call__(self, model, mask, batches): return {}

@method("own", cost="T")
def own(run):
"""


@pytest.mark.parametrize("name", FAULTS)
def test_a_failure_names_the_authors_own_line(name: str, tmp_path: Path, home: DataHome) -> None:
    line, reason = FAULTS[name]
    [record] = drive(FREE, [found(tmp_path, f"{BODY}    return {line}\n")], tmp_path, home).records
    assert record.result.status == "failed"
    assert re.search(reason, record.result.reason or ""), record.result.reason
