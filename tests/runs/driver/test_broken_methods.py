"""A broken method fails its own row, with a reason that names the cause; its neighbours' rows stay as they are."""

import math
import random
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from lthbench import Gradients, Network, Run, magnitude
from lthbench.data import DataHome
from lthbench.methods.internals.context import context_of
from lthbench.runs.records.record import in_folder
from tests.runs.helpers import ONE, TINY, Outcome, chance, dense, drive, method, snip, ticket

NEIGHBOURS = list(map(method, (ticket, snip)))
LEFT: list[Network] = []


def raises(run: Run) -> Network:
    run.train(run.init(), until=1)
    raise ValueError("this does not work")


def raises_two_lines(run: Run) -> Network:
    raise ValueError("one\ntwo")


def divides(run: Run) -> Network:
    return run.train(run.init(), until=1 // 0)


def returns_nothing(run: Run) -> None:
    run.train(run.init(), until=1)


def returns_tensors(run: Run) -> object:
    return dict(run.train(run.init(), until=1).params)


def overspends(run: Run) -> Network:
    net = run.train(run.init())
    for _ in range(3):
        net = run.train(net.at(0))
    return net


def overspends_unplanned(run: Run) -> Network:
    net = run.train(run.init(), until=1)
    if run.validate(net) > 2:
        return net
    return overspends(run)


def misses(run: Run) -> Network:
    net = run.train(run.init())
    return net.masked(run.select(magnitude(net), run.sparsity / 2))


def draws_torch(run: Run) -> Network:
    init = run.init()
    scores = {name: torch.rand(w.shape) for name, w in init.prunable.items()}
    return run.train(init.masked(run.select(scores)))


def draws_numpy(run: Run) -> Network:
    return run.train(run.init(), order=int(np.random.randint(5)))


def draws_python(run: Run) -> Network:
    return run.train(run.init(), order=random.randrange(5))


def seeds_torch(run: Run) -> Network:
    net = chance(run)
    torch.manual_seed(0)
    return net


def mutates(run: Run) -> Network:
    net = run.train(run.init(), until=1)
    net.prunable["out.weight"].mul_(0)
    return run.train(net.masked(run.select(magnitude(run.init()))))


def leaves(run: Run) -> Network:
    net = chance(run)
    LEFT.append(net)
    return net


def takes_anothers(run: Run) -> Network:
    return LEFT[0].masked(run.select(magnitude(run.init())))


def wrong_probe(run: Run) -> Network:
    grads = run.measure(run.init(), Gradients(), examples=10)
    return run.train(run.init().masked(run.select({name: g * math.nan for name, g in grads.items()})))


def unknown_model(run: Run) -> Network:
    return run.train(run.init(model="resnet-1000"))


def forgets_the_position(run: Run) -> Network:
    return run.train(run.train(run.init()))


BROKEN: dict[Callable[..., object], str] = {
    raises: r"ValueError: this does not work \(test_broken_methods\.py:\d+\)",
    divides: r"ZeroDivisionError: .* \(test_broken_methods\.py:\d+\)",
    returns_nothing: r"a method returns a Network, not NoneType; write return run\.train\(…\)",
    returns_tensors: r"a method returns a Network, not dict; write return run\.train\(…\)",
    overspends: r"over budget: training from step 0 to 20 would bring the charge to 6 epochs, the budget is 4; .*",
    overspends_unplanned: r"over budget: training from step 0 to 20 would bring the charge to 6 epochs, .*",
    misses: r"misses the sparsity: 296 of 1184 weights are removed, 592 were asked for",
    draws_torch: r"drew from a global random generator, .* run\.generator\(.*",
    draws_numpy: r"drew from a global random generator, .*",
    draws_python: r"drew from a global random generator, .*",
    mutates: r"net\.prunable\['out\.weight'\] was changed in place, .* net\.with_weights.*",
    takes_anothers: r"this network belongs to another run; make it with this run's init and train",
    wrong_probe: r"the scores of .*\.weight contain NaN; .*",
    unknown_model: r"There is no model 'resnet-1000'\. .*Known: .*",
    forgets_the_position: r"this network is trained to the end \(step 20\); write net\.at\(0\) .*",
}


@pytest.fixture(scope="module")
def neighbours(tmp_path_factory: pytest.TempPathFactory, home: DataHome) -> Outcome:
    return drive(ONE, NEIGHBOURS, tmp_path_factory.mktemp("neighbours"), home)


@pytest.fixture(scope="module", params=["serial", "local"])
def mixed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, home: DataHome) -> Outcome:
    """All broken methods beside the two that are whole."""
    first, second = NEIGHBOURS
    methods = [first, method(leaves), *map(method, BROKEN), second]
    return drive(ONE, methods, tmp_path_factory.mktemp("mixed"), home, executor=request.param)


@pytest.mark.parametrize("function", BROKEN, ids=lambda f: f.__name__)
def test_its_row_fails_and_says_why(mixed: Outcome, function: Callable[..., object]) -> None:
    [result] = mixed.of(function.__name__)
    assert result.status == "failed"
    assert re.fullmatch(BROKEN[function], result.reason), result.reason
    assert "\n" not in result.reason
    assert result.test is None
    assert result.weights is None


def test_the_others_are_what_they_are_alone(mixed: Outcome, neighbours: Outcome) -> None:
    for neighbour in NEIGHBOURS:
        assert mixed.of(neighbour.name) == neighbours.of(neighbour.name)


def test_every_row_is_in_the_files(mixed: Outcome) -> None:
    assert {record.result.method for record in in_folder(mixed.out)} == {f.__name__ for f in BROKEN} | {
        "leaves",
        "ticket",
        "snip",
    }


