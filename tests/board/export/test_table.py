"""Tables for a paper: what is marked is what the duels say, names are escaped, and LaTeX compiles."""

import json
import re
import shutil
import subprocess
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from lthbench.board.analysis import Analysis
from lthbench.board.build import analysis_of
from lthbench.board.export import paper
from lthbench.board.export.table import TALL, Entry, Table, latex
from lthbench.cli import main

ROOT = Path(__file__).parent.parent.parent.parent
DIGITS = ROOT / "leaderboard/results/digits"
SPECIAL = r"a_b & 100 % of $x^2 # {~} \end{table} [4pt] <i> ±−×→ é 漢 | `*`"


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return analysis_of(DIGITS)


def lthbench(*words: str | Path) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def test_every_run_is_counted_and_every_mark_is_an_outcome_of_a_duel(analysis: Analysis) -> None:
    table, scores = paper.scores_table(analysis), analysis.scores
    sparsities = [float(header.rstrip(" %")) / 100 for header in table.headers[2:]]
    seen = 0
    for rate, method, *entries in table.rows:
        for sparsity, entry in zip(sparsities, entries, strict=True):
            if not entry.text:
                continue
            seen += 1
            cell = scores[(scores["learning_rate"] == float(rate.text)) & (scores["sparsity"] == sparsity)]
            row = cell[cell["method"] == method.text].iloc[0]
            assert entry.text == f"{row['mean']:.1f} ± {row['sd']:.1f}"
            leader = cell.loc[cell["mean"].idxmax(), "method"]
            assert not entry.best or method.text == leader
            if method.text != leader:
                duel = analysis.duel(leader, method.text).cells
                there = duel[(duel["learning_rate"] == float(rate.text)) & (duel["sparsity"] == sparsity)]
                assert entry.tied == (there["outcome"].iloc[0] == "tie")
    assert seen == len(scores)
    assert any(entry.best for row in table.rows for entry in row)


def test_a_duel_marks_its_winners_and_ties(analysis: Analysis) -> None:
    duel = analysis.duel("lottery-ticket", "prune-finetune")
    rows = paper.duel_table(analysis, duel).rows
    for (*_, a, b, _, outcome), said in zip(rows, duel.cells["outcome"], strict=True):
        assert (a.best, b.best) == (said == "lottery-ticket", said == "prune-finetune")
        assert (a.tied, b.tied) == (said == "tie", said == "tie")
        assert outcome.text.rstrip("*") == said


@given(st.text(max_size=30))
def test_any_text_is_one_line_of_latex_without_a_bare_special_character(text: str) -> None:
    found = latex(text)
    assert "\n" not in found and found.isprintable()
    bare = re.sub(
        r"\\(?:ensuremath\{[<>]\}|[a-z]+\{\}|\^\{\}|[&%$#_{}])|\$\\?[a-z-]+\$|\{[\[\]]\}|\\dots\{\}", "", found
    )
    assert not re.search(r"[&%$#_^~\\{}]", bare), bare


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="pdflatex is not installed")
def test_the_tables_of_a_suite_compile_and_fit_the_page(analysis: Analysis, tmp_path: Path) -> None:
    odd = Table.plain("odd", pd.DataFrame({SPECIAL: [SPECIAL[:12], "[x]"], "number": [1.5, float("nan")]}))
    tall = Table.plain("tall", pd.DataFrame({"number": range(3 * TALL)}))
    wide = Table.plain("wide", pd.DataFrame({f"a long header of column {i}": [i] for i in range(9)}))
    body = "\n".join(table.latex() for table in (odd, tall, wide, *paper.tables(analysis)))
    head = r"\documentclass{article}\usepackage[margin=1in]{geometry}\usepackage{booktabs,graphicx,longtable}\begin{document}"
    (tmp_path / "paper.tex").write_text(f"{head}\n{body}\n\\end{{document}}\n")
    words = ("pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex")
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout
    assert "too large" not in done.stdout


def test_markdown_names_the_blocks_once_and_marks_entries() -> None:
    rows = [[Entry("0.1"), Entry("a|b"), Entry("1", best=True)], [Entry("0.1"), Entry("c"), Entry("2", tied=True)]]
    text = Table("t", "caption", ["rate", "method", "x"], rows, leading=1).markdown()
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in text.splitlines()[4:6]]
    assert cells == [["0.1", r"a\|b", "**1**"], ["", "c", "2 ="]]


def test_score_prints_the_same_rows_in_every_format(tmp_path: Path) -> None:
    as_csv = lthbench("score", DIGITS, "--csv", "--out", tmp_path / "x.csv")
    assert (as_csv.exit_code, as_csv.output) == (0, "")
    assert lthbench("score", DIGITS, "--parquet", "--out", tmp_path / "x.parquet").exit_code == 0
    read = pd.read_csv(tmp_path / "x.csv")
    pd.testing.assert_frame_equal(read, pd.read_parquet(tmp_path / "x.parquet"), check_dtype=False)
    layers = lthbench("score", DIGITS, "--table", "notes", "--latex")
    assert layers.exit_code == 0
    assert r"run & note & position & value \\" in layers.output


def test_a_table_of_some_methods_compares_these_alone(analysis: Analysis) -> None:
    words = ("score", DIGITS, "--method", "prune-finetune", "--method", "random-reinit")
    rows = [
        line.split("&") for line in lthbench(*words, "--latex").output.splitlines() if line.startswith(("0.", " &"))
    ]
    assert [row[1].strip() for row in rows] == 2 * ["prune-finetune", "random-reinit"]
    at_90 = [row[-3] for row in rows]
    outcomes = analysis.duel("prune-finetune", "random-reinit").cells.query("sparsity == 0.9")["outcome"].tolist()
    assert [r"\textbf" in cell for cell in at_90[::2]] == [outcome == "prune-finetune" for outcome in outcomes]
    assert json.loads(lthbench(*words, "--json").output)[0]["method"] == "prune-finetune"
    assert set(pd.read_csv(StringIO(lthbench(*words, "--table", "layers", "--csv").output))["run"]) < set(range(420))
    unknown = lthbench("score", DIGITS, "--method", "prune-finetun", "--csv")
    assert (unknown.exit_code, unknown.output.count("\n")) == (2, 1)
    assert "Did you mean 'prune-finetune'?" in unknown.output


@pytest.mark.parametrize("words", [("score", "--csv", "--latex"), ("duel", "--json", "--markdown")])
def test_two_formats_are_refused_by_name(words: tuple[str, ...]) -> None:
    done = lthbench(words[0], DIGITS, *words[1:])
    assert done.exit_code == 2
    assert f"{words[1]} and {words[2]} are two formats; choose one" in done.output


@pytest.mark.parametrize("form", ["--csv", "--parquet"])
def test_a_file_name_behind_a_format_is_answered_with_the_option(form: str, tmp_path: Path) -> None:
    done = lthbench("score", DIGITS, form, tmp_path / "x")
    assert done.exit_code == 2
    assert f"the file of {form} is named with --out" in done.output
