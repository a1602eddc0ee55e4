"""Pruning at initialisation: each of the four methods keeps its part of the mask and of the initial weights."""

from pathlib import Path

import pytest

from lthbench import InputError
from lthbench.data import DataHome
from lthbench.methods import registry
from lthbench.runs.records.record import Result
from lthbench.suite import Suite
from tests.runs.helpers import drive, method_file, tiny

BODY = '''
@at_init("{name}", cite="Nobody, 2026")
def own(run: Run, init: Network, shift: int = 0) -> Mask:
    """Keeps the largest."""
    return run.select({{n: (w + shift).abs() for n, w in init.prunable.items()}})
'''
ARMS = ("", "-long", "-shuffled", "-reinit")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return method_file(tmp_path, BODY.format(name="own"))


def results(suite: Suite, file: Path, home: DataHome, given: str = "") -> dict[str, Result]:
    methods = [registry.find(f"{file}:own{arm}{given}") for arm in ARMS]
    outcome = drive(suite, methods, file.parent / "out", home)
    assert [r.result.reason for r in outcome.records if r.result.reason] == []
    return {arm: outcome.of(m.label)[0] for arm, m in zip(ARMS, methods, strict=True)}


def test_what_the_four_have_in_common(file: Path, home: DataHome) -> None:
    found = results(tiny(sparsities=(0.5,), seeds=1), file, home)
    own, long, shuffled, reinit = found.values()
    assert own.mask_digest == long.mask_digest == reinit.mask_digest != shuffled.mask_digest
    assert own.layers == shuffled.layers
    assert len({r.weights for r in found.values()}) == 4
    assert [r.charged["train"] for r in found.values()] == [2334, 2 * 2334, 2334, 2334]
    assert [r.control_of for r in found.values()] == [None, None, "own", "own"]


def test_parameters_of_the_criterion_are_parameters_of_all(file: Path, home: DataHome) -> None:
    suite = tiny(sparsities=(0.5,), seeds=1)
    shifted = results(suite, file, home, "[shift=1]")
    assert all(r.parameters == {"shift": 1} for r in shifted.values())
    assert {r.mask_digest for r in shifted.values()}.isdisjoint(
        r.mask_digest for r in results(suite, file, home).values()
    )


def test_they_are_of_the_file_that_the_criterion_is_in(file: Path) -> None:
    found = [registry.find(f"{file}:own{arm}") for arm in ARMS]
    assert {m.file for m in found} == {file}
    before = {m.source for m in found}
    file.write_text(file.read_text().replace("w + shift", "w - shift"))
    assert registry.find(f"{file}:own-long").source not in before
    assert len({m.about for m in found}) == 4 and found[0].about == "Keeps the largest."


def test_a_name_taken_elsewhere_is_told_by_its_file(file: Path, tmp_path: Path) -> None:
    registry.load(file)
    other = method_file(tmp_path, BODY.format(name="own") + "\n", "other.py")
    with pytest.raises(InputError, match=r"'own' is in .*own\.py already"):
        registry.load(other)


def test_an_error_is_told_with_the_line_of_the_criterion(tmp_path: Path, home: DataHome) -> None:
    wrong = method_file(tmp_path, BODY.format(name="wrong").replace("(w + shift)", "w / 0 if 1 // 0 else w"))
    [record] = drive(
        tiny(sparsities=(0.5,), seeds=1), [registry.find(f"{wrong}:wrong")], tmp_path / "out", home
    ).records
    assert "ZeroDivisionError" in record.result.reason and "(own.py:9)" in record.result.reason
