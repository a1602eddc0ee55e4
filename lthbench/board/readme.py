"""The generated parts of the project's README, between `<!-- name -->` and `<!-- end -->`."""

import re
from pathlib import Path

from lthbench.board.analysis import Analysis
from lthbench.board.page import duel_table
from lthbench.errors import InputError


def refresh(readme: Path, analysis: dict[str, Analysis]) -> None:
    """Write the duel tables of the suites between their marks: `<!-- duel: digits lottery-ticket prune-finetune -->`."""

    def part(found: re.Match[str]) -> str:
        suite, a, b = found.group(2).split()
        if suite not in analysis:
            raise InputError(f"{readme}: there are no published results of suite {suite!r}")
        return f"{found.group(1)}\n{duel_table(analysis[suite], analysis[suite].duel(a, b))}\n<!-- end -->"

    text = readme.read_text()
    readme.write_text(re.sub(r"(<!-- duel: ([^>]*?) -->).*?<!-- end -->", part, text, flags=re.DOTALL))
