"""Learning curves: joined where trainings are, without influence on them, and on the record beside the last epoch."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch.nn.functional as F

from lthbench.data import DataHome
from lthbench.pruning.state import State, module_of
from lthbench.runs.records.tables import tabulated
from lthbench.runs.store.curve import Curve, Point
from lthbench.runs.store.curve_writer import CurveWriter
from lthbench.runs.store.store import Store
from lthbench.suite import Suite
from lthbench.training.gpu.graph_trainer import GraphTrainer
from lthbench.training.recipe import Recipe
from lthbench.training.rules import L1, Rule
from lthbench.training.trainer import Trainer
from lthbench.training.trajectory import Trajectory
from tests.helpers import begin, bits, feed, trajectory
from tests.runs.helpers import dense, drive, method, rewind, ticket, tiny
from tests.training.test_trainer import Short, Wandering

RECIPE = Recipe(epochs=2, batch=128, lr=0.1, drops=(0.5,), weight_decay=1e-4)
KINDS: list[type[Trainer]] = [Trainer, GraphTrainer]


def validate(state: State) -> tuple[float, int]:
    """Return a loss that any change of the network changes."""
    return float(sum(t.double().abs().sum() for t in state.params.values())), 3


def train(
    store: Store, t: Trajectory, *stops: int, start: int = 0, kind: type[Trainer] = Trainer
) -> dict[int, dict[str, Any]]:
    """Train from a stored state through some stops, and return the bits of the states there."""
    before = store.read_state(t.state(start).key)[0] if start else begin(t)
    trainer = kind(t, before, start, feed(t.clock.size))
    trainer.prepare()
    curve, found = CurveWriter(store, t, trainer, start, validate), {}

    def keep(stop: int, state: State) -> None:
        found[stop] = bits(state)
        curve.keep(stop, state)

    trainer.run(stops, keep, curve.watch if t.recipe.watch else None)
    return found


def curve(store: Store, t: Trajectory, stop: int) -> Curve:
    return store.read_curve(t.curve(stop))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path, "here")


@pytest.mark.parametrize("kind", KINDS)
def test_the_training_loss_is_the_mean_over_the_examples_of_an_epoch(store: Store, kind: type[Trainer]) -> None:
    t = trajectory(label_smoothing=0.1)
    train(store, t, 9, kind=kind)
    seen: list[float] = []
    trainer = Trainer(t, begin(t), 0, feed())
    for epoch in range(3):
        losses = []
        for index in feed().epoch(t.clock, t.recipe, t.seed, t.order, epoch):
            state = trainer.snapshot()
            images, labels = feed().batch(index)
            logits = module_of(t.model, state)(images).detach()
            losses.append(float(F.cross_entropy(logits, labels, label_smoothing=0.1)) * len(index))
            trainer.run([trainer.current.step + 1], lambda *_: None)
        seen.append(sum(losses) / 22)
    assert curve(store, t, 9).losses == pytest.approx(seen, rel=1e-6)


def test_a_penalty_is_not_in_the_loss_and_shards_sum_to_the_batch(store: Store) -> None:
    first = {name: train_one(store, t) for name, t in {
        "plain": trajectory(epochs=1, lr=0.0),
        "penalty": trajectory(epochs=1, lr=0.0, rule=L1(3.0)),
        "shards": trajectory(epochs=1, lr=0.0, shards=3),
    }.items()}  # fmt: skip
    assert first["penalty"] == first["plain"]
    assert first["shards"] == pytest.approx(first["plain"], rel=1e-6)


def train_one(store: Store, t: Trajectory) -> float:
    train(store, t, t.clock.total)
    return curve(store, t, t.clock.total).losses[0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rule", [None, Wandering(), Short(epochs=2)])
def test_a_watched_training_has_the_bits_of_one_that_is_not(
    store: Store, rule: Rule | None, kind: type[Trainer]
) -> None:
    plain, watched = (trajectory(rule=rule, watch=watch) for watch in (None, 2))
    assert plain.key == watched.key
    assert train(store, watched, 2, 5, 9, kind=kind) == train(store, plain, 2, 5, 9, kind=kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("watch", [None, 1, 2, 4])
def test_a_split_training_joins_its_curve_to_the_bit(tmp_path: Path, watch: int | None, kind: type[Trainer]) -> None:
    t = trajectory(watch=watch, optimizer="adam")
    whole = Store(tmp_path, "whole")
    train(whole, t, 9, kind=kind)
    expected = curve(whole, t, 9)
    assert len(expected.losses) == 3 and expected.under_way == 0.0
    steps = [] if watch is None else sorted({*range(watch, 10, watch), 9})
    assert [point.step for point in expected.points] == steps
    for stop in range(1, 9):
        split = Store(tmp_path, f"at {stop}")
        train(split, t, stop, kind=kind)
        train(split, t, 9, start=stop, kind=kind)
        assert curve(split, t, 9) == expected


def test_the_state_of_least_validation_loss_is_that_of_its_step(store: Store) -> None:
    t = trajectory(watch=1, weight_decay=0.5)
    found = train(store, t, *range(1, 10))
    least = curve(store, t, 9).least
    assert least is not None and least.loss == min(point.loss for point in curve(store, t, 9).points)
    again = Store(store.folder, "again")
    train(again, t, 9)
    assert bits(again.read_state(t.state(least.step).key)[0]) == found[least.step]


def test_a_state_from_before_there_were_curves_answers_and_leaves_none(store: Store) -> None:
    t = trajectory()
    train(store, t, 4)
    store.drop("curves", t.curve(4))
    train(store, t, 9, start=4)
    assert store.has("states", t.state(9).key) and not store.has("curves", t.curve(9))


@pytest.mark.parametrize(
    ("losses", "least"),
    [([3.0, 1.0, 1.0, 2.0], 2), ([math.nan, 5.0], 2), ([math.nan, math.inf], None), ([], None)],
)
def test_the_least_loss_is_the_first_finite_one(losses: list[float], least: int | None) -> None:
    found = Curve(points=tuple(Point(step, loss, 0) for step, loss in enumerate(losses, 1))).least
    assert (found and found.step) == least


def test_a_curve_survives_the_store(store: Store) -> None:
    one = Curve((1.5, math.pi), 0.1, (Point(3, math.inf, 4), Point(6, 0.25, 5)))
    store.write_curve("k", one)
    assert store.read_curve("k") == one


def suite(watch: int | None) -> Suite:
    return tiny(sparsities=(0.5,), seeds=1, recipe=RECIPE.replace(watch=watch))


METHODS = [method(dense, track="dense"), method(ticket), method(rewind)]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory, data_home: DataHome) -> dict[str, Any]:
    """A suite that is watched, and the same one that is not."""
    folder = tmp_path_factory.mktemp("curves")
    suites = {"watched": suite(watch=3), "plain": suite(watch=None)}
    return {name: drive(one, METHODS, folder / name, data_home, keep="all") for name, one in suites.items()}


def test_the_record_has_the_early_stop_beside_the_last_epoch(outcomes: dict[str, Any]) -> None:
    for record, plain in zip(outcomes["watched"].records, outcomes["plain"].records, strict=True):
        r = record.result
        assert plain.result.early_stop is None and "early_stop" not in plain.line()
        same = {"early_stop", "suite_hash"}
        assert r.model_dump(exclude=same) == plain.result.model_dump(exclude=same), "watching changed a result"
        assert r.early_stop and r.early_stop.test.of == r.test.of and r.early_stop.validation.of == 130
        shown = record.provenance.curve
        best = min(shown.points, key=lambda point: point[1])
        assert (r.early_stop.step, r.early_stop.validation.right) == (best[0], best[2])
        assert r.early_stop.loss == pytest.approx(best[1], rel=1e-5)
        last = shown.points[-1]  # the network that was evaluated
        assert (last[0], last[2]) == (20, r.validation.right) and last[1] == pytest.approx(
            r.loss["validation"], rel=1e-5
        )
        if r.early_stop.step == 20:
            assert r.early_stop.test == r.test


def test_every_training_leaves_its_losses(outcomes: dict[str, Any]) -> None:
    for outcome in outcomes.values():
        for record in outcome.records:
            shown = record.provenance.curve
            assert shown.epoch == 10 and shown.first == (10 if record.result.method == "rewind" else 0)
            assert len(shown.losses) == 2 - shown.first // 10
            assert shown.losses == sorted(shown.losses, reverse=True)


def test_curves_are_a_table(outcomes: dict[str, Any]) -> None:
    table = tabulated(outcomes["watched"].records).curves
    one = table[table["run"] == 0]
    assert one["step"].tolist() == [3, 6, 9, 10, 12, 15, 18, 20]
    assert one["training_loss"].notna().tolist() == [step in (10, 20) for step in one["step"]]
    assert one["validation_accuracy"].notna().tolist() == [step != 10 for step in one["step"]]
    assert tabulated(outcomes["plain"].records).curves["validation_loss"].isna().all()


def test_a_store_that_was_not_watched_does_not_answer_for_one_that_is(
    outcomes: dict[str, Any], tmp_path: Path, data_home: DataHome
) -> None:
    out = tmp_path / "out"
    drive(suite(watch=None), METHODS[:1], out, data_home, keep="all")
    (out / "records").rename(tmp_path / "records")
    watched = drive(suite(watch=3), METHODS[:1], out, data_home, keep="all")
    expected = [r.result for r in outcomes["watched"].records if r.result.method == "dense"]
    assert [r.result.early_stop for r in watched.records] == [r.early_stop for r in expected]


def test_a_method_cannot_ask_for_another_watch(tmp_path: Path, data_home: DataHome) -> None:
    def curious(run: Any) -> Any:
        return run.train(run.init(), recipe=run.recipe.replace(watch=1))

    [record] = drive(suite(watch=3), [method(curious, track="dense")], tmp_path, data_home).records
    assert [point[0] for point in record.provenance.curve.points] == [3, 6, 9, 12, 15, 18, 20]


@pytest.mark.parametrize("watch", [None, 3])
def test_a_training_that_its_rule_ends_has_its_curve_and_is_not_done_again(
    watch: int | None, tmp_path: Path, data_home: DataHome
) -> None:
    def short(run: Any) -> Any:
        return run.train(run.init(), rule=Short())

    outcome = drive(suite(watch), [method(short, track="dense")], tmp_path, data_home)
    shown = outcome.records[0].provenance.curve
    assert shown is not None and len(shown.losses) == 1
    assert [point[0] for point in shown.points] == ([] if watch is None else [3, 6, 9])
    assert outcome.broker.counts.epochs == 1
