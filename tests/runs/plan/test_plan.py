"""The plan says beforehand what the real run does: operations, sharing, charges, epochs, room."""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from lthbench import L1, Network, Rule, Run, TrainingState, magnitude
from lthbench.data import DataHome
from lthbench.runs.plan.plan import order
from lthbench.runs.store.store import Store, Trace
from tests.runs.helpers import (
    METHODS,
    ONE,
    TINY,
    Outcome,
    chance,
    dense,
    drive,
    driver,
    finetune,
    gradual,
    method,
    planned,
    rewind,
    snip,
    store_in,
    ticket,
    tiny,
)


def asked(outcome: Outcome) -> list[list[str]]:
    """What every real run asked for, operation by operation."""
    store = store_in(outcome.out)
    return sorted(Trace(store, path.stem).asked for path in (store.root / "traces").iterdir())


def kinds(runs: list[list[str]]) -> list[list[str]]:
    return sorted([what.split()[0] for what in run] for run in runs)


def scored(outcome: Outcome) -> float:
    """Epochs of scoring that are computed once for a seed and charged to each of its runs."""
    once = {
        r.result.seed: r.result.charged["score"] / r.result.epoch for r in outcome.records if r.result.charged["score"]
    }
    return sum(once.values())


class TestEqualsTheRealRun:
    def test_operations_and_sharing(self, whole: Outcome) -> None:
        real, plan = asked(whole), whole.plan
        assert plan.asked == sum(map(len, real))
        assert plan.operations == whole.broker.counts.operations < len({what for run in real for what in run})
        assert kinds(real) == sorted([step.kind for step in run.steps] for run in plan.runs)
        assert all(run.complete and run.refused is None for run in plan.runs)

    def test_charges(self, whole: Outcome) -> None:
        plan = {run.method.label + str(run.cell): run.charge for run in whole.plan.runs}
        real = {
            f"{r.method}mlp-16/digits lr {r.learning_rate:g} sparsity {r.sparsity:g} seed {r.seed}": sum(
                r.charged.values()
            )
            / r.epoch
            for r in (record.result for record in whole.records)
        }
        assert real == plan
        assert whole.plan.charged == pytest.approx(sum(real.values()))

    def test_epochs_computed(self, whole: Outcome) -> None:
        assert whole.broker.counts.epochs == pytest.approx(whole.plan.computed + scored(whole), abs=1e-9)
        assert whole.plan.computed < whole.plan.charged
        by_run = sum(record.provenance.epochs_computed for record in whole.records)
        assert by_run == pytest.approx(whole.broker.counts.epochs)

    @pytest.mark.parametrize(
        "function", [dense, ticket, finetune, chance, rewind, snip, gradual], ids=lambda f: f.__name__
    )
    def test_each_method_alone(self, tmp_path: Path, home: DataHome, function: object) -> None:
        outcome = drive(ONE, [method(function)], tmp_path, home)  # type: ignore[arg-type]
        [run], [record], [real] = outcome.plan.runs, outcome.records, asked(outcome)
        assert [step.kind for step in run.steps] == [what.split()[0] for what in real]
        assert outcome.plan.operations == outcome.broker.counts.operations <= len(set(real))
        assert run.charge == sum(record.result.charged.values()) / 1167
        assert outcome.broker.counts.epochs == pytest.approx(outcome.plan.computed + scored(outcome))

    def test_numbers_of_some_methods(self, home: DataHome) -> None:
        def of(*functions: object) -> tuple[int, int, float, float]:
            plan = planned(ONE, [method(f) for f in functions], home)  # type: ignore[arg-type]
            return plan.asked, plan.operations, plan.charged, plan.computed

        assert of(dense) == (2, 2, 2, 2)
        assert of(ticket) == (3, 3, 4, 4)
        assert of(ticket, finetune) == (6, 5, 8, 6)
        assert of(dense, ticket) == (5, 4, 6, 4)
        assert of(rewind) == (5, 4, 4, 4)
        assert of(dense, rewind) == (7, 5, 6, 4)
        assert of(chance) == (2, 2, 2, 2)
        assert of(snip) == (3, 3, 2 + 100 / 1167, 2)

    def test_a_mask_of_the_same_draw_is_shared(self, home: DataHome) -> None:
        def twin(run: Run) -> Network:
            return chance(run)

        def other(run: Run) -> Network:
            run.generator("mask").manual_seed(1)
            return chance(run)

        assert planned(ONE, [method(chance), method(twin)], home).operations == 2
        assert planned(ONE, [method(chance), method(other)], home).operations == 4


