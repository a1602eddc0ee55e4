"""A network in a basis: pruning and training act on coefficients, and evaluation uses weights."""

from pathlib import Path

import pytest
import torch

from lthbench import (
    DCT2,
    Canonical,
    Gradients,
    Haar,
    LeftSingular,
    Network,
    RandomOrthogonal,
    Run,
    Steps,
    global_mask,
    magnitude,
    named_basis,
)
from lthbench.data import DataHome
from tests.runs.helpers import METHODS, TINY, Outcome, drive, method, open_run, same, tiny

FREE = tiny(sparsities=(0.5,), seeds=1, budget="none")
LAYER = "hidden.0.weight"


@pytest.fixture
def run(tmp_path: Path, home: DataHome) -> Run:  # type: ignore[misc]
    with open_run(tmp_path, home, FREE) as run:
        yield run


def close(a: Network, b: Network, tolerance: float = 1e-5) -> bool:
    weights = [dict(net.module().named_parameters()) for net in (a, b)]
    return all(torch.allclose(w, weights[1][n], atol=tolerance, rtol=0) for n, w in weights[0].items())


def pruned(net: Network, sparsity: float = 0.5) -> Network:
    return net.masked(global_mask(magnitude(net), sparsity))


class TestHandle:
    def test_the_function_is_the_same_and_the_coefficients_are_the_bases(self, run: Run) -> None:
        init = run.init()
        net = init.in_basis(DCT2())
        assert close(init, net) and close(init, net.in_basis(None)) and close(init, net.in_basis(Haar()))
        assert torch.allclose(net.prunable[LAYER], DCT2().inverse(LAYER, init.prunable[LAYER]), atol=1e-6)
        assert net.in_basis(DCT2()) is net and init.in_basis(None) is init
        assert len({init.key, net.key, net.in_basis(None).key, init.in_basis(Haar()).key}) == 4
        assert init.in_basis(RandomOrthogonal(0)).key != init.in_basis(RandomOrthogonal(1)).key

    def test_another_basis_starts_with_all_coefficients(self, run: Run) -> None:
        net = pruned(run.init().in_basis(DCT2()))
        assert net.mask.sparsity == 0.5
        back = net.in_basis(None)
        assert back.mask.removed == 0 and close(net, back)
        assert (back.params[LAYER] != 0).all()

    def test_a_basis_of_tensors_enters_by_their_content(self, run: Run) -> None:
        init, other = run.init(), run.init(1)
        bases = [LeftSingular.of(net.prunable) for net in (init, run.init(), other)]
        keys = [init.in_basis(basis).key for basis in bases]
        assert keys[0] == keys[1] != keys[2]


