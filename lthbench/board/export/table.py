"""A table for a paper or a README: cells of text with the best ones marked, written as LaTeX or Markdown."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import jinja2
import pandas as pd
from tabulate import LATEX_ESCAPE_RULES

from lthbench.board.page import escaped, markdown

TALL = 40  # rows that fit a page
SUFFIXES = {"latex": ".tex", "markdown": ".md"}  # of the files, by format
SIGNS = {"±": r"$\pm$", "−": "$-$", "–": "--", "→": r"$\to$", "×": r"$\times$", "≤": r"$\le$", "…": r"\dots{}"}
LATEX = str.maketrans({**LATEX_ESCAPE_RULES, **SIGNS, "[": "{[}", "]": "{]}"})  # a bracket behind \\ is an option of it


@dataclass(frozen=True)
class Entry:
    """A cell. `best` is written in bold, and `tied` with a mark."""

    text: str
    best: bool = False
    tied: bool = False

    def latex(self) -> str:
        """Return the cell as LaTeX. What follows ± is small."""
        number, sign, deviation = self.text.partition(" ± ")
        text = rf"\textbf{{{latex(number)}}}" if self.best else latex(number)
        small = rf"{{\scriptsize\,$\pm$\,{latex(deviation)}}}" if sign else ""
        return text + small + ("$^{=}$" if self.tied else "")

    def markdown(self) -> str:
        """Return the cell as Markdown."""
        text = escaped(self.text)
        return (f"**{text}**" if self.best else text) + " =" * self.tied


@dataclass(frozen=True)
class Table:
    """A table of text.

    name: the stem of its file. label: its label in LaTeX. caption: what it shows. note: how to read it.
    headers: one for each column; the first `leading` columns name the block of a row, and are written once for it.
    """

    name: str
    caption: str
    headers: Sequence[str]
    rows: Sequence[Sequence[Entry]]
    leading: int = 0
    note: str = ""
    label: str = ""

    @classmethod
    def plain(cls, name: str, frame: pd.DataFrame) -> "Table":
        """Return a data frame as a table, its numbers with five digits."""
        rows = [[Entry(_plain(value)) for value in row] for row in frame.itertuples(index=False)]
        return cls(name, name, [str(column) for column in frame], rows)

    def written(self, form: str) -> str:
        """Return the table in one of the formats of SUFFIXES."""
        return self.latex() if form == "latex" else self.markdown()

    def latex(self) -> str:
        """Return a floating table, made smaller where it is too wide; one of more than TALL rows is a longtable.

        Its first line names the packages that it needs.
        """
        loader = jinja2.PackageLoader("lthbench.board", "templates")
        environment = jinja2.Environment(
            loader=loader,
            trim_blocks=True,
            variable_start_string="<<",
            variable_end_string=">>",
            comment_start_string="<#",
        )
        return environment.get_template("table.tex").render(
            caption=latex(self.caption),
            label=re.sub(r"[^\w-]+", "-", self.label or self.name, flags=re.ASCII),
            columns="l" * (self.leading + 1) + "r" * (len(self.headers) - self.leading - 1),
            headers=[latex(header) for header in self.headers],
            blocks=[[[entry.latex() for entry in row] for row in block] for block in self._blocks()],
            note=latex(self.note),
            tall=len(self.rows) > TALL,
        )

    def markdown(self) -> str:
        """Return the caption, the table and the note."""
        rows = [[entry.markdown() for entry in row] for block in self._blocks() for row in block]
        headers = [escaped(header) for header in self.headers]
        return "\n\n".join(filter(None, [escaped(self.caption), markdown(rows, headers), escaped(self.note)])) + "\n"

    def _blocks(self) -> Iterator[list[list[Entry]]]:
        """Yield the rows that agree in the leading columns; these are empty in all but the first of them."""
        blocks: dict[tuple[str, ...], list[list[Entry]]] = {}
        for row in self.rows:
            block = blocks.setdefault(tuple(entry.text for entry in row[: self.leading]), [])
            block.append([*([Entry("")] * self.leading if block else row[: self.leading]), *row[self.leading :]])
        yield from blocks.values()


def latex(text: str) -> str:
    """Escape a text for LaTeX, on one line. A character that pdfLaTeX lacks becomes a question mark."""
    known = "".join(c if c in SIGNS or (c.isprintable() and ord(c) < 256) else "?" for c in " ".join(text.split()))
    return known.translate(LATEX).replace(r" \%", r"~\%")  # no line ends before a %


def _plain(value: object) -> str:
    if isinstance(value, float):
        return "" if value != value else f"{value:.5g}"
    return "" if value is None else str(value)
