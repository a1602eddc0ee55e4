"""Suites: those that come with lthbench can be read, and a wrong one is refused by file, key and value."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lthbench import suite as suites
from lthbench.cli import main
from lthbench.errors import InputError
from lthbench.suite import Suite

TEXT = """
name = "tiny"
version = "0.1"
about = "For tests."
methods = ["dense", "lottery-ticket"]
learning_rates = [0.01, 0.1]
sparsities = [0.5, 0.9]
seeds = 2
budget = "2T"
validation = 13
duels = [["lottery-ticket", "dense"]]

[recipe]
epochs = 4
batch = 64
drops = [0.5, 0.75]

[[workload]]
model = "mlp-32"
dataset = "digits"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tiny.toml"


def changed(file: Path, old: str = "", new: str = "", more: str = "") -> Suite:
    """Reads the suite above with one place changed."""
    assert TEXT.count(old) == 1 or not old
    file.write_text(TEXT.replace(old, new) + more if old else TEXT + more)
    return Suite.read(file)


def refusal(file: Path, old: str = "", new: str = "", more: str = "") -> str:
    with pytest.raises(InputError) as error:
        changed(file, old, new, more)
    assert str(file) in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("name", suites.names())
def test_a_shipped_suite_can_be_read(name: str) -> None:
    suite = Suite.read(name)
    assert suite.name == name
    assert suite.about
    assert suite.cells() and suite.cells(dense=True)
    for workload in suite.workload:
        if workload.dataset == "digits":
            assert workload.build((1, 8, 8), 10).prunable_count


def test_there_are_suites() -> None:
    assert {"digits", "smoke"} <= set(suites.names())


