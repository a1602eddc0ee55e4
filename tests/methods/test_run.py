"""The Run and its networks as a method uses them, with real trainings."""

import math
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor

from lthbench import (
    L1,
    Gradients,
    Gradual,
    InputError,
    Mask,
    MethodError,
    Network,
    OverBudget,
    Run,
    Steps,
    budget,
    global_mask,
    magnitude,
    random_scores,
)
from lthbench.data import DataHome
from lthbench.methods.internals.context import context_of
from lthbench.methods.network import origin_of
from lthbench.training.optimizer import OPTIMIZERS
from tests.runs.helpers import EPOCHS, ONE, STEPS, equal, open_run, same, tiny

LAYER = "hidden.0.weight"
FREE = tiny(sparsities=(0.5,), seeds=1, budget="none")


@pytest.fixture
def run(tmp_path: Path, home: DataHome) -> Run:  # type: ignore[misc]
    """Return a run without a budget, so that tests may train as often as they need."""
    with open_run(tmp_path, home, FREE) as run:
        yield run


def half(net: Network) -> Mask:
    return global_mask(magnitude(net), 0.5)


class TestPosition:
    @pytest.mark.parametrize(
        "stop", [1, Steps(1), Steps(STEPS - 1), Steps(STEPS), Steps(STEPS + 3), Steps(2 * STEPS - 1)]
    )
    def test_two_halves_are_one_whole(self, tmp_path: Path, home: DataHome, stop: int) -> None:
        with open_run(tmp_path / "whole", home) as run:
            whole = run.train(run.init())
            key, params = whole.key, whole.params
        with open_run(tmp_path / "halves", home) as run:
            first = run.train(run.init(), until=stop)
            assert first.step == (stop if isinstance(stop, Steps) else stop * STEPS)
            second = run.train(first)
            assert (second.key, second.step, second.epoch) == (key, EPOCHS * STEPS, EPOCHS)
            assert same(second.params, params)
            assert not same(first.params, params)
            assert context_of(run).ledger.charged["train"] == EPOCHS * 1167

    def test_init_is_a_function_of_seed_stream_model_and_scheme(self, run: Run) -> None:
        init = run.init()
        assert init.key == run.init().key
        assert (init.step, init.mask.removed) == (0, 0)
        others = [run.init(1), run.init(model="mlp-8"), run.init(scheme="signed-constant")]
        assert len({net.key for net in [init, *others]}) == 4
        assert not same(init.params, others[0].params)
        assert others[1].params[LAYER].shape == (8, 64)
        assert others[2].params[LAYER].abs().unique().numel() == 1

    def test_until_where_it_stands_returns_the_network(self, run: Run) -> None:
        init = run.init()
        assert run.train(init, until=0) is init
        net = run.train(init, until=1)
        assert run.train(net, until=1) is net
        assert run.train(net, until=Steps(STEPS)) is net

    def test_behind_its_position_raises_with_advice(self, run: Run) -> None:
        net = run.train(run.init(), until=1)
        with pytest.raises(
            MethodError, match=r"until step 4: the network stands at step 10 already; write net\.at\(.*4.*\)"
        ):
            run.train(net, until=Steps(4))

    def test_past_the_end_raises(self, run: Run) -> None:
        with pytest.raises(MethodError, match="the recipe ends at step 20; give a recipe with more epochs"):
            run.train(run.init(), until=EPOCHS + 1)

    def test_a_finished_network_raises_with_advice(self, run: Run) -> None:
        net = run.train(run.init())
        with pytest.raises(
            MethodError, match=r"trained to the end \(step 20\); write net\.at\(0\) to train it once more"
        ):
            run.train(net)
        assert not equal(run.train(net.at(0)), net)

    @pytest.mark.parametrize("change", [{"epochs": 3}, {"batch": 64}, {"examples": 500}, {"warmup": 0.1}])
    def test_another_pace_raises_until_it_says_where_it_stands(self, run: Run, change: dict[str, float]) -> None:
        net, recipe = run.train(run.init(), until=1), run.recipe.replace(**change)
        with pytest.raises(MethodError, match=r"differ from those .* net\.at\(0\) to start the new schedule"):
            run.train(net, recipe=recipe)
        assert run.train(net.at(0), until=1, recipe=recipe).epoch == 1

    @pytest.mark.parametrize("change", [{"lr": 0.01}, {"weight_decay": 0.0}])
    def test_another_rate_or_decay_goes_on(self, run: Run, change: dict[str, float]) -> None:
        net = run.train(run.init(), until=1)
        other = run.train(net, recipe=run.recipe.replace(**change))
        assert other.epoch == EPOCHS
        assert not equal(other, run.train(net))

    @pytest.mark.parametrize("edit", ["with_mask", "with_weights"])
    def test_an_edited_network_keeps_the_pace_that_it_was_trained_under(self, run: Run, edit: str) -> None:
        net = run.train(run.init(), until=1)
        net = net.with_mask(half(net)) if edit == "with_mask" else net.with_weights(net.prunable)
        assert net.epoch == 1
        with pytest.raises(MethodError, match="say where it stands"):
            run.train(net, recipe=run.recipe.replace(epochs=3))

    def test_at_moves_the_schedule_and_nothing_else(self, run: Run) -> None:
        net = run.train(run.init())
        moved = net.at(1)
        assert (moved.epoch, net.at(Steps(3)).step) == (1, 3)
        assert equal(moved, net)
        assert run.train(moved).key not in (run.train(net.at(0)).key, net.key)
        with pytest.raises(
            MethodError, match=r"at -1: a position is a whole number of epochs, or Steps\(n\), and at least 0"
        ):
            net.at(-1)

    @pytest.mark.parametrize("what", ["until", "at"])
    def test_a_broken_epoch_is_refused_rather_than_cut(self, run: Run, what: str) -> None:
        net = run.init()
        with pytest.raises(MethodError):
            run.train(net, until=0.5) if what == "until" else run.train(net.at(1.5))  # type: ignore[arg-type]

    def test_orders_and_rules_are_trainings_of_their_own(self, run: Run) -> None:
        init = run.init()
        nets = [
            run.train(init),
            run.train(init, order=1),
            run.train(init, rule=L1(1e-3)),
            run.train(init, rule=L1(1e-2)),
        ]
        assert len({net.key for net in nets}) == 4
        assert not any(same(a.params, b.params) for i, a in enumerate(nets) for b in nets[:i])

    def test_a_rule_that_begins_on_the_way_is_another_training(self, run: Run) -> None:
        first = run.train(run.init(), until=1)
        assert run.train(first, rule=L1(1e-3)).key not in (
            run.train(first).key,
            run.train(run.init(), rule=L1(1e-3)).key,
        )

    def test_a_mask_that_a_rule_moved_is_the_networks(self, run: Run) -> None:
        net = run.train(run.init(), rule=Gradual(0.5, every=2))
        assert (net.mask.removed, net.mask.prunable) == (592, 1184)
        assert all(bool((w[~net.mask.tensors[name]] == 0).all()) for name, w in net.prunable.items())


