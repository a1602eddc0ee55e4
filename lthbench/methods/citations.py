"""The papers behind methods: the line `cite` of a method as a reference, and as BibTeX.

`references.toml` beside the baselines has the authors, the title and the venue of their papers. Any other line is read as
it stands: "Zhou et al., NeurIPS 2019, arXiv:1905.01067".
"""

import re
import tomllib
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from lthbench._version import __version__
from lthbench.methods.registry import FOLDER, Method

ARXIV = re.compile(r"arXiv:(\d{4}\.\d{4,5})")
LINE = re.compile(r"(?P<authors>[^,]+),\s*(?P<venue>[^,]*?)\s*(?P<year>\d{4})\b")
JOURNALS = ("Nature Communications",)
_SMALL = "a an and at by for from how in into is it of on or the to using via what why with without"
SMALL = frozenset(_SMALL.split())  # words that a key does not begin a title with


@dataclass(frozen=True)
class Reference:
    """A paper. Authors are "Family, Given", divided by semicolons. `arxiv` is a number such as 1803.03635."""

    authors: str
    title: str
    year: int | None = None
    venue: str = ""
    arxiv: str = ""

    @property
    def key(self) -> str:
        """Return the key of its BibTeX entry: family name of the first author, year, first word of the title."""
        family = self.authors.partition(";")[0].partition(",")[0]
        words = [word for word in _ascii(self.title) if word not in SMALL]
        return "".join([*_ascii(family), str(self.year or ""), *words[:1]])

    @property
    def bibtex(self) -> str:
        """Return its BibTeX entry."""
        kind, place = ("article", "journal") if self.venue in JOURNALS else ("inproceedings", "booktitle")
        fields = {
            "author": " and ".join(name.strip() for name in self.authors.split(";")),
            "title": f"{{{self.title}}}",  # in a second pair of braces, which keep capital letters
            place: self.venue,
            "year": str(self.year or ""),
            "eprint": self.arxiv,
            "archivePrefix": "arXiv" if self.arxiv else "",
        }
        lines = "".join(f"  {name} = {{{_escaped(value)}}},\n" for name, value in fields.items() if value)
        return f"@{kind if self.venue else 'misc'}{{{self.key},\n{lines}}}\n"


OWN = Reference("{lthbench authors}", f"lthbench {__version__}: pruning under equal epoch budgets", 2026)


def reference(cite: str) -> Reference | None:
    """Return the paper of a method's `cite`; None where the method cites none."""
    if not cite:
        return None
    arxiv = found[1] if (found := ARXIV.search(cite)) else ""
    if known := _references().get(f"arXiv:{arxiv}" if arxiv else cite):
        return Reference(**known, arxiv=arxiv)
    cite = re.sub(r"[{}\\]", "", cite)  # which have a meaning in BibTeX
    line = LINE.match(cite)
    if not line:
        return Reference("", cite, arxiv=arxiv)
    authors = line["authors"].replace(" et al.", "; others").replace(" and ", "; ")
    return Reference(authors, cite, int(line["year"]), line["venue"], arxiv)


def bibtex(methods: Iterable[Method]) -> str:
    """Return the BibTeX entries of lthbench and of the papers of these methods, each below the names of its methods."""
    names: dict[Reference, list[str]] = {}
    for method in methods:
        if paper := reference(method.cite):
            names.setdefault(paper, []).append(method.name)
    entries = [f"% {', '.join(sorted(names[paper]))}\n{paper.bibtex}" for paper in sorted(names, key=lambda p: p.key)]
    return "\n".join([f"% the benchmark\n{OWN.bibtex}", *entries])


@cache
def _references() -> dict[str, dict[str, Any]]:
    return tomllib.loads((FOLDER / "references.toml").read_text())


def _ascii(text: str) -> list[str]:
    """Return the words of a text in small letters, without accents."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.findall(r"[a-z0-9]+", plain.replace("-", ""))


def _escaped(text: str) -> str:
    return re.sub(r"(?<!\\)([&%$#_])", r"\\\1", text)
