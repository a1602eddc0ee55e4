"""Methods that spend what is not charged, or look at what they may not: each is refused in one line that says why."""

import re
from pathlib import Path

import pytest

from lthbench.errors import InputError
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
    "by_getattr": r"by_getattr\.py:10 uses getattr: a method computes",
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


UNREADABLE = {
    "def f(:\n": r"mine\.py does not load: line 1: invalid syntax",
    "x = 1\0\n": r"mine\.py does not load: .*null bytes",
    "# coding: no-such\n": r"mine\.py does not load: .*no-such",
    None: r"mine\.py does not load: No such file or directory",
    "raise SystemExit\n": r"mine\.py does not load: SystemExit$",
    "raise SystemExit('enough')\n": r"mine\.py does not load: SystemExit: enough",
}


@pytest.mark.parametrize("text", UNREADABLE)
def test_a_file_that_does_not_load_is_one_line(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "mine.py"
    if text is not None:
        file.write_text(text)
    with pytest.raises(InputError, match=UNREADABLE[text]):
        check(str(file))


REFUSED_BY_VERIFY = {
    "import statistics": r"mine\.py:1 imports statistics: a method imports lthbench, torch, numpy, modules beside it",
    "import contextlib": r"mine\.py:1 imports contextlib",
    "import torch_pruning": r"mine\.py:1 imports torch_pruning",
    "x = getattr(int, 'real')": r"mine\.py:1 uses getattr",
    "from torch import load as read": r"mine\.py:1 imports torch\.load",
    "x = '" + 130 * "w" + "'": r"mine\.py: 130 bytes of numbers and texts",
    "x = 1  # " + 1000 * "w": r"mine\.py has a line of 1,009 characters",
    "# coding: latin-1": r"mine\.py cannot be parsed: it is written in iso8859-1, not UTF-8",
}


@pytest.mark.parametrize("text", REFUSED_BY_VERIFY)
def test_what_a_bundle_may_not_hold_is_told_first(tmp_path: Path, text: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(text + "\n")
    assert re.match(REFUSED_BY_VERIFY[text], refused(file)[0])


def test_a_source_without_a_word_of_its_own_is_not_refused(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("POWER = 2\n")
    (tmp_path / "mine.py").write_text("from beside import POWER\n\nCUBE = POWER + 1\n")
    assert refused(tmp_path / "mine.py") == []


@pytest.mark.parametrize("path", sorted(registry.FOLDER.glob("*.py")), ids=lambda p: p.stem)
def test_honest_files_name_nothing_that_is_refused(path: Path) -> None:
    assert refused(path) == []
