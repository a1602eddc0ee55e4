"""What an evaluator is sent is plain data: nothing of a method's runs where test data are."""

import json
import os
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lthbench.errors import MethodError
from lthbench.methods.internals.operations import Barrier, Evaluate, Split, Validate
from lthbench.models import Model
from lthbench.pruning.bases.cosine import DCT2
from lthbench.pruning.bases.rotation import RandomOrthogonal
from lthbench.pruning.bases.singular import LeftSingular
from lthbench.pruning.lineage import Edit, Init, Lineage, Trained
from lthbench.runs.workers import plain
from lthbench.runs.workers.serialization import operation_of, pickled, unpickled

MODEL = Model("mlp-32", (1, 8, 8), 10, ("*.weight",), ("*.bias",))
INIT = Init(MODEL, "kaiming-normal", 3, 0)
SPLIT = Split("digits", 130, "0" * 32)

bases = st.sampled_from([None, DCT2(), RandomOrthogonal(5), LeftSingular({"hidden.0.weight": torch.eye(32)})])
edits = st.builds(
    Edit, st.sampled_from(["masked", "with_mask", "with_weights", "in_basis"]), st.text(max_size=9), bases
)
roots = st.builds(Init, st.just(MODEL), st.text(max_size=9), st.integers(), st.integers()) | st.builds(
    Trained, st.builds(replace, st.just(MODEL), width=st.floats(0, 9)), st.text(max_size=9), st.integers(0), bases
)
lineages = st.builds(Lineage, roots, st.lists(edits, max_size=3).map(tuple))
named = st.lists(st.tuples(st.text(max_size=9), lineages), max_size=2).map(tuple)
judgements = st.builds(Evaluate, lineages, st.just(SPLIT), st.just("fp32"), st.text(max_size=9), named) | st.builds(
    Barrier, lineages, lineages, st.just(SPLIT), st.just("bf16"), st.text(max_size=9)
)


@given(judgements)
def test_what_arrives_is_what_was_sent(operation: Any) -> None:
    arrived = unpickled(pickled(operation), evaluates=True)
    assert (type(arrived), arrived.key) == (type(operation), operation.key)
    assert [e.basis is None for e in arrived.source.edits] == [e.basis is None for e in operation.source.edits]
    assert json.loads(plain.dumped(operation)) == json.loads(plain.dumped(arrived))  # type: ignore[arg-type]


class Trap:
    """An object that runs a program where it is unpickled."""

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.where}",)  # type: ignore[attr-defined]


def _subclass(kind: type[Any], *values: Any, where: Path, **fields: Any) -> Any:
    made = type(kind.__name__, (kind,), {"__reduce__": Trap.__reduce__, "where": where})
    return made(*values, **fields)


@pytest.mark.parametrize(
    "kind", ["text", "model", "lineage", "root", "edit", "basis", "tuple", "number", "own", "split"]
)
def test_a_subclass_is_refused_and_nothing_runs(kind: str, tmp_path: Path) -> None:
    where = tmp_path / "ran"
    edit = Edit("in_basis", "0", _subclass(DCT2, where=where))
    trap = Trap()
    trap.where = where  # type: ignore[attr-defined]
    root: Any = {
        "text": replace(INIT, scheme=_subclass(str, "kaiming-normal", where=where)),
        "number": replace(INIT, seed=_subclass(int, 3, where=where)),
        "model": replace(INIT, model=_subclass(Model, "mlp-32", (1, 8, 8), 10, ("*",), where=where)),
        "root": _subclass(Init, MODEL, "kaiming-normal", 3, 0, where=where),
        "own": replace(INIT, stream=trap),
    }.get(kind, INIT)
    more: Any = {
        "edit": (_subclass(Edit, "masked", "0", where=where),), "basis": (edit,),
        "tuple": _subclass(tuple, [Edit("masked", "0")], where=where),
    }.get(kind, ())  # fmt: skip
    source: Any = Lineage(root, more)
    if kind == "lineage":
        source = _subclass(Lineage, INIT, where=where)
    split = _subclass(Split, "digits", 130, "0", where=where) if kind == "split" else SPLIT
    with pytest.raises(MethodError, match="only lthbench's own models and bases"):
        pickled(Evaluate(source, split, "fp32", "0"))
    assert not where.exists()


def test_an_evaluator_takes_no_pickle(tmp_path: Path) -> None:
    trap = Trap()
    trap.where = tmp_path / "ran"  # type: ignore[attr-defined]
    for content in (pickle.dumps(trap), pickle.dumps(Validate(Lineage(INIT), SPLIT, "fp32"))):
        with pytest.raises(MethodError, match="does nothing else"):
            operation_of(content, evaluates=True)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "content", [b'{"Trap": {}}', b'{"Model": {}, "Init": {}}', b"[1]", b'{"Init": {"model": 1}}', b'{"tuple": []}']
)
def test_other_plain_data_is_no_operation(content: bytes) -> None:
    with pytest.raises((ValueError, TypeError)):
        plain.loaded(content)