class TestMomentum:
    @pytest.mark.parametrize("optimizer", OPTIMIZERS)
    def test_masking_keeps_that_of_what_remains(self, run: Run, optimizer: str) -> None:
        net = run.train(run.init(), until=1, recipe=run.recipe.replace(optimizer=optimizer))
        before, mask = context_of(run).load(net).slots, half(net)
        after = context_of(run).load(net.masked(mask)).slots
        for slot in OPTIMIZERS[optimizer].slots:
            assert before[slot].keys() == net.params.keys()
            left = {n: torch.where(mask.tensors[n], t, 0) if n in mask.tensors else t for n, t in before[slot].items()}
            assert same(after[slot], left)
        for number in OPTIMIZERS[optimizer].numbers:
            assert same(after[number], before[number])

    def test_the_others_clear_it(self, run: Run) -> None:
        net = run.train(run.init(), until=1)
        cleared = [net.at(1), net.with_weights({}), net.with_weights(net.params), net.with_mask(net.mask)]
        ends = [run.train(other) for other in cleared]
        assert all(same(end.params, ends[0].params) for end in ends)
        assert not same(ends[0].params, run.train(net).params)

    def test_masking_goes_on_with_it_and_with_mask_does_not(self, run: Run) -> None:
        net = run.train(run.init(), until=1)
        mask = half(net)
        kept, cleared = run.train(net.masked(mask)), run.train(net.with_mask(mask))
        assert same(net.masked(mask).params, net.with_mask(mask).params)
        assert kept.mask == cleared.mask
        assert not same(kept.params, cleared.params)
        assert same(cleared.params, run.train(net.masked(mask).at(1)).params)

    def test_a_mask_that_removes_nothing_changes_nothing(self, run: Run) -> None:
        net = run.train(run.init(), until=1)
        full = Mask.full(run.model.prunable_shapes)
        assert net.masked(full) is net
        assert run.init().masked(full).key == run.init().key

    def test_fine_tuning_starts_without(self, run: Run) -> None:
        net = run.train(run.init(), until=1)
        assert run.fine_tune(net, 1).key == run.fine_tune(net.at(1), 1).key


