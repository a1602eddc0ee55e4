"""Methods that spend what is not charged, or look at what they may not: each is refused in one line that says why."""

import re
from pathlib import Path

import pytest

from lthbench.methods import registry
from lthbench.submission.battery.allowed import refused
from lthbench.submission.battery.check import check

CHEATS = Path(__file__).parent / "cheats"

RUN = {
    "driver_training": r"Home: 'x' has one row for each of 1167 examples",
    "probe_training": r"Fit fed 7002 examples to networks, 1167 were charged",
    "ledger": r"Run has no attribute 'ledger'",
    "ledger_back": r"Run has no attribute 'ledger'",
    "counter": r"a probe with passes = 0 asked for pass 1",
    "functional_probe": r"ByHand computed \S+ floating-point operations .* \S+ are allowed for the 1167 examples",
    "functional_driver": r"the method's own code computed \S+ floating-point operations",
    "images_as_parameters": r"Disguised: 'hidden\.0\.weight' holds the images that it saw",
    "images_as_a_list": r"Listed: its result y is of type list; a tensor is wanted",
    "too_much_home": r"Everything returned 2987520 numbers; \d+ are allowed",
    "data_in_fields": r"the fields of Carrier hold 64000 numbers; \d+ are allowed",
    "rule_with_a_pass": r"Beside fed \d+ examples to networks, 4668 were charged",
    "teacher_for_free": r"Free fed 9336 examples to networks, 4668 were charged",
    "steps_in_a_step": r"Thrice fed 14004 examples to networks, 4668 were charged",
    "functional_rule": r"ByHand computed \S+ floating-point operations .* \S+ are allowed for the \d+ examples",
    "mapped_probe": r"Mapped fed 3501 examples to networks, 1167 were charged",
}

READ = {
    "from_file": r"from_file\.py:4 imports os",
    "top_level": r"top_level\.py:4 imports sklearn\.datasets\.load_digits",
    "thread": r"thread\.py:4 imports concurrent\.futures",
    "torch_load": r"torch_load\.py:10 uses torch\.load",
    "numpy_fromfile": r"numpy_fromfile\.py:10 uses np\.fromfile",
    "memory_map": r"memory_map\.py:3 imports mmap",
    "by_getattr": r"by_getattr\.py:10 uses getattr\(torch, 'lo' \+ 'ad'\): an attribute is named in the text",
    "by_subclasses": r"by_subclasses\.py:10 uses .*__class__",
    "results_read": r"results_read\.py:3 imports lthbench\.load_results",
    "in_a_thread": r"in_a_thread\.py:3 imports threading",
    "by_ctypes": r"by_ctypes\.py:3 imports ctypes",
    "by_globals": r"by_globals\.py:10 uses Run\.init\.__globals__",
}


def test_every_cheat_is_tried() -> None:
    assert {path.stem for path in CHEATS.glob("*.py")} == {*RUN, *READ}


@pytest.mark.parametrize("stem", RUN)
def test_a_run_that_is_not_charged_fails(stem: str) -> None:
    before = set(registry.METHODS)
    wrong = {f.check: f.found for f in check(str(CHEATS / f"{stem}.py"), start="fork") if not f.passed}
    for name in set(registry.METHODS) - before:
        del registry.METHODS[name]
    assert re.search(RUN[stem], wrong["runs everywhere"]), wrong


@pytest.mark.parametrize("stem", READ)
def test_a_file_that_reaches_out_is_not_run(stem: str) -> None:
    [finding] = check(str(CHEATS / f"{stem}.py"), start="fork")
    assert (finding.check, finding.passed) == ("no peeking", False)
    assert re.search(READ[stem], finding.found), finding.found


@pytest.mark.parametrize("path", sorted(registry.FOLDER.glob("*.py")), ids=lambda p: p.stem)
def test_honest_files_name_nothing_that_is_refused(path: Path) -> None:
    assert refused(path) == []
