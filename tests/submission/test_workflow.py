"""What the workflow makes of a pull request: new bundles alone, no links, verdicts first, no command for the log."""

import importlib.util
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def workflow() -> ModuleType:
    spec = importlib.util.spec_from_file_location("workflow_verify", ROOT / ".github/verify.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository whose second commit adds a bundle beside an old one."""
    folder = tmp_path / "submitted"
    (folder / "bundles/old").mkdir(parents=True)
    (folder / "bundles/old/manifest.json").write_text("{}")
    _git(folder, "init", "-q", "-b", "main")
    commit(folder)
    (folder / "bundles/new").mkdir()
    (folder / "bundles/new/manifest.json").write_text("{\n")
    return folder


def _git(folder: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b.c", *words], check=True)


def commit(folder: Path) -> None:
    _git(folder, "add", "-A")
    _git(folder, "commit", "-q", "-m", "x")


def said(workflow: ModuleType, checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    commit(checkout)
    monkeypatch.setenv("NUMBER", "7")
    code = workflow.main(checkout, "HEAD~1", "HEAD", tmp_path / "said")
    assert (tmp_path / "said/number").read_text() == "7"
    return code, (tmp_path / "said/report.txt").read_text()


def test_new_bundles_alone_are_verified_and_the_verdict_is_first(
    workflow: ModuleType, checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def run(*words: str) -> tuple[bool, str]:
        asked.append(words)
        return words[0] != "verify", workflow.clean("x" * 100 + "\n::error::x\n  ##[group]y\x1b[2J")

    monkeypatch.setattr(workflow, "run", run)
    code, report = said(workflow, checkout, tmp_path, monkeypatch)
    assert (code, [words[1] for words in asked]) == (1, [str(checkout / "bundles/new")])
    assert report.startswith("REFUSED: new\n")
    assert not [line for line in report.splitlines() if line.lstrip().startswith(("::", "##["))]
    assert "\x1b" not in report


@pytest.mark.parametrize("kind", ["outside", "link", "folder", "name", "moved"])
def test_what_else_a_pull_request_changes_is_refused(
    workflow: ModuleType, checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    match kind:
        case "outside":
            (checkout / "verify.yml").write_text("x")
        case "link":
            (checkout / "bundles/etc").symlink_to("/etc")
        case "folder":
            subprocess.run(["rm", "-r", str(checkout / "bundles")], check=True)
            (checkout / "bundles").symlink_to("/etc")
        case "name":
            (checkout / "bundles/\x1b[2J::error::").write_text("x")
        case _:
            (checkout / "bundles/old/manifest.json").rename(checkout / "moved.json")
    monkeypatch.setattr(workflow, "run", lambda *words: pytest.fail("something was verified"))
    code, report = said(workflow, checkout, tmp_path, monkeypatch)
    assert code == 1
    assert report.startswith("REFUSED: ")
    assert "\x1b" not in report