@dataclass(frozen=True)
class Short(Rule):
    """Ends after so many epochs."""

    epochs: int

    def done(self, s: TrainingState) -> bool:
        return s.step >= self.epochs * s.steps_per_epoch


def early(run: Run) -> Network:
    net = run.train(run.init(), rule=Short(1))
    return run.train(net.masked(run.select(magnitude(net))).at(0))


def chooser(run: Run) -> Network:
    """Looks at a value: what comes after depends on it."""
    net = run.train(run.init(), until=1)
    return (
        run.train(net.masked(run.select(magnitude(net))))
        if run.validate(net) > 2
        else net.masked(run.select(magnitude(net)))
    )


def looker(run: Run) -> Network:
    net = run.train(run.init(), until=1)
    masked = net.masked(run.select(magnitude(net)))
    return run.train(masked) if float(net.params["out.bias"].sum()) > 1e6 else masked


class TestAtMost:
    @pytest.mark.parametrize("function", [early, chooser, looker])
    def test_a_run_that_depends_on_values(self, tmp_path: Path, home: DataHome, function: object) -> None:
        outcome = drive(ONE, [method(function)], tmp_path, home)  # type: ignore[arg-type]
        [run], [record] = outcome.plan.runs, outcome.records
        assert record.result.status == "ok", record.result.reason
        assert not run.complete
        assert run.most == 4
        assert record.result.charged["train"] / 1167 <= run.most
        assert outcome.broker.counts.epochs <= run.most

    def test_what_a_rule_ended_early_is_not_charged(self, tmp_path: Path, home: DataHome) -> None:
        outcome = drive(ONE, [method(early)], tmp_path, home)
        assert outcome.of("early")[0].charged["train"] == 3 * 1167
        assert outcome.broker.counts.epochs == 3

    def test_two_runs_that_stop_beyond_an_early_end(self, tmp_path: Path, home: DataHome) -> None:
        recipe = ONE.recipe.replace(epochs=3)

        def first(run: Run) -> Network:
            net = run.train(run.init(), rule=Short(1), until=2)
            return net.masked(run.select(magnitude(net)))

        def second(run: Run) -> Network:
            net = run.train(run.init(), rule=Short(1))
            return net.masked(run.select(magnitude(net)))

        outcome = drive(ONE.model_copy(update={"recipe": recipe}), [method(first), method(second)], tmp_path, home)
        assert [(r.result.status, r.result.reason) for r in outcome.records] == [("ok", None)] * 2
        assert len({record.result.weights for record in outcome.records}) == 1


def twice_over(run: Run) -> Network:
    net = run.train(run.init())
    for _ in range(2):
        net = run.train(net.at(0))
    return net


class TestRefused:
    def test_over_budget_is_refused_before_any_operation(self, tmp_path: Path, home: DataHome) -> None:
        outcome = drive(ONE, [method(twice_over)], tmp_path, home)
        [record] = outcome.records
        assert record.result.status == "failed"
        assert record.result.reason.startswith(
            "over budget: training from step 0 to 20 would bring the charge to 6 epochs"
        )
        assert (outcome.broker.counts.operations, outcome.broker.counts.epochs) == (0, 0)
        assert outcome.plan.operations == 0
        assert list((tmp_path / "store").rglob("states/*")) == []

    def test_the_others_go_on(self, tmp_path: Path, home: DataHome, whole: Outcome) -> None:
        outcome = drive(ONE, [method(twice_over), method(ticket)], tmp_path, home)
        [result] = outcome.of("ticket")
        assert result in whole.of("ticket") or result.weights in {r.weights for r in whole.of("ticket")}

    def test_charge_of_a_refused_run(self, tmp_path: Path, home: DataHome) -> None:
        outcome = drive(ONE, [method(twice_over)], tmp_path, home)
        assert outcome.plan.charged == sum(outcome.records[0].result.charged.values())

    def test_without_a_budget_nothing_is_refused(self, home: DataHome) -> None:
        assert planned(tiny(budget="none"), [method(twice_over)], home).runs[0].refused is None

    def test_one_sparsity_over_and_one_not(self, home: DataHome) -> None:
        def iterative(run: Run) -> Network:
            net = run.train(run.init())
            for sparsity in run.rounds(0.5):
                net = run.train(net.masked(run.select(magnitude(net), sparsity)).at(0))
            return net

        runs = planned(tiny(seeds=1), [method(iterative)], home).runs
        assert [run.refused is None for run in runs] == [True, False]

    def test_a_method_that_fails_in_thought_too(self, home: DataHome) -> None:
        def broken(run: Run) -> Network:
            raise ValueError("no")

        plan = planned(ONE, [method(broken), method(ticket)], home)
        assert not plan.runs[0].complete
        assert plan.runs[1].complete