class TestMasks:
    def test_masks_intersect(self, run: Run) -> None:
        init = run.init()
        a, b = (run.select(random_scores(init, run.generator(name))) for name in "ab")
        both = init.masked(a).masked(b)
        assert both.mask == a & b
        assert both.key == init.masked(b).masked(a).key == init.masked(a & b).key
        assert all(bool((w[~(a & b).tensors[name]] == 0).all()) for name, w in both.prunable.items())

    def test_with_mask_brings_back_zeros(self, run: Run) -> None:
        net = run.train(run.init())
        mask = half(net)
        back = net.masked(mask).with_mask(Mask.full(run.model.prunable_shapes))
        assert back.mask.removed == 0
        assert same(back.params, net.masked(mask).params)
        assert any(bool((w == 0).any()) for w in back.prunable.values())

    def test_with_weights_leaves_pruned_weights_at_zero(self, run: Run) -> None:
        net = run.init()
        mask = half(net)
        ones = {name: torch.ones_like(w) for name, w in net.prunable.items()}
        other = net.masked(mask).with_weights(ones)
        assert same(other.prunable, {name: kept.float() for name, kept in mask.tensors.items()})
        assert other.params["out.bias"].equal(net.params["out.bias"])

    def test_training_leaves_pruned_weights_at_zero(self, run: Run) -> None:
        init = run.init()
        net = run.train(init.masked(half(init)))
        assert net.mask == half(init)
        assert all(bool((w[~net.mask.tensors[name]] == 0).all()) for name, w in net.prunable.items())

    def test_select_is_exact_and_takes_the_lowest(self, run: Run) -> None:
        init = run.init()
        for sparsity in (0.0, 0.1, 1 / 3, 0.9991, 1.0):
            mask = run.select(magnitude(init), sparsity)
            assert (mask.removed, mask.prunable) == (math.floor(sparsity * 1184 + 0.5), 1184)
        weights = torch.cat([w.flatten() for w in init.prunable.values()]).abs()
        kept = torch.cat([m.flatten() for m in run.select(magnitude(init)).tensors.values()])
        assert kept.sum() == 592
        assert weights[~kept].max() <= weights[kept].min()

    def test_select_uses_the_allocation_of_the_suite(self, tmp_path: Path, home: DataHome) -> None:
        with open_run(tmp_path, home, tiny(allocation="uniform")) as run:
            assert run.allocation == "uniform"
            layers = run.select(magnitude(run.init())).layers
        assert layers == {LAYER: (512, 1024), "out.weight": (80, 160)}

    def test_select_says_what_is_missing(self, run: Run) -> None:
        with pytest.raises(MethodError, match=r"no scores for out\.weight"):
            run.select({LAYER: torch.ones(16, 64)})
        with pytest.raises(MethodError, match="the share removed"):
            run.select(magnitude(run.init()), 1.5)
        with pytest.raises(MethodError, match="NaN"):
            run.select({name: w * math.nan for name, w in run.init().prunable.items()})

    def test_a_mask_of_something_else_is_refused(self, run: Run) -> None:
        init = run.init()
        with pytest.raises(MethodError, match=r"lacks out\.weight"):
            init.masked(Mask({LAYER: torch.ones(16, 64, dtype=torch.bool)}))
        with pytest.raises(MethodError, match="shape"):
            init.masked(Mask.full(run.init(model="mlp-8").model.prunable_shapes))
        with pytest.raises(MethodError, match="boolean"):
            Mask({LAYER: torch.ones(16, 64)})
        with pytest.raises(MethodError, match=r"There is no parameter 'hidden\.0\.weigth'\. Did you mean"):
            init.with_weights({"hidden.0.weigth": torch.ones(16, 64)})


