"""What the documents say, held against what there is."""

import re
import shlex
from pathlib import Path

import pytest

import lthbench
from lthbench.cli import main
from lthbench.training import probes
from lthbench.training.rules.rule import HOOKS

ROOT = Path(__file__).parent.parent
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "RULES.md", "CLUSTER.md", "leaderboard/SUBMITTING.md")


def commands() -> list[str]:
    lines = [line for name in DOCUMENTS for line in (ROOT / name).read_text().splitlines()]
    inline = [code for line in lines for code in re.findall(r"`(lthbench [a-z][^`…]*)`", line)]
    return sorted({line.split("#")[0].strip(" &") for line in [*lines, *inline] if line.startswith("lthbench ")})


@pytest.mark.parametrize("line", commands())
def test_every_command_in_the_documents_is_one(line: str) -> None:
    _, name, *words = shlex.split(re.sub(r"\bSUITE\b|\$suite\b|\$1\b", "digits", line))
    main.commands[name].make_context(name, words)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_leads_somewhere(name: str) -> None:
    for target in re.findall(r"\]\((?!https:)([^)#]+)\)", (ROOT / name).read_text()):
        assert ((ROOT / name).parent / target).exists(), target


def test_every_picture_in_the_readme_is_a_generated_chart() -> None:
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", (ROOT / "README.md").read_text())
    assert pictures
    assert {Path(picture).parent for picture in pictures} == {Path("leaderboard/charts")}


def test_the_result_is_by_line_10_and_the_commands_by_line_25() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    assert any(line.startswith("|") for line in lines[:10])
    assert any(line.startswith("make demo") for line in lines[:25])


def test_contributing_lists_every_hook_every_field_of_the_state_and_every_probe() -> None:
    text, state = (ROOT / "CONTRIBUTING.md").read_text(), lthbench.TrainingState
    fields = [name for name in {**vars(state), **state.__annotations__} if not name.startswith("_")]
    measured = [name for name in probes.__all__ if name[0].isupper() and name not in ("Batches", "Probe")]
    lacking = [name for name in HOOKS if f"| `{name}(" not in text]
    lacking += [name for name in fields if not re.search(rf"`s\.{name}\b", text)]
    lacking += [name for name in measured if f"`{name}(" not in text]
    assert not lacking
