"""The digest of a method's code covers every module of the author's own that it imports, and nothing else."""

import linecache
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lthbench import source
from lthbench.errors import InputError
from lthbench.methods import registry
from lthbench.methods.registry import METHODS, find, load_all, method

METHOD = """from lthbench import method
import sys
sys.path.insert(0, {folder!r})
{imports}


@method({name!r}, cost="T")
def own(run):
    return run.init()
"""
IMPORTS = {
    "import {0}": "import {0}",
    "from": "from {0} import score",
    "as": "import {0} as other",
    "late": "def later():\n    import {0}",
    "import_module": "import importlib\nhelp = importlib.import_module({0!r})",
}


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(registry, "METHODS", dict(METHODS))
    monkeypatch.setattr(sys, "path", list(sys.path))
    there = set(sys.modules)
    yield
    for name in set(sys.modules) - there:
        del sys.modules[name]


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize("how", IMPORTS)
def test_a_changed_helper_is_another_method_and_is_loaded_again(tmp_path: Path, how: str) -> None:
    helper = written(tmp_path / "helper_of_test.py", "def score(w): return w\n")
    imports = IMPORTS[how].format("helper_of_test")
    file = written(tmp_path / "uses.py", METHOD.format(folder=str(tmp_path), name="uses", imports=imports))
    before = find(f"{file}")
    assert find(f"{file}").source == before.source
    helper.write_text("# a comment\ndef score(w): return w\n")
    assert find(f"{file}").source == before.source
    helper.write_text("def score(w): return -1 * w\n")
    after = find(f"{file}")
    assert after.source != before.source
    loaded = sys.modules.get("helper_of_test")
    assert loaded is None or loaded.score(1) == -1


@given(changed=st.integers(0, 3), package=st.booleans())
def test_every_module_on_the_way_counts(tmp_path_factory: pytest.TempPathFactory, changed: int, package: bool) -> None:
    folder = tmp_path_factory.mktemp("chain")
    place = folder / "pack" if package else folder
    written(place / "__init__.py", "")
    near = "from . import" if package else "import"
    chain = [written(place / f"m{n}.py", f"{near} m{n + 1}\n" if n < 3 else "x = 0\n") for n in range(4)]
    file = written(folder / "method.py", "from pack import m0\n" if package else "import m0\n")
    before = source.whole(file)
    assert len(source.own_modules(file)) == (5 if package else 4)
    chain[changed].write_text(chain[changed].read_text() + "y = 1\n")
    assert source.whole(file) != before


def test_what_is_installed_does_not_count(tmp_path: Path) -> None:
    imports = "import numpy, torch.nn, random\nfrom lthbench import Run\nimport there_is_no_such_module\n"
    file = written(tmp_path / "plain.py", imports)
    assert source.own_modules(file) == {}
    assert source.whole(file) == source.digest(file)


def test_the_baselines_have_the_digests_of_their_files() -> None:
    assert {m.name for m in load_all().values() if m.source != source.digest(m.file)} == set()


@pytest.mark.parametrize(
    "name",
    ["a|b", "=1+1", "<b>x</b>", "x[y=1]", "two\nlines", "犬犬犬", "`tick`", "dense ", "", "-a", "A", "a/b", "a" * 65],
)
def test_a_name_that_makes_trouble_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="cannot name a method"):
        method(name, cost="T")(lambda run: run.init())


@pytest.mark.parametrize("value", [">0", "a|b", "two words", "`x`", "a" * 101])
def test_a_parameter_that_makes_trouble_elsewhere_is_refused(tmp_path: Path, value: str) -> None:
    text = METHOD.format(folder="", name="par", imports="").replace("own(run)", "own(run, how: str = 'a')")
    file = written(tmp_path / "par.py", text)
    assert find(f"{file}:par[how=layer1.*]").label == "par[how=layer1.*]"
    with pytest.raises(InputError, match="may hold at most 100 letters"):
        find(f"{file}:par[how={value}]")


def cell(number: int, text: str, namespace: dict[str, Any]) -> None:
    """Execute a text as a notebook does: its lines are in `linecache`, under the name of no file."""
    name = f"/tmp/ipykernel_1/{number}_{abs(hash(text))}.py"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    exec(compile(text, name, "exec"), namespace)


def test_a_method_in_a_notebook_changes_with_the_cells_that_it_uses() -> None:
    own: dict[str, Any] = {"__name__": "__main__"}
    text = "from lthbench import method\n@method('in-a-cell', cost='T')\ndef f(run):\n    return score(run.init()) * factor\n"
    cell(1, "def score(w):\n    return w\n", own)
    cell(2, "factor = 1\nunused = 1\n", own)
    cell(3, text, own)
    first = find(own["f"]).source
    own["unused"] = 2
    assert find(own["f"]).source == first
    cell(1, "def score(w):\n    return -w\n", own)
    second = find(own["f"]).source
    own["factor"] = 2
    assert len({first, second, find(own["f"]).source}) == 3
    cell(3, text, own)  # a cell that runs again replaces its method
    cell(3, text.replace("cost='T'", "cost='2T'"), own)
    assert find("in-a-cell").cost == "2T"


def test_a_method_without_a_text_is_refused() -> None:
    text = "from lthbench import method\n@method('nowhere', cost='T')\ndef f(run): ...\n"
    with pytest.raises(InputError, match="its text cannot be read"):
        exec(compile(text, "<stdin>", "exec"), {"__name__": "__main__"})
