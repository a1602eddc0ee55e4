"""The registry: methods by name, by file, and with parameters as typed. Errors are reported before any work."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lthbench.errors import InputError
from lthbench.methods import registry
from lthbench.methods.registry import Method, find, load, load_all, method

FILE = '''
"""Methods for tests."""
from lthbench import method

@method("mine", cost="2T")
def mine(run, rate=0.2, rounds: int = 3, name="x", fast=False):
    """Does it my way.

    Slowly.
    """

@method("other", cost="T", track="iterative", control_of="mine")
def other(run):
    pass
'''


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Provide an empty registry, with no method file loaded before."""
    monkeypatch.setattr(registry, "METHODS", {})
    before = {name: sys.modules.pop(name) for name in list(sys.modules) if name.startswith(registry.MODULES)}
    yield
    for name in [name for name in sys.modules if name.startswith(registry.MODULES)]:
        del sys.modules[name]
    sys.modules.update(before)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "own.py"
    path.write_text(FILE)
    return path


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def refusal(text: str) -> str:
    with pytest.raises(InputError) as error:
        find(text)
    return str(error.value)


def test_a_method_has_the_contract_that_it_was_entered_with(file: Path) -> None:
    load(file)
    other = find("other")
    assert (other.name, other.cost, other.track, other.control_of) == ("other", "T", "iterative", "mine")
    assert find("mine").about == "Does it my way."
    assert other.about == "Methods for tests."


def test_the_decorator_returns_the_function_itself() -> None:
    def plain(run: object) -> None: ...

    assert method("plain", cost="T")(plain) is plain


def test_an_unknown_name_has_a_suggestion(file: Path) -> None:
    load(file)
    message = refusal("othr")
    assert "'othr'" in message and "Did you mean 'other'" in message and "mine" in message


def test_a_method_is_found_in_a_file(file: Path) -> None:
    assert find(f"{file}:mine").name == "mine"
    assert find(f"{file}:other").name == "other"


def test_a_file_with_one_method_needs_no_name(tmp_path: Path) -> None:
    path = written(tmp_path / "one.py", FILE[: FILE.index('@method("other"')])
    assert find(str(path)).name == "mine"


def test_a_file_with_two_methods_needs_a_name(file: Path) -> None:
    message = refusal(str(file))
    assert "mine" in message and "other" in message


def test_a_name_that_the_file_lacks_has_a_suggestion(file: Path) -> None:
    message = refusal(f"{file}:mien")
    assert str(file) in message and "'mien'" in message and "Did you mean 'mine'" in message


def test_a_name_of_another_file_is_not_taken(file: Path, tmp_path: Path) -> None:
    load(file)
    empty = written(tmp_path / "empty.py", "")
    assert "mine" in refusal(f"{empty}:mine")


def test_parameters_are_of_the_type_of_their_default(file: Path) -> None:
    found = find(f"{file}:mine[rate=1,rounds=5,name=3,fast=true]")
    assert found.parameters == {"rate": 1.0, "rounds": 5, "name": "3", "fast": True}
    assert [type(value) for value in found.parameters.values()] == [float, int, str, bool]
    assert found.label == "mine[rate=1.0,rounds=5,name=3,fast=True]"


def test_parameters_that_are_not_given_have_their_defaults(file: Path) -> None:
    found = find(f"{file}:mine[rounds=5]")
    assert found.defaults == {"rate": 0.2, "rounds": 5, "name": "x", "fast": False}
    assert found.label == "mine[rounds=5]"


def test_parameters_leave_the_registered_method_as_it_was(file: Path) -> None:
    find(f"{file}:mine[rounds=5]")
    assert find("mine").parameters == {}
    assert find("mine").label == "mine"


def test_a_given_method_can_be_given_more(file: Path) -> None:
    load(file)
    assert find("mine").given("rounds=5").given("rate=0.5").parameters == {"rounds": 5, "rate": 0.5}


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ("roundz=5", ["'roundz'", "Did you mean 'rounds'", "rate"]),
        ("rounds=many", ["rounds", "'many'", "int"]),
        ("rounds=2.5", ["rounds", "'2.5'", "int"]),
        ("rounds", ["rounds", "int"]),
        ("rate=fast", ["rate", "'fast'", "float"]),
        ("fast=yes", ["fast", "'yes'", "bool"]),
        ("run=3", ["'run'"]),
        ("=3", ["''"]),
    ],
)
def test_wrong_parameters_are_refused_by_name_value_and_type(file: Path, parameters: str, named: list[str]) -> None:
    load(file)
    message = refusal(f"mine[{parameters}]")
    assert all(part in message for part in ["'mine'", *named])


