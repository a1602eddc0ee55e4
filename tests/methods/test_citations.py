"""Citations: every baseline's line leads to a whole reference that agrees with it, and BibTeX reads them all."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from lthbench.cli import main
from lthbench.methods import citations, registry

ROOT = Path(__file__).parent.parent.parent
NAMED = {
    "NeurIPS": "Neural Information",
    "ICLR": "Learning Rep",
    "ICML": "Machine Learning",
    "CVPR": "Pattern Recognition",
}
NAMED |= {"ICCV": "International Conference on Computer Vision", "ECCV": "European", "WACV": "Winter", "EMNLP": "EMNLP"}
NAMED |= {"ICASSP": "Acoustics", "Nature Communications": "Nature Communications"}


def lines() -> list[str]:
    return sorted(
        {method.cite for method in registry.load_all().values() if method.file.parent == registry.FOLDER} - {""}
    )


@pytest.mark.parametrize("cite", lines())
def test_a_reference_agrees_with_the_line_of_its_method(cite: str) -> None:
    paper, said = citations.reference(cite), citations.LINE.match(cite)
    assert paper and said
    assert cite not in paper.title, "references.toml lacks it"
    families = [author.partition(",")[0].strip() for author in paper.authors.split(";")]
    first, second = re.match(r"(.+?)(?: and (.+)| et al\.)$", said["authors"]).groups()  # type: ignore[union-attr]
    assert families == [first, second] if second else families[0] == first and len(families) > 2
    assert paper.year == int(said["year"])
    assert [name for name in NAMED if name in said["venue"]] == [
        n for n, words in NAMED.items() if words in paper.venue
    ]


def test_every_reference_is_cited_and_has_a_key_of_its_own() -> None:
    names = tomllib.loads((registry.FOLDER / "references.toml").read_text())
    assert len(names) == len(lines())
    keys = [citations.reference(cite).key for cite in lines()]  # type: ignore[union-attr]
    assert len(set(keys)) == len(keys)
    assert all(re.fullmatch(r"[a-z]+\d{4}[a-z0-9]+", key) for key in keys)


def test_a_line_of_an_author_becomes_an_entry() -> None:
    text = citations.reference("Zhou and Lee, ICLR 2030, arXiv:3001.01067").bibtex  # type: ignore[union-attr]
    assert "author = {Zhou and Lee}" in text
    assert "booktitle = {ICLR}" in text
    assert "eprint = {3001.01067}" in text


@given(st.text(min_size=1, max_size=40))
def test_any_line_becomes_an_entry_with_balanced_braces(cite: str) -> None:
    text = citations.reference(cite).bibtex  # type: ignore[union-attr]
    assert text.count("{") == text.count("}")


@pytest.mark.skipif(not (shutil.which("bibtex") and shutil.which("pdflatex")), reason="LaTeX is not installed")
def test_bibtex_reads_every_entry(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["list", "methods", "--bibtex"])
    assert done.exit_code == 0
    (tmp_path / "methods.bib").write_text(done.output)
    body = r"\documentclass{article}\begin{document}\nocite{*}\bibliographystyle{plain}\bibliography{methods}\end{document}"
    (tmp_path / "paper.tex").write_text(body)
    for words in (("pdflatex", "-interaction=nonstopmode", "paper.tex"), ("bibtex", "paper")):
        said = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, errors="replace")
        assert said.returncode == 0, said.stdout
    assert "Warning" not in said.stdout, said.stdout
    assert (tmp_path / "paper.bbl").read_text().count(r"\bibitem") == len(lines()) + 1


def test_bibtex_is_of_methods_alone() -> None:
    done = CliRunner().invoke(main, ["list", "suites", "--bibtex"])
    assert done.exit_code == 2
    assert "lthbench list methods --bibtex" in done.output


def test_the_citation_file_names_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
