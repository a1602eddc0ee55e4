"""A result compared with other networks on the record: correlation, loss, kept networks, and the barrier between two."""

import pytest
import torch

from lthbench import MethodError, Network, magnitude, starting_point, transferred_to_depth
from lthbench.data import DataHome
from lthbench.methods.internals.context import context_of
from lthbench.methods.run import Run
from lthbench.pruning.correlation import weight_correlation
from lthbench.runs.records.record import Result
from lthbench.runs.workers.barrier import barrier, measure_norms
from tests.runs.helpers import ONE, drive, method


def compared(run: Run) -> Network:
    """Train a ticket that keeps its origins and a network of another model."""
    init = run.init()
    dense = run.train(init)
    final = run.train(init.masked(run.select(magnitude(dense))))
    run.keep(trained=dense, itself=final, other=run.init(model="mlp-8"))
    run.barrier(ends=(final, dense), none=(final, final))
    return final


def by_hand(run: Run) -> Network:
    """Note the correlation, computed in the driver."""
    init = run.init()
    dense = run.train(init)
    final = run.train(init.masked(run.select(magnitude(dense))))
    mask = final.mask.tensors
    run.note(init=weight_correlation(final.params, init.params, mask, 0.2))
    run.note(trained=weight_correlation(final.params, dense.params, mask, 0.2))
    return final


def reinit(run: Run) -> Network:
    """Train from another draw, through weights that were changed by hand."""
    net = run.train(run.init(1), until=1)
    dense = run.train(net.with_weights({"out.bias": torch.ones(10)}).at(1))
    return dense.masked(run.select(magnitude(dense)))


def diverging(run: Run) -> Network:
    init = run.init()
    dense = run.train(init, recipe=run.recipe.replace(lr=1e9))
    run.keep(trained=dense)
    return run.train(init.masked(run.select({n: torch.ones_like(w) for n, w in init.prunable.items()})))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory, home: DataHome) -> dict[str, Result]:
    methods = [method(f) for f in (compared, by_hand, reinit, diverging)]
    return {r.result.method: r.result for r in drive(ONE, methods, tmp_path_factory.mktemp("compared"), home).records}


def test_correlation_is_that_of_the_tensors(results: dict[str, Result]) -> None:
    ours, hand = results["compared"].correlation, results["by_hand"].notes
    assert ours["init"]["0.2"] == hand["init"] and ours["trained"]["0.2"] == hand["trained"]
    assert set(ours) == {"init", "trained", "itself"}  # a network of another model is not compared
    assert set(ours["itself"].values()) == {1.0} and list(ours["init"]) == ["0.1", "0.2", "0.3", "0.4", "0.5"]
    assert ours["init"] == results["by_hand"].correlation["init"]


def test_the_initialisation_is_found_through_every_edit(results: dict[str, Result]) -> None:
    r = results["reinit"].correlation["init"]
    assert r["0.2"] > 0.5  # two epochs away from its own draw; another draw would be at chance


def test_what_diverged_is_not_compared(results: dict[str, Result]) -> None:
    assert results["diverging"].status == "ok"
    assert set(results["diverging"].correlation) == {"init"}
    assert results["diverging"].kept["trained"].loss == {}


def test_loss_and_kept_networks(results: dict[str, Result]) -> None:
    r = results["compared"]
    assert set(r.loss) == {"test", "train", "validation"} and all(0 < value < 3 for value in r.loss.values())
    assert r.kept["itself"].loss == r.loss and r.kept["itself"].test == r.test and r.kept["itself"].train == r.train
    assert (r.kept["trained"].removed, r.kept["itself"].removed) == (0, r.removed)
    assert r.kept["other"].prunable == 64 * 8 + 8 * 10


def test_barrier_on_the_record(results: dict[str, Result]) -> None:
    r = results["compared"]
    assert r.barriers["none"] == {"train": 0.0, "test": 0.0}
    assert set(r.barriers["ends"]) == {"train", "test"}


def test_the_height_of_a_barrier() -> None:
    assert barrier([10.0, 40.0, 20.0]) == 25.0
    assert barrier([10.0, 15.0, 20.0]) == 5.0 and barrier([3.0, 3.0]) == 0.0


def test_norms_are_the_averages_over_the_batches() -> None:
    layer = torch.nn.Sequential(torch.nn.BatchNorm2d(2), torch.nn.Dropout(0.5)).eval()
    batches = [torch.randn(8, 2, 3, 3) + 5, torch.randn(8, 2, 3, 3) - 1]
    measure_norms(layer, batches)
    want = torch.stack([b.mean((0, 2, 3)) for b in batches]).mean(0)
    assert torch.allclose(layer[0].running_mean, want, atol=1e-5)  # type: ignore[arg-type]
    assert not layer[0].training and not layer[1].training
    before = layer[0].running_mean.clone()  # type: ignore[operator]
    measure_norms(layer, batches)
    assert torch.equal(before, layer[0].running_mean)  # type: ignore[arg-type]


def test_no_kept_network_takes_the_name_of_the_initialisation(run: Run) -> None:
    with pytest.raises(MethodError, match="init is the name of the initialisation .* choose another name"):
        run.keep(trained=run.init(), init=run.init(1))
    assert not context_of(run).kept


class TestStarts:
    def test_each_name(self, run: Run) -> None:
        assert starting_point(run, "init").key == run.init().key
        assert starting_point(run, "reinit").key == starting_point(run, "reinit-1").key == run.init(1).key
        assert starting_point(run, "reinit-3").key == run.init(3).key
        trained, early = starting_point(run, "trained"), starting_point(run, "1")
        assert (trained.step, early.epoch) == (0, 1)
        assert trained.key == run.train(run.init()).key

    def test_the_recipe_is_that_of_the_pre_training(self, run: Run) -> None:
        slow = run.recipe.replace(lr=0.01)
        assert starting_point(run, "1", slow).key == run.train(run.init(), until=1, recipe=slow).key
        assert starting_point(run, "1", slow).key != starting_point(run, "1").key

    @pytest.mark.parametrize("name", ["", "ticket", "-1", "1.5", "reinit-0", "reinit-"])
    def test_other_names(self, run: Run, name: str) -> None:
        with pytest.raises(MethodError, match="write init, reinit, reinit-2, trained, or the epoch"):
            starting_point(run, name)

    def test_the_pipeline_says_a_training_once(self, run: Run) -> None:
        run.train(run.init())
        before = str(context_of(run).pipeline)
        net = starting_point(run, "trained")
        assert str(context_of(run).pipeline) == before
        run.train(net.masked(run.select(magnitude(net))))
        assert str(context_of(run).pipeline).endswith("mask 50 % → masked at 0 → train 2")


def test_a_stretched_network_trains_on_from_its_step(run: Run) -> None:
    source = run.train(run.init(model="mlp-16-16"), until=1)
    out = transferred_to_depth(source, run.init(model="mlp-16-16-16-16"))
    assert out.epoch == 1 and run.train(out).epoch == 2