def test_what_was_charged_before_it_failed_is_on_the_row(mixed: Outcome) -> None:
    assert mixed.of("raises")[0].charged["train"] == 1167
    assert mixed.of("overspends")[0].charged["train"] == 0
    assert mixed.of("overspends_unplanned")[0].charged["train"] == 2 * 2334
    assert mixed.of("misses")[0].charged["train"] == 2334


def test_a_method_that_seeds_the_global_generator(tmp_path: Path, home: DataHome) -> None:
    assert drive(ONE, [method(seeds_torch)], tmp_path, home).of("seeds_torch")[0].status == "failed"


def test_the_global_generators_are_put_back(tmp_path: Path, home: DataHome) -> None:
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    drive(ONE, list(map(method, (draws_torch, draws_numpy, draws_python, seeds_torch))), tmp_path, home)
    assert torch.get_rng_state().equal(before[0])
    assert random.getstate() == before[1]
    assert np.random.get_state()[1].tolist() == before[2]


def test_a_reason_is_one_line(tmp_path: Path, home: DataHome) -> None:
    [result] = drive(ONE, [method(raises_two_lines)], tmp_path, home).of("raises_two_lines")
    assert result.status == "failed"
    assert "\n" not in result.reason


class TestDiverged:
    @pytest.mark.parametrize("value", [math.nan, math.inf])
    def test_weights_that_are_not_finite(self, tmp_path: Path, home: DataHome, value: float) -> None:
        def own(run: Run) -> Network:
            net = run.train(run.init())
            net = net.masked(run.select(magnitude(net)))
            return net.with_weights({"out.bias": torch.full((10,), value)})

        [result] = drive(ONE, [method(own)], tmp_path, home).of("own")
        assert (result.status, result.reason.startswith("weights are not finite after init → train 2")) == (
            "diverged",
            True,
        )
        assert result.removed == 592

    def test_a_rate_that_is_too_high(self, tmp_path: Path, home: DataHome) -> None:
        suite = ONE.model_copy(update={"learning_rates": (1e6,)})
        [result] = drive(suite, [method(chance)], tmp_path, home).of("chance")
        assert result.status == "diverged"

    @pytest.mark.parametrize("keep", ["masks", "finals"])
    def test_one_that_misses_the_sparsity_stops_no_other(self, tmp_path: Path, home: DataHome, keep: str) -> None:
        def own(run: Run) -> Network:
            net = run.train(run.init(), recipe=run.recipe.replace(lr=1e9))
            net.params["out.bias"].sum()  # a look at a tensor shows that it diverged
            return net

        outcome = drive(ONE, [method(own), method(chance)], tmp_path, home, keep=keep)
        assert [r.status for r in (*outcome.of("own"), *outcome.of("chance"))] == ["diverged", "ok"]
        assert "then: misses the sparsity" in outcome.of("own")[0].reason

    def test_diverged_rows_are_final(self, tmp_path: Path, home: DataHome) -> None:
        suite = ONE.model_copy(update={"learning_rates": (1e6,)})
        first = drive(suite, [method(chance)], tmp_path, home)
        again = drive(suite, [method(chance)], tmp_path, home)
        assert again.broker.counts.operations == 0
        assert again.records == first.records

    def test_a_training_on_the_way_that_diverged(self, tmp_path: Path, home: DataHome) -> None:
        suite = ONE.model_copy(update={"learning_rates": (1e6,)})
        [result] = drive(suite, [method(ticket)], tmp_path, home).of("ticket")
        assert result.status == "diverged"


class TestSuiteGoesOn:
    """Whatever a method does, the suite ends with a row for everyone."""

    def go_on(self, out: Path, home: DataHome, function: Callable[..., object], **parameters: object) -> Outcome:
        outcome = drive(ONE, [method(function, **parameters), method(chance)], out, home)  # type: ignore[arg-type]
        assert outcome.of("chance")[0].status == "ok"
        return outcome

    def test_a_method_that_exits(self, tmp_path: Path, home: DataHome) -> None:
        def own(run: Run) -> Network:
            if "session" in type(context_of(run).engine).__module__:
                sys.exit("bye")
            return chance(run)

        assert self.go_on(tmp_path, home, own).of("own")[0].status == "failed"

    def test_a_method_that_swallows_everything(self, tmp_path: Path, home: DataHome) -> None:
        def own(run: Run) -> Network:
            net = chance(run)
            for _ in range(3):
                try:
                    run.train(net.at(0), order=7)
                except Exception:
                    return net
            return net

        assert self.go_on(tmp_path, home, own).of("own")[0].status == "ok"

    def test_one_seed_of_a_method(self, tmp_path: Path, home: DataHome) -> None:
        def own(run: Run) -> Network:
            if context_of(run).setting.cell.seed == 1:
                raise ValueError("seed 1")
            return chance(run)

        results = drive(TINY, [method(own), method(dense, track="dense")], tmp_path, home).of("own")
        assert [(r.seed, r.status) for r in results] == [(0, "ok"), (1, "failed")] * 2


def test_a_method_that_changes_its_mind(tmp_path: Path, home: DataHome) -> None:
    times = [0]

    def own(run: Run) -> Network:
        times[0] += 1
        run.train(run.init(), order=times[0])
        raise ValueError("later")

    assert "later" in drive(ONE, [method(own)], tmp_path, home).of("own")[0].reason
    [result] = drive(ONE, [method(own)], tmp_path, home).of("own")
    assert result.status == "failed"
    assert "the method is not deterministic: operation 1 was train" in result.reason
    assert "draw from run.generator(…) only" in result.reason