@settings(derandomize=True, deadline=None)
@given(st.floats(0.01, 0.999), st.floats(0.05, 0.9))
def test_rounds_end_exactly_at_the_sparsity(sparsity: float, rate: float) -> None:
    rounds = budget.rounds(sparsity, rate)
    kept = [1.0, *(1 - s for s in rounds)]
    assert rounds[-1] == sparsity
    assert rounds == sorted(rounds)
    assert all(b >= a * (1 - rate) - 1e-9 for a, b in pairwise(kept))


def test_rounds_of_a_run_are_those_of_its_cell(run: Run) -> None:
    assert run.rounds() == budget.rounds(0.5) == pytest.approx([0.2, 0.36, 0.488, 0.5])
    assert run.rounds(0.5) == [0.5]


class TestHandles:
    def test_another_runs_network_raises(self, run: Run, tmp_path: Path, home: DataHome) -> None:
        with open_run(tmp_path / "other", home) as other:
            net = other.init()
            for use in (
                run.train,
                run.validate,
                lambda n: run.measure(n, Gradients()),
                lambda n: run.keep(x=n),
                context_of(run).returned,
            ):
                with pytest.raises(MethodError, match="belongs to another run"):
                    use(net)

    @pytest.mark.parametrize("part", ["params", "prunable"])
    def test_a_change_in_place_raises_with_advice(self, run: Run, part: str) -> None:
        net = run.train(run.init(), until=1)
        getattr(net, part)[LAYER].mul_(2)
        for use in (
            run.train,
            run.validate,
            context_of(run).returned,
            lambda n: n.at(0),
            lambda n: n.masked(half(run.init())),
        ):
            with pytest.raises(
                MethodError, match=rf"net\.{part}\['hidden.0.weight'\] was changed in place.*with_weights"
            ):
                use(net)

    @pytest.mark.parametrize("way", ["data", "numpy"])
    def test_a_change_that_nobody_sees_reaches_no_other_network(self, run: Run, way: str) -> None:
        net = run.train(run.init(), until=1)
        before = {name: t.clone() for name, t in context_of(run).load(net).params.items()}
        for handed in (
            net.params,
            net.prunable,
            net.mask.tensors,
            context_of(run).load(net).params,
            net.module().state_dict(),
        ):
            for t in handed.values():
                t.data.zero_() if way == "data" else t.detach().numpy().fill(0)
        assert same(dict(net.module().state_dict()), before)
        again = run.train(run.init(), until=1)
        assert same(again.params, before)
        assert again.mask.removed == net.mask.removed == 0
        whole = run.train(net)
        assert whole.key == run.train(again).key
        assert same(run.train(net.at(1)).params, run.train(again.at(1)).params)

    def test_tensors_given_to_a_network_are_copied(self, run: Run) -> None:
        given = {LAYER: torch.ones(16, 64)}
        net = run.init().with_weights(given)
        kept = {n: torch.ones(s, dtype=torch.bool) for n, s in run.model.prunable_shapes.items()}
        mask = Mask(kept)
        given[LAYER].zero_()
        kept[LAYER].zero_()
        assert bool((net.params[LAYER] == 1).all())
        assert mask.removed == 0

    def test_scores_of_a_changed_network_raise(self, run: Run) -> None:
        net = run.train(run.init())
        net.prunable[LAYER].zero_()
        with pytest.raises(MethodError, match="changed in place"):
            magnitude(net)

    def test_what_is_handed_out_takes_no_other_tensor(self, run: Run) -> None:
        net = run.init()
        with pytest.raises((MethodError, TypeError)):
            net.params[LAYER] = torch.zeros(16, 64)  # type: ignore[index]

    def test_module_is_private(self, run: Run) -> None:
        net = run.train(run.init(), until=1)
        module = net.module()
        assert not module.training
        assert same(dict(module.state_dict()), dict(net.params))
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.zero_()
        assert same(dict(net.module().state_dict()), dict(net.params))
        assert any(bool(t.any()) for t in run.train(net).params.values())

    def test_anything_else_is_refused(self, run: Run) -> None:
        with pytest.raises(MethodError, match="asked for a Network, got Identity"):
            run.train(torch.nn.Identity())  # type: ignore[arg-type]
        with pytest.raises(MethodError, match=r"returns a Network, not NoneType; write return run\.train"):
            context_of(run).returned(None)