def heavy(run: Run) -> Network:
    """Leaves a state at every second step."""
    from lthbench import Steps

    net = run.init()
    for step in range(2, 21, 2):
        net = run.train(net, until=Steps(step))
    return net.masked(run.select(magnitude(net)))


class TestPeak:
    def test_a_state_is_no_larger_than_planned(self, tmp_path: Path, home: DataHome) -> None:
        outcome = drive(ONE, [method(heavy), method(gradual)], tmp_path, home, keep="all")
        sizes = [path.stat().st_size for path in (store_in(tmp_path).root / "states").iterdir()]
        steps = [step for run in outcome.plan.runs for step in run.steps if step.kind == "train"]
        assert len(sizes) == len(steps)
        assert sum(sizes) <= sum(step.size for step in steps)

    @pytest.mark.parametrize("functions", [[ticket], [ticket, finetune, dense, chance, rewind]], ids=["one", "some"])
    def test_is_an_upper_bound(
        self, tmp_path: Path, home: DataHome, monkeypatch: pytest.MonkeyPatch, functions: list[object]
    ) -> None:
        seen = [0]
        drop = Store.drop

        def looked(self: Store, kind: str, key: str) -> None:
            seen.append(
                sum(e.stat().st_size for e in os.scandir(self.root / "states") if e.name.endswith("safetensors"))
            )
            drop(self, kind, key)

        monkeypatch.setattr(Store, "drop", looked)
        d = driver(TINY, [method(f) for f in functions], tmp_path, home)  # type: ignore[arg-type]
        d.run()
        assert 0 < max(seen) <= d.plan.peak(4)

    def test_grows_with_what_lies_there_at_once(self, home: DataHome) -> None:
        one, all_ = (planned(TINY, methods, home).peak(4) for methods in ([method(dense)], METHODS))
        assert 0 < one < all_
        assert planned(ONE, [method(dense)], home).peak(1) >= 4 * 1210  # parameters of 4 bytes


def test_dense_references_run_once_for_each_rate_and_seed(home: DataHome) -> None:
    runs = planned(TINY, [method(dense, track="dense"), method(ticket)], home).runs
    assert [(r.method.name, r.cell.sparsity, r.cell.seed) for r in runs] == [
        ("dense", 0.0, 0),
        ("dense", 0.0, 1),
        *[("ticket", sparsity, seed) for sparsity in (0.5, 0.9) for seed in (0, 1)],
    ]


def test_planning_trains_nothing_and_leaves_the_generators_alone(home: DataHome) -> None:
    import torch

    before = torch.get_rng_state()
    planned(TINY, METHODS, home)
    assert torch.get_rng_state().equal(before)


def test_rules_and_probes_enter_the_plan(home: DataHome) -> None:
    def a(run: Run) -> Network:
        return run.train(run.init(), rule=L1(1e-3))

    def b(run: Run) -> Network:
        return run.train(run.init(), rule=L1(1e-4))

    assert planned(ONE, [method(a), method(b)], home).operations == 4


def test_the_seeds_of_the_first_look_come_before_all_others() -> None:
    suite = tiny().model_copy(update={"seeds": (1, 3)})
    seeds = [cell.seed for _, cell in order(suite, METHODS)]
    first = seeds.count(0)
    assert seeds[:first] == [0] * first and sorted(seeds) == sorted([0, 1, 2] * first)
    assert sorted(map(str, order(suite, METHODS))) == sorted(
        map(str, order(tiny().model_copy(update={"seeds": 3}), METHODS))
    )
