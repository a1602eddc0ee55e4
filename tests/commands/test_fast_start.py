"""Help, version, completion and errors of usage answer without torch, pandas or scipy."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from lthbench.cli import main
from lthbench.commands.completion import method_names, suite_names
from lthbench.methods import registry
from lthbench.suite import names

HEAVY = ("torch", "pandas", "scipy", "numpy", "timm", "sklearn", "pydantic")


def answered(*words: str, **environment: str) -> tuple[int, str, set[str]]:
    """Exit code, output, and the heavy packages that were imported."""
    code = (
        "import atexit, sys; atexit.register(lambda: print('IMPORTED', *(m for m in sys.modules if '.' not in m)));"
        "from lthbench.cli import main; main(prog_name='lthbench')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, env={**os.environ, **environment}
    )
    said, _, modules = done.stdout.rpartition("IMPORTED")
    return done.returncode, said + done.stderr, set(modules.split()) & set(HEAVY)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--help"], 0, "equal epoch budgets"),
        (["--version"], 0, "version"),
        (["run", "--help"], 0, "--only-failed"),
        (["rum"], 2, "Did you mean 'run'"),
        (["run", "smoke", "--nope"], 2, "--nope"),
        (["run", "smok"], 2, "Did you mean 'smoke'"),
        (["run", "smoke", "--method", "lotery-ticket"], 2, "Did you mean 'lottery-ticket'"),
        (["run", "smoke", "--workers", "0"], 2, "0"),
        (["bench"], 2, "bench is called speed now"),
        (["store", "prune", "runs"], 2, "prune is called clean now"),
        (["log", ".", "--rate", "0.1"], 2, "--rate is called --learning-rate now"),
        (["submit", ".", "--licence", "MIT"], 2, "--licence is called --license now"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_answers_without_heavy_imports(words: list[str], code: int, said: str) -> None:
    found, text, heavy = answered(*words)
    assert (found, heavy) == (code, set()), text
    assert said in text


@pytest.mark.parametrize(
    ("words", "word", "expected"),
    [
        ("lthbench ru", "1", "run"),
        ("lthbench run liu2021-d", "2", "liu2021-digits"),
        ("lthbench run smoke --method lottery-t", "4", "lottery-ticket"),
        ("lthbench check random-re", "2", "random-reinit"),
        ("lthbench board done", "2", "done"),
    ],
)
def test_the_shell_completes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, word: str, expected: str
) -> None:
    (tmp_path / "done").mkdir()
    (tmp_path / "done/suite.json").touch()
    (tmp_path / "donkey").mkdir()
    monkeypatch.chdir(tmp_path)
    _, text, heavy = answered(_LTHBENCH_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=word)
    assert heavy == set()
    assert [line.partition(",")[2] for line in text.splitlines()] == [expected]


def test_completion_knows_what_there_is() -> None:
    assert set(suite_names()) == set(names())
    own = {name for name, m in registry.load_all().items() if registry.FOLDER in m.file.parents}
    assert set(method_names()) == own


def test_a_path_that_is_no_suite_has_one_line() -> None:
    done = CliRunner().invoke(main, ["plan", "nowhere.toml"])
    assert done.exit_code == 2
    assert "There is no suite 'nowhere.toml'" in done.output