class TestGenerators:
    def test_a_function_of_seed_and_name(self, tmp_path: Path, home: DataHome) -> None:
        def drawn(place: str, name: str, suite: object = ONE) -> Tensor:
            with open_run(tmp_path / place, home, suite) as run:  # type: ignore[arg-type]
                return torch.rand(8, generator=run.generator(name))

        assert drawn("a", "x").equal(drawn("b", "x"))
        assert drawn("c", "x").equal(drawn("d", "x", tiny(sparsities=(0.9,))))
        assert not drawn("e", "x").equal(drawn("f", "y"))

    def test_another_seed_draws_otherwise(self, tmp_path: Path, home: DataHome) -> None:
        with open_run(tmp_path, home) as run:
            first = torch.rand(8, generator=run.generator("x"))
        cell = tiny().cells()[1]
        assert cell.seed == 1
        with open_run(tmp_path, home, tiny(seeds=2), seed=1) as run:
            assert not torch.rand(8, generator=run.generator("x")).equal(first)

    def test_the_same_name_goes_on(self, run: Run) -> None:
        a = torch.rand(4, generator=run.generator("x"))
        torch.rand(4, generator=run.generator("y"))
        b = torch.rand(4, generator=run.generator("x"))
        whole = torch.rand(8, generator=Generator().manual_seed(run.generator("x").initial_seed()))
        assert torch.cat([a, b]).equal(whole)

    def test_the_global_generators_are_left_alone(self, run: Run) -> None:
        before = torch.get_rng_state()
        net = run.train(run.init())
        run.measure(net, Gradients(), examples=10)
        run.select(random_scores(net, run.generator("x")))
        assert torch.get_rng_state().equal(before)


class TestMeasuring:
    def test_validate_is_the_share_of_right_answers(self, run: Run) -> None:
        net = run.train(run.init())
        right = run.validate(net) * 130
        assert right == pytest.approx(round(right))
        assert run.validate(net) > run.validate(run.init())
        assert context_of(run).ledger.charged["validate"] == 260
        run.validate(net)
        assert context_of(run).ledger.charged["validate"] == 260

    def test_validate_needs_held_out_examples(self, tmp_path: Path, home: DataHome) -> None:
        with (
            open_run(tmp_path, home, tiny(validation=0)) as run,
            pytest.raises(MethodError, match="holds out no example"),
        ):
            run.validate(run.init())

    def test_measure_gives_gradients_and_charges_passes(self, run: Run) -> None:
        init = run.init()
        grads = run.measure(init, Gradients(), per_class=3)
        assert {n: g.shape for n, g in grads.items()} == {n: p.shape for n, p in init.params.items()}
        assert context_of(run).ledger.charged["score"] == 30
        assert same(run.measure(init, Gradients(), per_class=3), grads)
        assert context_of(run).ledger.charged["score"] == 30
        others = [
            run.measure(init, Gradients(), per_class=3, stream=1),
            run.measure(init, Gradients(), examples=30),
            run.measure(init, Gradients(temperature=2.0), per_class=3),
            run.measure(init, Gradients()),
        ]
        assert context_of(run).ledger.charged["score"] == 30 * 4 + 1167
        assert not any(same(other, grads) for other in others)

    def test_measured_gradients_are_dense_and_right(self, run: Run) -> None:
        init = run.init()
        net = init.masked(half(init))
        grads = run.measure(net, Gradients())
        pruned = ~net.mask.tensors["out.weight"]
        assert bool(grads["out.weight"][pruned].any())
        assert not same(grads, run.measure(init, Gradients()))
        assert grads["out.bias"].sum() == pytest.approx(0, abs=1e-6)  # a softmax minus one-hot labels

    def test_examples_that_are_not_there(self, run: Run) -> None:
        with pytest.raises(MethodError, match="1168 examples were asked for, there are 1167"):
            run.measure(run.init(), Gradients(), examples=1168)
        with pytest.raises(MethodError, match="not both"):
            run.measure(run.init(), Gradients(), examples=1, per_class=1)
        with pytest.raises(MethodError, match="0 examples"):
            run.measure(run.init(), Gradients(), examples=0)

    def test_a_class_that_has_not_so_many(self, run: Run) -> None:
        with pytest.raises(MethodError):
            run.measure(run.init(), Gradients(), per_class=116)