@pytest.mark.parametrize("path", ["smoke", "suites/smoke.toml"])
def test_a_shipped_suite_is_found_from_anywhere(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Suite.read(path).name == "smoke"


def test_a_suite_says_what_it_read(file: Path) -> None:
    suite = changed(file)
    assert suite.learning_rates == (0.01, 0.1)
    assert suite.workload[0].name == "mlp-32/digits"
    assert (suite.allocation, suite.precision, suite.looks) == ("global", "fp32", (2,))
    assert (suite.recipe.epochs, suite.recipe.drops) == (4, (0.5, 0.75))


def test_the_grid_has_every_point_once(file: Path) -> None:
    cells = changed(file).cells()
    points = {(c.learning_rate, c.sparsity, c.seed) for c in cells}
    assert len(cells) == len(points) == 8
    assert [c.sparsity for c in changed(file).cells(dense=True)] == [0.0] * 4


def test_controls_run_where_the_suite_marks_them(file: Path) -> None:
    everywhere, marked = changed(file), changed(file, "seeds = 2", "seeds = 2\ncontrol_sparsities = [0.9]")
    assert everywhere.cells(control=True) == everywhere.cells() == marked.cells()
    assert {cell.sparsity for cell in marked.cells(control=True)} == {0.9}


def test_looks_are_declared_numbers_of_seeds(file: Path) -> None:
    suite = changed(file, "seeds = 2", "seeds = [3, 5]")
    assert suite.looks == (3, 5)
    assert max(cell.seed for cell in suite.cells()) == 4


@pytest.mark.parametrize(("formula", "epochs"), [("2T", 8), ("(n+1)T", 20), ("none", None)])
def test_the_budget_is_in_epochs(file: Path, formula: str, epochs: float | None) -> None:
    assert changed(file, '"2T"', f'"{formula}"').budget_epochs(0.5) == epochs


WRONG = {
    "unknown key": ("seeds = 2", "seeds = 2\nsedes = 3", ["sedes", "'seeds'"]),
    "unknown key of a workload": ('model = "mlp-32"', 'model = "mlp-32"\ntolerence = 1', ["tolerence", "'tolerance'"]),
    "unknown key of a recipe": ("epochs = 4", "epochs = 4\nepoch = 5", ["recipe.epoch: There is no key"]),
    "missing key": ("seeds = 2\n", "", ["seeds", "missing"]),
    "missing key of a workload": ('dataset = "digits"\n', "", ["workload.0.dataset", "missing"]),
    "missing key of a recipe": ("epochs = 4\n", "", ["recipe.epochs", "missing"]),
    "word for a number": ("epochs = 4", 'epochs = "four"', ["recipe.epochs", "'four'"]),
    "number for a word": ('"tiny"', "5", ["name", "5"]),
    "number for a list": ("[0.5, 0.9]", "0.5", ["sparsities", "0.5"]),
    "half a seed": ("seeds = 2", "seeds = 2.5", ["seeds", "2.5"]),
    "no seed": ("seeds = 2", "seeds = 0", ["seeds", "0"]),
    "no epoch": ("epochs = 4", "epochs = 0", ["recipe", "epochs = 0"]),
    "negative validation": ("validation = 13", "validation = -1", ["validation", "-1"]),
    "sparsity one": ("[0.5, 0.9]", "[0.5, 1.0]", ["sparsities.1", "1.0"]),
    "sparsity in percent": ("[0.5, 0.9]", "[50, 90]", ["sparsities.0", "50"]),
    "negative sparsity": ("[0.5, 0.9]", "[-0.5]", ["sparsities.0", "-0.5"]),
    "no sparsity": ("[0.5, 0.9]", "[]", ["sparsities", "at least 1"]),
    "learning rate zero": ("[0.01, 0.1]", "[0.1, 0.0]", ["learning_rates.1", "0.0"]),
    "allocation": ("seeds = 2", 'seeds = 2\nallocation = "globl"', ["allocation", "'globl'", "Did you mean 'global'"]),
    "precision": ("seeds = 2", 'seeds = 2\nprecision = "fp23"', ["precision", "'fp23'", "Did you mean 'fp32'"]),
    "init": (
        'model = "mlp-32"',
        'model = "mlp-32"\ninit = "kaiming"',
        ["workload.0.init", "'kaiming'", "Did you mean"],
    ),
    "schedule": ("epochs = 4", 'epochs = 4\nschedule = "stp"', ["recipe", "schedule", "'stp'", "step"]),
    "augmentation": ("epochs = 4", 'epochs = 4\naugment = "flip"', ["recipe", "augment", "'flip'", "crop-flip"]),
    "duplicate sparsity": ("[0.5, 0.9]", "[0.5, 0.5]", ["sparsities = [0.5, 0.5]"]),
    "duplicate method": ('"lottery-ticket"]\nlearning', '"dense"]\nlearning', ["methods = ['dense', 'dense']"]),
    "duplicate learning rate": ("[0.01, 0.1]", "[0.1, 0.10]", ["learning_rates = [0.1, 0.1]"]),
    "budget": ('"2T"', '"2X"', ["'2X'"]),
    "name": ('"tiny"', '"Tiny suite"', ["name", "Tiny suite"]),
    "version": ('"0.1"', '"one"', ["version", "one"]),
    "broken TOML": ("seeds = 2", "seeds = = 2", ["line 8"]),
    "key twice": ("seeds = 2", "seeds = 2\nseeds = 3", ["line 9"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_suite_is_refused_by_file_key_and_value(file: Path, name: str) -> None:
    old, new, named = WRONG[name]
    message = refusal(file, old, new)
    assert all(part in message for part in named), message


PROBLEMS = {  # places of the suite and new text there, each wrong in one way
    "an unknown key of a workload": ('model = "mlp-32"', 'model = "mlp-32"\ntolerence = 1'),
    "an infinite tolerance": ('model = "mlp-32"', 'model = "mlp-32"\ntolerance = inf'),
    "an infinite learning rate": ("[0.01, 0.1]", "[0.01, inf]"),
    "a learning rate that overflows": ("[0.01, 0.1]", "[0.01, 1e400]"),
    "a learning rate that is no number": ("[0.01, 0.1]", "[nan]"),
    "a sparsity that is no number": ("[0.5, 0.9]", "[0.5, nan]"),
    "a decay that is no number": ("epochs = 4", "epochs = 4\nweight_decay = nan"),
    "an infinite rate of fine-tuning": ("epochs = 4", "epochs = 4\nfine_tune_lr = inf"),
    "a negative decay": ("epochs = 4", "epochs = 4\nweight_decay = -1"),
    "a momentum above one": ("epochs = 4", "epochs = 4\nmomentum = 1.5"),
    "a momentum of one": ("epochs = 4", "epochs = 4\nmomentum = 1"),
    "a smoothing of two": ("epochs = 4", "epochs = 4\nlabel_smoothing = 2"),
    "a growing step": ("epochs = 4", "epochs = 4\ngamma = 10"),
    "an unknown optimizer": ("epochs = 4", 'epochs = 4\noptimizer = "adma"'),
    "a key of another optimizer": ("epochs = 4", "epochs = 4\nbetas = [0.9, 0.99]"),
    "betas that are one": ("epochs = 4", 'epochs = 4\noptimizer = "adam"\nbetas = [0.9]'),
    "a negative eps": ("epochs = 4", 'epochs = 4\noptimizer = "adam"\neps = -1'),
    "an unknown decay": ("epochs = 4", 'epochs = 4\ndecay = "some"'),
    "a clip at nothing": ("epochs = 4", "epochs = 4\nclip_norm = 0"),
    "a watch of nothing": ("epochs = 4", "epochs = 4\nwatch = 0"),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_one_problem_is_one_line_that_names_the_file_once(file: Path, name: str) -> None:
    message = refusal(file, *PROBLEMS[name])
    assert message.count(str(file)) == 1 and "\n" not in message and len(message) < 400


def test_two_problems_of_a_recipe_are_both_named(file: Path) -> None:
    message = refusal(file, "epochs = 4", "epochs = 4\nmomentum = 1.5\nweight_decay = -1")
    assert "momentum = 1.5 must be a number from 0 to below 1" in message and "weight_decay = -1" in message


@pytest.mark.parametrize("seeds", ["100_000_000", "[2, 100_000_000]"])
def test_a_grid_that_is_too_large_says_its_number_of_runs_and_starts_nothing(
    file: Path, data_folder: Path, seeds: str
) -> None:
    changed(file, "seeds = 2", f"seeds = {seeds}")
    words = ["run", str(file), "--out", str(file.parent / "r"), "--data", str(data_folder)]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 2 and len(done.stderr.splitlines()) == 1
    assert "up to 800,000,000 runs" in done.stderr
    assert not (file.parent / "r").exists()


def test_a_byte_order_mark_changes_nothing(file: Path) -> None:
    plain = changed(file)
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert Suite.read(file) == plain


def test_a_suite_that_may_not_be_read_is_one_line(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    file.write_text(TEXT)
    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(InputError, match=r"cannot read .*tiny\.toml: Permission denied"):
        Suite.read(file)


WITHOUT_TICKETS = ('methods = ["dense", "lottery-ticket"]', 'methods = ["dense", "prune-finetune"]')


def without_tickets(file: Path) -> Suite:
    """A suite of one's own that has neither duels nor tickets."""
    file.write_text(TEXT.replace(*WITHOUT_TICKETS).replace('duels = [["lottery-ticket", "dense"]]\n', ""))
    return Suite.read(file)


def test_the_suite_of_a_run_folder_is_the_suite_that_was_read(file: Path, tmp_path: Path) -> None:
    for suite in (changed(file), without_tickets(file)):
        (tmp_path / "suite.json").write_text(suite.as_json())
        assert suites.in_folder(tmp_path) == suite
        assert suites.in_folder(tmp_path).hash == suite.hash


def test_defaults_that_an_older_run_folder_has_written_are_read(file: Path, tmp_path: Path) -> None:
    suite = without_tickets(file)
    (tmp_path / "suite.json").write_text(suite.model_dump_json())
    assert suites.in_folder(tmp_path).hash == suite.hash


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"\xff\xfe\x00", b"{}", b"[" * 100_000, b'{"seeds": null}']
)
def test_a_run_folder_whose_suite_cannot_be_read_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "suite.json").write_bytes(content)
    with pytest.raises(InputError, match=r"suite\.json cannot be read: .*--out") as error:
        suites.in_folder(tmp_path)
    assert "\n" not in str(error.value) and len(str(error.value)) < 400


def test_a_run_folder_with_null_for_a_number_is_one_line(file: Path, tmp_path: Path) -> None:
    (tmp_path / "suite.json").write_text(changed(file).as_json().replace("0.1\n", "null\n"))
    with pytest.raises(InputError, match=r"learning_rates.1 = None.*--out"):
        suites.in_folder(tmp_path)


def case(name: str, *values: Any) -> Any:
    return pytest.param(*values, id=name)


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        case("schedule", "epochs = 4", 'epochs = 4\nschedule = "stp"', ["Did you mean 'step'"]),
        case("recipe key", "epochs = 4", "epochs = 4\nepoch = 5", ["Did you mean 'epochs'"]),
        case("no number of seeds", "seeds = 2", "seeds = []", ["seeds", "[]"]),
        case("looks that fall", "seeds = 2", "seeds = [5, 3]", ["seeds", "[5, 3]"]),
        case("a truth value for a number", "seeds = 2", "seeds = true", ["seeds", "True"]),
        case("text for a number", "epochs = 4", 'epochs = "4"', ["recipe.epochs", "'4'"]),
        case("rates that are no list", "[0.01, 0.1]", "0.1", ["learning_rates"]),
        case("rates that are a table", "[0.01, 0.1]", "{a = 1}", ["learning_rates"]),
        case("a rate in the recipe", "epochs = 4", "epochs = 4\nlr = 7.0", ["recipe.lr"]),
        case("drops in epochs", "[0.5, 0.75]", "[80, 120]", ["drops", "80"]),
        case("budget", '"2T"', '"2X"', ["budget = '2X'"]),
        case("controls off the grid", "seeds = 2", "seeds = 2\ncontrol_sparsities = [0.8]", ["0.8", "[0.5, 0.9]"]),
        case("duel of a method not there", '[["lottery-ticket", "dense"]]', '[["lotery-ticket", "dense"]]', ["duels"]),
    ],
)
def test_a_wrong_suite_is_refused_with_advice(file: Path, old: str, new: str, named: list[str]) -> None:
    message = refusal(file, old, new)
    assert all(part in message for part in named), message


def test_a_workload_twice_is_refused(file: Path) -> None:
    assert "workload" in refusal(file, more=TEXT[TEXT.index("[[workload]]") :])


def test_a_missing_key_is_not_what_was_meant(file: Path) -> None:
    assert "Did you mean" not in refusal(file, "seeds = 2\n", "")


def test_a_missing_recipe_is_missing(file: Path) -> None:
    recipe = TEXT[TEXT.index("[recipe]") : TEXT.index("[[workload]]")]
    assert "recipe is missing" in refusal(file, recipe, "")


def test_a_duplicate_is_told_in_a_line(file: Path) -> None:
    assert len(refusal(file, "[0.5, 0.9]", "[0.5, 0.5]").removeprefix(str(file))) < 100


def test_a_file_that_is_not_there_has_a_suggestion() -> None:
    with pytest.raises(InputError, match=r"'smok'.*Did you mean 'smoke'"):
        Suite.read("smok")


def test_a_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing"):
        Suite.read(tmp_path / "nothing.toml")


def test_a_path_elsewhere_is_no_shipped_suite(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        Suite.read(tmp_path / "smoke.toml")


def test_a_file_that_is_no_text_is_named(file: Path) -> None:
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"tiny\.toml"):
        Suite.read(file)


def test_a_suite_is_frozen(file: Path) -> None:
    with pytest.raises(ValueError, match="frozen"):
        changed(file).seeds = 3


SAME = {
    "about": ('"For tests."', '"Other words."'),
    "methods": ('["dense", "lottery-ticket"]', '["dense"]'),
    "where controls run": ("seeds = 2", "seeds = 2\ncontrol_sparsities = [0.9]"),
    "duels": ('duels = [["lottery-ticket", "dense"]]', ""),
    "a whole number for a number": ("[0.5, 0.75]", "[0.50, 0.75]"),
    "a default written out": ("epochs = 4", 'epochs = 4\nschedule = "step"'),
    "the default optimizer written out": ("epochs = 4", 'epochs = 4\noptimizer = "sgd"'),
    "another default written out": ("seeds = 2", 'seeds = 2\nallocation = "global"'),
    "the gap that a verdict asks for": ('model = "mlp-32"', 'model = "mlp-32"\nclear_gap = 0.2'),
    "a comment": ("seeds = 2", "seeds = 2  # not many"),
}
OTHER = {
    "name": ('"tiny"', '"small"'),
    "version": ('"0.1"', '"0.2"'),
    "learning rates": ("[0.01, 0.1]", "[0.01, 0.2]"),
    "sparsities": ("[0.5, 0.9]", "[0.5, 0.8]"),
    "seeds": ("seeds = 2", "seeds = 3"),
    "budget": ('"2T"', '"3T"'),
    "validation": ("validation = 13", "validation = 14"),
    "allocation": ("seeds = 2", 'seeds = 2\nallocation = "erk"'),
    "precision": ("seeds = 2", 'seeds = 2\nprecision = "bf16"'),
    "epochs": ("epochs = 4", "epochs = 5"),
    "drops": ("[0.5, 0.75]", "[0.5]"),
    "weight decay": ("epochs = 4", "epochs = 4\nweight_decay = 0.1"),
    "optimizer": ("epochs = 4", 'epochs = 4\noptimizer = "adam"'),
    "betas": ("epochs = 4", 'epochs = 4\noptimizer = "adamw"\nbetas = [0.8, 0.99]'),
    "clipping": ("epochs = 4", "epochs = 4\nclip_norm = 1"),
    "what decays": ("epochs = 4", 'epochs = 4\ndecay = "weights"'),
    "rate of fine-tuning": ("epochs = 4", "epochs = 4\nfine_tune_lr = 0.1"),
    "model": ('"mlp-32"', '"mlp-33"'),
    "prunable": ('model = "mlp-32"', 'model = "mlp-32"\nprunable = ["hidden.*.weight"]'),
    "init": ('model = "mlp-32"', 'model = "mlp-32"\ninit = "signed-constant"'),
}


@pytest.mark.parametrize("name", SAME)
def test_the_hash_is_not_of(file: Path, name: str) -> None:
    assert changed(file, *SAME[name]).hash == changed(file).hash


@pytest.mark.parametrize("name", OTHER)
def test_the_hash_is_of(file: Path, name: str) -> None:
    assert changed(file, *OTHER[name]).hash != changed(file).hash


def test_the_hash_is_not_of_where_the_file_lies(file: Path, tmp_path: Path) -> None:
    assert changed(file).hash == changed(tmp_path / "other.toml").hash


def test_a_watch_needs_held_out_examples(file: Path) -> None:
    old, new = TEXT.partition("epochs = 4")[0::2]
    file.write_text((old + "epochs = 4\nwatch = 9" + new).replace("validation = 13", "validation = 0"))
    with pytest.raises(InputError, match=r"watch = 9 needs held-out examples, and validation = 0"):
        Suite.read(file)
