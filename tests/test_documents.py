"""What the documents say, held against what there is."""

import importlib.util
import re
import shlex
from dataclasses import fields
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import lthbench
from lthbench.cli import main
from lthbench.methods import registry
from lthbench.runs.records.columns import RUN_COLUMNS
from lthbench.runs.records.record import Provenance, Result
from lthbench.runs.records.tables import TABLES
from lthbench.suite import Suite, Workload
from lthbench.training import probes
from lthbench.training.recipe import Recipe
from lthbench.training.rules.rule import HOOKS

ROOT = Path(__file__).parent.parent
PAGES = sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "RULES.md", "SECURITY.md", *PAGES)


def text(name: str) -> str:
    return (ROOT / name).read_text()


def commands() -> list[str]:
    """Return the commands on lines of their own, in code blocks."""
    blocks = [block for name in DOCUMENTS for block in text(name).split("```")[1::2]]
    lines = [line for block in blocks for line in block.splitlines()]
    return sorted(
        {line.split("#")[0].strip(" &") for line in lines if line.startswith("lthbench ") and " --v" not in line}
    )


def mentioned() -> list[str]:
    """Return the commands within sentences, which may lack their arguments."""
    now = [name for name in DOCUMENTS if name != "docs/log.md"]  # which has the words of its days
    return sorted({code for name in now for code in re.findall(r"`(lthbench [a-z][^`…]*)`", text(name))})


@pytest.mark.parametrize("line", commands())
def test_every_command_in_the_documents_is_one(line: str) -> None:
    _, name, *words = shlex.split(re.sub(r"\bSUITE\b|\bmine\.toml|\$suite\b|\$1\b", "digits", line))
    main.commands[name].make_context(name, words)


@pytest.mark.parametrize("line", mentioned())
def test_every_command_that_is_mentioned_has_these_options(line: str) -> None:
    _, *words = shlex.split(line)
    command: click.Command = main
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        command = command.get_command(click.Context(command), words.pop(0)) or pytest.fail(f"no such command: {line}")
    known = {option for p in command.params for option in p.opts} | {"--help", "--version"}
    assert {word.partition("=")[0] for word in words if word.startswith("--")} <= known


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_leads_somewhere(name: str) -> None:
    for target in re.findall(r"\]\((?!https:)([^)#]+)\)", text(name)):
        assert ((ROOT / name).parent / target).exists(), target


def test_every_picture_in_the_readme_is_a_generated_chart() -> None:
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", (ROOT / "README.md").read_text())
    assert pictures
    assert {Path(picture).parent for picture in pictures} == {Path("leaderboard/charts")}


def test_the_result_is_by_line_10_and_the_commands_by_line_25() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    assert any(line.startswith("|") for line in lines[:10])
    assert any(line.startswith("make demo") for line in lines[:25])


def test_the_page_on_methods_lists_every_hook_every_field_of_the_state_and_every_probe() -> None:
    page, state = text("docs/methods.md"), lthbench.TrainingState
    fields = [name for name in {**vars(state), **state.__annotations__} if not name.startswith("_")]
    measured = [name for name in probes.__all__ if name[0].isupper() and name not in ("Batches", "Probe")]
    lacking = [name for name in HOOKS if f"| `{name}(" not in page]
    lacking += [name for name in fields if not re.search(rf"`s\.{name}\b", page)]
    lacking += [name for name in measured if f"`{name}(" not in page]
    assert not lacking


KEYS = {
    "suite": Suite.model_fields,
    "workload": Workload.model_fields,
    "recipe": dict.fromkeys(f.name for f in fields(Recipe)),
}


@pytest.mark.parametrize("what", KEYS)
def test_the_page_on_suites_has_every_key_and_no_other(what: str) -> None:
    part = (
        text("docs/suites.md").split(f"## Keys of {'the' if what != 'workload' else 'a'} {what}\n")[1].split("\n## ")[0]
    )
    listed = set(re.findall(r"^\| `(\w+)`", part, flags=re.MULTILINE))
    assert listed == KEYS[what].keys() - {"lr"}


def test_generated_pages_have_every_command_name_column_field_and_method() -> None:
    spec = importlib.util.spec_from_file_location("hooks", ROOT / "docs/hooks.py")
    assert spec and spec.loader
    hooks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hooks)
    pages = {page.stem: hooks.on_page_markdown(page.read_text()) for page in (ROOT / "docs").glob("*.md")}
    assert not [name for name in main.commands if f"## lthbench {name}\n" not in pages["cli"]]
    assert not [name for name in lthbench.__all__ if f"### {name}\n" not in pages["api"] and name != "__version__"]
    columns, others = pages["records"].split("## The other tables")
    tables, fields_ = others.split("## Fields of a record")
    assert not [column.name for column in RUN_COLUMNS if f"| `{column.name}` " not in columns]
    assert not [name for name in TABLES if f"| `{name}` " not in tables and name != "runs"]
    names = [field.alias or name for model in (Result, Provenance) for name, field in model.model_fields.items()]
    assert not [name for name in names if f"| `{name}` " not in fields_]
    assert not [name for name in registry.load_all() if f"| `{name}` " not in pages["method-list"]]
    assert "<!-- generated" not in "".join(pages.values())


def test_every_call_that_the_pages_name_exists() -> None:
    owners = {"run": lthbench.Run, "net": lthbench.Network, "results": lthbench.Results, "lthbench": lthbench}
    pages = "\n".join(map(text, (*PAGES, "README.md")))
    named = set(re.findall(r"(?<![\w./-])(run|net|results|lthbench)\.(\w+)(?!\.?\w*[:/])", pages)) - FILES
    known = {f.name for f in fields(lthbench.Results)}
    assert not [f"{o}.{n}" for o, n in named if not hasattr(owners[o], n) and not (o == "results" and n in known)]


FILES = {("net", "py"), ("net", "safetensors"), ("run", "id"), ("lthbench", "datasets")}


def test_the_first_method_on_the_page_is_the_file_that_new_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = CliRunner().invoke(main, ["new", "my-method"]).output.strip()
    blocks = [block.partition("\n") for block in text("docs/first-method.md").split("```")[1::2]]
    assert next(body.strip() for kind, _, body in blocks if kind == "console") == said
    assert [body for kind, _, body in blocks if kind == "python"] == [(tmp_path / "my_method.py").read_text()]


def test_the_suite_on_the_page_is_one(tmp_path: Path) -> None:
    page = text("docs/models-and-data.md")
    (tmp_path / "net.py").write_text(page.split("```python\n")[1].split("```")[0])
    (tmp_path / "mine.toml").write_text(
        next(b for b in page.split("```toml\n") if b.startswith("# mine")).split("```")[0]
    )
    suite = Suite.read(tmp_path / "mine.toml")
    assert suite.workload[0].build((3, 16, 16), 5).prunable_count > 0