class TestTheRest:
    def test_what_a_run_says_of_itself(self, tmp_path: Path, home: DataHome) -> None:
        with open_run(tmp_path, home) as run:
            assert (run.sparsity, run.epochs, run.budget, run.left) == (0.5, EPOCHS, 4, 4)
            assert (run.recipe.lr, run.model.name, run.allocation) == (0.1, "mlp-16", "global")
            run.train(run.init(), until=1)
            assert run.left == 3

    def test_no_budget_is_infinite(self, run: Run) -> None:
        assert run.budget == run.left == math.inf

    def test_over_budget_raises_before_the_work(self, tmp_path: Path, home: DataHome) -> None:
        with open_run(tmp_path, home, tiny(budget="1.5T", sparsities=(0.5,), seeds=1)) as run:
            net = run.train(run.init())
            states = list((tmp_path / "store").rglob("states/*"))
            with pytest.raises(OverBudget, match="to 4 epochs, the budget is 3"):
                run.train(net.at(0))
            assert list((tmp_path / "store").rglob("states/*")) == states
            assert run.train(net.at(0), until=1).epoch == 1
            assert run.left == 0

    def test_fine_tuning_is_at_the_last_rate(self, run: Run) -> None:
        net = run.train(run.init())
        tuned = run.fine_tune(net, 1)
        assert origin_of(tuned).trajectory is not None
        recipe = origin_of(tuned).trajectory.recipe
        assert (recipe.lr, recipe.schedule, recipe.epochs) == (pytest.approx(0.01), "constant", 1)
        assert tuned.key == run.train(net.at(0), recipe=recipe).key
        assert context_of(run).ledger.charged["train"] == 1167 * 3

    def test_fine_tuning_under_a_schedule_that_ends_at_nothing(self, tmp_path: Path, home: DataHome) -> None:
        recipe = FREE.recipe.replace(schedule="cosine", drops=())
        with (
            open_run(tmp_path / "a", home, tiny(recipe=recipe)) as run,
            pytest.raises(InputError, match="fine_tune_lr"),
        ):
            run.fine_tune(run.init(), 1)
        with open_run(tmp_path / "b", home, tiny(recipe=recipe.replace(fine_tune_lr=0.02))) as run:
            tuned = run.fine_tune(run.init(), 1)
            assert origin_of(tuned).trajectory is not None
            assert origin_of(tuned).trajectory.recipe.lr == 0.02

    def test_notes(self, run: Run) -> None:
        run.note(a=1, b=[1, 2.5], c=torch.tensor(0.5))  # type: ignore[arg-type, list-item]
        assert context_of(run).notes == {"a": 1.0, "b": [1.0, 2.5], "c": 0.5}
        with pytest.raises(MethodError, match=r"note\(bad=…\): nan is not finite"):
            run.note(bad=math.nan)
        with pytest.raises(MethodError, match="not finite"):
            run.note(bad=[1.0, math.inf])

    def test_kept_networks_are_the_runs(self, run: Run) -> None:
        init = run.init()
        assert run.keep(first=init) is None  # type: ignore[func-returns-value]
        assert context_of(run).kept == {"first": init}
        with pytest.raises(MethodError, match="asked for a Network"):
            run.keep(second=None)  # type: ignore[arg-type]

    def test_what_is_done_apart_is_not_charged(self, tmp_path: Path, home: DataHome) -> None:
        with open_run(tmp_path, home) as run:
            with run.off_budget("search"):
                for order in range(3):
                    run.train(run.init(), order=order)
            assert (context_of(run).ledger.off_budget, run.left) == ({"search": 3 * EPOCHS * 1167}, 4)
            run.train(run.init())
            assert run.left == 2

    def test_the_pipeline_in_words(self, run: Run) -> None:
        init = run.init()
        dense = run.train(init)
        context_of(run).returned(run.train(init.masked(run.select(magnitude(dense)))))
        assert str(context_of(run).pipeline) == "init → train 2 → mask 50 % → init masked → train 2"
