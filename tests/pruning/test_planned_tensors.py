"""Planned tensors: they have a shape and a lineage, and no values."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from lthbench.errors import ValueLooked
from lthbench.pruning.tensors import Planned, digest, is_planned
from tests.helpers import in_fresh_process

Op = Callable[[Tensor], Tensor]


def planned(lineage: str = "w", shape: tuple[int, ...] = (4, 6)) -> Planned:
    return Planned.of(torch.Size(shape), lineage)


def lineage(t: Tensor) -> str:
    assert isinstance(t, Planned)
    return t.lineage


OPERATIONS: dict[str, Op] = {
    "abs": lambda w: w.abs(),
    "negative": lambda w: -w,
    "times two": lambda w: w * 2,
    "times three": lambda w: w * 3,
    "times 2.0": lambda w: w * 2.0,
    "two minus": lambda w: 2 - w,
    "minus two": lambda w: w - 2,
    "sum": lambda w: w.sum(),
    "sum of rows": lambda w: w.sum(0),
    "sum of columns": lambda w: w.sum(1),
    "kept dimension": lambda w: w.sum(1, keepdim=True),
    "transposed": lambda w: w.T,
    "flat": lambda w: w.flatten(),
    "first row": lambda w: w[0],
    "second row": lambda w: w[1],
    "from the second row": lambda w: w[1:],
    "comparison": lambda w: w > 0,
    "filled": lambda w: w.masked_fill(w > 0, -np.inf),
    "clamped below": lambda w: w.clamp(min=0.5),
    "clamped above": lambda w: w.clamp(max=0.5),
    "sorted": lambda w: w.sort().values,
    "sorting order": lambda w: w.sort().indices,
    "sorted downwards": lambda w: w.sort(descending=True).values,
    "product with ones": lambda w: w @ torch.ones(6, 2),
    "product with zeros": lambda w: w @ torch.zeros(6, 2),
    "plus another": lambda w: w + planned("other"),
    "another plus": lambda w: planned("other") + w,
    "joined": lambda w: torch.cat([w, planned("other")]),
    "joined the other way": lambda w: torch.cat([planned("other"), w]),
    "chosen": lambda w: torch.where(w > 0, w, 0),
    "indexed": lambda w: w[:, torch.tensor([0, 2])],
    "indexed elsewhere": lambda w: w[:, torch.tensor([0, 3])],
    "in float64": lambda w: w.double(),
    "like zeros": lambda w: torch.zeros_like(w),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_same_operation_has_the_same_lineage_and_the_true_shape(name: str) -> None:
    operation = OPERATIONS[name]
    once, again = operation(planned()), operation(planned())
    assert lineage(once) == lineage(again) != lineage(planned())
    real = operation(torch.ones(4, 6)) if "other" not in name and "joined" not in name else None
    if real is not None:
        assert (once.shape, once.dtype) == (real.shape, real.dtype)


@pytest.mark.parametrize("name", [n for n in OPERATIONS if n != "like zeros"])
def test_the_lineage_is_of_what_goes_in(name: str) -> None:
    assert lineage(OPERATIONS[name](planned("w"))) != lineage(OPERATIONS[name](planned("v")))


def test_different_operations_have_different_lineages() -> None:
    found = {name: lineage(operation(planned())) for name, operation in OPERATIONS.items()}
    assert len(set(found.values())) == len(found)


def test_lineages_are_the_same_in_a_fresh_process() -> None:
    code = (
        "import torch; from lthbench.pruning.tensors import Planned;"
        "w = Planned.of(torch.Size([4, 6]), 'w'); print(w.masked_fill(w.abs() > 0.5, 0.0).lineage)"
    )
    w = planned()
    assert in_fresh_process(code, PYTHONHASHSEED="7") == lineage(w.masked_fill(w.abs() > 0.5, 0.0))


LOOKS: dict[str, Callable[[Planned], object]] = {
    "item": lambda w: w.sum().item(),
    "bool": lambda w: bool(w.sum()),
    "if": lambda w: 1 if w.any() else 0,
    "float": lambda w: float(w.sum()),
    "int": lambda w: int(w.sum()),
    "tolist": lambda w: w.tolist(),
    "numpy": lambda w: w.numpy(),
    "asarray": lambda w: np.asarray(w),
    "nonzero": lambda w: w.nonzero(),
    "where": lambda w: torch.where(w > 0),
    "boolean index": lambda w: w[w > 0],
    "masked select": lambda w: w.masked_select(w > 0),
    "unique": lambda w: w.unique(),
    "equal": lambda w: torch.equal(w, w),
    "allclose": lambda w: torch.allclose(w, w),
    "element": lambda w: w[0, 0].item(),
    "contains": lambda w: 3.0 in w,
    "range": lambda w: range(w.long().sum()),
}


@pytest.mark.parametrize("name", LOOKS)
def test_looking_at_a_value_raises(name: str) -> None:
    with pytest.raises(ValueLooked):
        LOOKS[name](planned())


def test_a_planned_tensor_can_be_printed() -> None:
    assert "[4, 6]" in repr(planned())


IN_PLACE: dict[str, Callable[[Planned], object]] = {
    "zero_": lambda w: w.zero_(),
    "fill_": lambda w: w.fill_(1.0),
    "mul_": lambda w: w.mul_(2),
    "+=": lambda w: w.__iadd__(1),
    "masked_fill_": lambda w: w.masked_fill_(w > 0, 0.0),
    "copy_": lambda w: w.copy_(torch.ones(4, 6)),
}


@pytest.mark.parametrize("name", IN_PLACE)
def test_a_change_in_place_is_another_lineage_of_the_same_tensor(name: str) -> None:
    w, again = planned(), planned()
    IN_PLACE[name](w)
    IN_PLACE[name](again)
    assert w.lineage == again.lineage != planned().lineage


def test_changes_in_place_differ_by_what_they_do() -> None:
    found = set()
    for change in IN_PLACE.values():
        w = planned()
        change(w)
        found.add(w.lineage)
    assert len(found) == len(IN_PLACE)


def test_what_was_computed_before_a_change_keeps_its_lineage() -> None:
    w = planned()
    before = w.abs()
    expected = lineage(before)
    w.zero_()
    assert lineage(before) == expected


VIEWS: dict[str, Callable[[Planned], object]] = {
    "item assignment": lambda w: w.__setitem__(0, 0.0),
    "slice assignment": lambda w: w.__setitem__(slice(1, 3), 0.0),
    "through a view": lambda w: w.view(-1).zero_(),
    "through a transpose": lambda w: w.T.fill_(1.0),
    "through detach": lambda w: w.detach().zero_(),
    "through data": lambda w: w.data.zero_(),
    "foreach": lambda w: torch._foreach_mul_([w], 2.0),
}


@pytest.mark.parametrize("name", VIEWS)
def test_a_change_that_no_lineage_could_follow_ends_the_plan(name: str) -> None:
    with pytest.raises(ValueLooked):
        VIEWS[name](planned())


@pytest.mark.parametrize(
    "write", [lambda t, w: t.copy_(w), lambda t, w: t.__setitem__(0, w[0]), lambda t, w: t.add_(w)]
)
def test_planned_values_cannot_be_written_into_an_ordinary_tensor(write: Callable[[Tensor, Tensor], object]) -> None:
    with pytest.raises(ValueLooked):
        write(torch.zeros(4, 6), planned())


def test_options_with_the_same_value_are_told_apart() -> None:
    borders = torch.tensor([0.0, 1.0])
    right = torch.bucketize(planned(), borders, right=True)
    assert lineage(right) != lineage(torch.bucketize(planned(), borders, out_int32=True))


def test_lists_of_arguments_do_not_run_together() -> None:
    assert lineage(planned("w", (4, 3, 3)).split([2, 2])[0]) != lineage(planned("w", (4, 3, 2)).split([2], 2)[0])


def test_a_generator_enters_by_its_state() -> None:
    generators = [torch.Generator().manual_seed(seed) for seed in (1, 1, 1, 2, 2, 2)]
    found = [lineage(torch.bernoulli(planned(), generator=g)) for g in generators]
    assert len(set(found[:3])) == len(set(found[3:])) == 1
    assert len(set(found)) == 2


def test_a_quantile_of_a_planned_tensor_is_planned() -> None:
    assert isinstance(planned().quantile(0.5), Planned)


def test_an_expanded_value_has_a_digest() -> None:
    assert digest({"": torch.ones(()).expand(1)}) == digest({"": torch.ones(1)})


def test_one_planned_tensor_makes_a_plan() -> None:
    assert is_planned({"a": torch.ones(1), "b": planned()})
    assert not is_planned({"a": torch.ones(1)})


def test_a_digest_is_of_lineages() -> None:
    assert digest({"a": planned("w")}) == digest({"a": planned("w")})
    assert len({digest({"a": planned("w")}), digest({"a": planned("v")}), digest({"b": planned("w")})}) == 3