class TestTraining:
    def test_canonical_is_ordinary_bit_for_bit(self, run: Run) -> None:
        dense = run.train(run.init())
        ordinary = run.train(run.init().masked(run.select(magnitude(dense))))
        canonical = run.init().in_basis(Canonical())
        canonical = run.train(canonical.masked(run.select(magnitude(dense.in_basis(Canonical())))))
        assert canonical.key != ordinary.key
        assert same(canonical.params, ordinary.params) and canonical.mask == ordinary.mask
        assert same(canonical.buffers, ordinary.buffers)

    def test_without_a_mask_a_rotation_changes_nothing_but_rounding(self, run: Run) -> None:
        """SGD with momentum and weight decay commutes with orthonormal maps."""
        net = run.train(run.init())
        for name in ("dct", "hadamard", "random"):
            assert close(run.train(run.init().in_basis(named_basis(name))), net, 1e-4)

    def test_pruned_coefficients_stay_zero_and_the_others_move(self, run: Run) -> None:
        start = pruned(run.init().in_basis(Haar()))
        end = run.train(start)
        assert end.mask == start.mask and end.basis == Haar()
        coefficients, mask = end.prunable[LAYER], end.mask.tensors[LAYER]
        assert (coefficients[~mask] == 0).all() and (coefficients[mask] != start.prunable[LAYER][mask]).all()
        weights = end.module().get_parameter(LAYER)
        assert torch.allclose(Haar().inverse(LAYER, weights)[~mask], torch.tensor(0.0), atol=1e-5)

    @pytest.mark.parametrize("stop", [1, Steps(3)])
    def test_two_halves_are_one_whole(self, tmp_path: Path, home: DataHome, stop: int) -> None:
        found = []
        for name, until in (("whole", None), ("halves", stop)):
            with open_run(tmp_path / name, home) as run:
                net = pruned(run.init().in_basis(DCT2()))
                if until is not None:
                    net = run.train(net, until=until)
                found.append(run.train(net))
                assert found[-1].params
        assert found[0].key == found[1].key and same(found[0].params, found[1].params)

    def test_masking_on_the_way_keeps_the_momentum_in_the_basis(self, run: Run) -> None:
        half = run.train(run.init().in_basis(DCT2()), until=1)
        kept = run.train(pruned(half))
        cleared = run.train(pruned(half.in_basis(None).in_basis(DCT2())))
        assert kept.basis == cleared.basis == DCT2()
        assert not close(kept, cleared, 1e-4)

    def test_training_goes_on_from_the_coefficients_where_they_are(self, run: Run) -> None:
        half = pruned(run.train(run.init().in_basis(DCT2()), until=1))
        barely = run.train(half, recipe=run.recipe.replace(lr=1e-9))
        assert close(barely, half) and torch.allclose(barely.prunable[LAYER], half.prunable[LAYER], atol=1e-5)

    def test_a_probe_sees_weights(self, run: Run) -> None:
        init = run.init()
        plain, turned = (run.measure(net, Gradients(), per_class=2) for net in (init, init.in_basis(DCT2())))
        assert all(torch.allclose(g, turned[name], atol=1e-5) for name, g in plain.items())


def canonical(run: Run) -> Network:
    dense = run.train(run.init())
    basis = Canonical()
    return run.train(run.init().in_basis(basis).masked(run.select(magnitude(dense.in_basis(basis)))))


def low_rank(run: Run) -> Network:
    """Train with the coefficients of the lower half of the rows removed."""
    dense = run.train(run.init())
    net = run.init().in_basis(LeftSingular.of(dense.prunable))
    rows = {n: -torch.arange(len(w)).float()[:, None].expand_as(w) for n, w in net.prunable.items()}
    return run.train(net.masked(run.select(rows)))


def in_haar(run: Run) -> Network:
    return run.train(pruned(run.init().in_basis(Haar()), run.sparsity))


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory, home: DataHome) -> Outcome:
    methods = [m for m in METHODS if m.name == "ticket"] + [method(f) for f in (canonical, low_rank, in_haar)]
    return drive(TINY, methods, tmp_path_factory.mktemp("bases"), home)


class TestRecords:
    def test_canonical_has_the_record_of_the_ticket(self, outcome: Outcome) -> None:
        parts = (
            "test",
            "train",
            "validation",
            "removed",
            "layers",
            "mask_digest",
            "weights",
            "charged",
            "multiplications",
        )
        for a, b in zip(outcome.of("ticket"), outcome.of("canonical"), strict=True):
            assert [getattr(a, part) for part in parts] == [getattr(b, part) for part in parts]
            assert (a.zero_weights, b.zero_weights) == (None, b.removed)

    def test_what_is_counted_are_coefficients(self, outcome: Outcome) -> None:
        for result in outcome.of("in_haar") + outcome.of("low_rank"):
            assert result.status == "ok" and result.removed == round(result.sparsity * result.prunable)
            assert result.zero_weights is not None and result.zero_weights < result.removed
            assert "in Haar" in result.pipeline or "in LeftSingular" in result.pipeline

    def test_the_plan_knows_the_charge(self, outcome: Outcome) -> None:
        assert [(run.complete, run.charge) for run in outcome.plan.runs if run.method.name == "low_rank"] == [
            (True, 4.0)
        ] * 4

    def test_workers_give_the_same(self, outcome: Outcome, tmp_path: Path, home: DataHome) -> None:
        again = drive(TINY, [method(low_rank)], tmp_path, home, executor="local", workers=2)
        assert len(again.results) == 4
        assert all(outcome.results[name] == result for name, result in again.results.items())