def test_a_parameter_without_default_has_to_be_given(tmp_path: Path) -> None:
    load(written(tmp_path / "m.py", FILE.replace('name="x"', "*, name").replace("fast=False", "fast=False")))
    assert "needs name" in refusal("mine")
    assert find("mine[name=y]").parameters == {"name": "y"}


def test_a_parameter_without_default_is_of_its_declared_type(tmp_path: Path) -> None:
    load(written(tmp_path / "m.py", FILE.replace("rate=0.2, rounds: int = 3, name", "rounds: int, name")))
    assert find("mine[rounds=5]").parameters == {"rounds": 5}


def test_a_parameter_with_default_none_can_be_given(tmp_path: Path) -> None:
    load(written(tmp_path / "m.py", FILE.replace("rounds: int = 3", "rounds: int | None = None")))
    assert find("mine[rounds=5]").parameters == {"rounds": 5}


def test_the_same_name_in_two_files_raises(file: Path, tmp_path: Path) -> None:
    load(file)
    with pytest.raises(InputError, match=r"'mine' is in .*own\.py already"):
        load(written(tmp_path / "second.py", FILE + "\n"))


def test_the_same_name_twice_in_one_file_raises(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'mine'"):
        load(written(tmp_path / "twice.py", FILE.replace('"other"', '"mine"')))


def test_a_changed_file_replaces_its_methods(file: Path) -> None:
    before = find(f"{file}:mine")
    file.write_text(FILE.replace("2T", "3T"))
    after = find(f"{file}:mine")
    assert (before.cost, after.cost) == ("2T", "3T")


def test_the_source_is_a_digest_of_the_file(file: Path, tmp_path: Path) -> None:
    before = find(f"{file}:mine").source
    assert before == find("other").source
    file.write_text(FILE.replace("rate=0.2", "rate=0.3"))
    assert find(f"{file}:mine").source != before


def test_the_source_is_that_of_the_code_that_was_loaded(file: Path) -> None:
    found = find(f"{file}:mine")
    file.write_text(FILE.replace("rate=0.2", "rate=0.3"))
    late = found.source
    file.write_text(FILE)
    assert late == found.source


def test_an_unknown_track_has_a_suggestion() -> None:
    with pytest.raises(InputError, match="Did you mean 'iterative'"):
        method("plain", cost="T", track="iterativ")(lambda run: None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("def broken(:\n", "SyntaxError"),
        ("import there_is_no_such_module\n", "there_is_no_such_module"),
        ("1 / 0\n", "ZeroDivisionError"),
        ("raise KeyError('gone')\n", "gone"),
    ],
)
def test_a_file_that_does_not_load_is_one_line_with_the_reason(tmp_path: Path, text: str, named: str) -> None:
    path = written(tmp_path / "broken.py", text)
    message = refusal(f"{path}:mine")
    assert str(path) in message and named in message
    assert refusal(f"{path}:mine") == message, "asked a second time"


def test_a_file_that_did_not_load_can_be_mended(tmp_path: Path) -> None:
    path = written(tmp_path / "own.py", "1 / 0\n")
    refusal(f"{path}:mine")
    written(path, FILE)
    assert find(f"{path}:mine").name == "mine"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "nothing.py" in refusal(f"{tmp_path}/nothing.py:mine")
    (tmp_path / "folder.py").mkdir()
    assert "folder.py" in refusal(f"{tmp_path}/folder.py:mine")


@pytest.mark.parametrize("folder", [".pyenv", "my.python", "runs[1]"])
def test_a_file_may_lie_in_any_folder(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir()
    path = written(tmp_path / folder / "own.py", FILE)
    assert find(f"{path}:mine[rounds=5]").parameters == {"rounds": 5}


def test_a_bracket_has_to_be_closed(file: Path) -> None:
    load(file)
    refusal("mine[rounds=5")


def test_the_baselines_are_all_found() -> None:
    found = load_all()
    assert {"dense", "lottery-ticket", "prune-finetune"} <= found.keys()
    assert all(isinstance(m, Method) and m.name == name for name, m in found.items())


@pytest.mark.parametrize("default", [(0.5,), object(), [1]])
def test_a_default_that_no_record_can_hold_is_refused(default: object) -> None:
    with pytest.raises(InputError, match="not a number, a text or None"):

        @method("own", cost="T")
        def own(run: object, what: object = default) -> None: ...


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "def my_idea(run):\n    return run.init()\n",
            r"write @method\('my-idea', cost=…\) above my_idea \(empty\.py:2\)",
        ),
        (
            "from math import sqrt\n",
            r"defines no method; write a function Run -> Network under @method\(NAME, cost=…\)",
        ),
    ],
)
def test_a_file_without_a_method_says_what_to_write_and_where(text: str, reason: str, tmp_path: Path) -> None:
    assert re.search(reason, refusal(str(written(tmp_path / "empty.py", f"# {tmp_path}\n{text}"))))
