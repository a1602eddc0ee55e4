"""Verify the bundles that are new between two commits: `verify.py CHECKOUT BASE HEAD OUT`.

Writes OUT/number and OUT/report.txt, the verdicts first; ends with 1 where a bundle is refused, or something else changed.
"""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

FOLDER = "bundles"
PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
LEVELS = ("--retrain", "2", "--seconds", "2400")


def changed(checkout: Path, base: str, head: str) -> list[str]:
    """Return the paths that differ from where the two commits parted; both names of what was renamed."""
    command = ["git", "-C", str(checkout), "diff", "--name-only", "--no-renames", "-z", f"{base}...{head}"]
    said = subprocess.run(command, check=True, capture_output=True).stdout
    return [path.decode(errors="replace") for path in said.split(b"\0") if path]


def bundles(checkout: Path, paths: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Return the bundles that changed, and what a pull request may not hold."""
    outside = [path for path in paths if not path.startswith(f"{FOLDER}/")]
    problems = [f"a pull request with a bundle changes nothing else: {path!r}" for path in outside[:3]]
    if (checkout / FOLDER).is_symlink():
        return [], [*problems, f"{FOLDER} is a link"]
    names = sorted({path.split("/")[1] for path in paths if path.startswith(f"{FOLDER}/")})
    problems += [f"{name!r} is not a plain name" for name in names if not PLAIN.fullmatch(name)]
    there = [checkout / FOLDER / name for name in names if PLAIN.fullmatch(name)]
    problems += [f"{path.name} is a link" for path in there if path.is_symlink()]
    return [path for path in there if path.exists() and not path.is_symlink()], problems


def run(*words: str) -> tuple[bool, str]:
    """Run an lthbench command. Returns whether it went well, and what it printed, without a character that commands a terminal."""
    done = subprocess.run(
        [sys.executable, "-m", "lthbench.cli", *words], capture_output=True, text=True, errors="replace"
    )
    return not done.returncode, clean(done.stdout + done.stderr)


def clean(text: str) -> str:
    """Return a text in which no line is a command of the workflow's log."""
    lines = ("".join(c if c.isprintable() else "?" for c in line) for line in text.split("\n"))
    return "\n".join(re.sub(r"^(\s*)(::|##\[)", r"\1. \2", line) for line in lines)


def main(checkout: Path, base: str, head: str, out: Path) -> int:
    out.mkdir()
    (out / "number").write_text(str(int(os.environ["NUMBER"])))
    found, problems = bundles(checkout, changed(checkout, base, head))
    verdicts, details = [clean(f"REFUSED: {problem}") for problem in problems], []
    for path in found if not problems else []:
        passed, said = run("verify", str(path), *LEVELS)
        fits, row = run("publish", str(path), "--dry-run") if passed else (False, "")
        verdicts.append(f"{'PASSED' if passed and fits else 'REFUSED'}: {path.name}")
        details.append(f"== {path.name}\n{said}\n{row}")
    report = "\n".join([*(verdicts or ["no bundle is new"]), "", *details])
    (out / "report.txt").write_text(report)
    print(report)
    return int(any(verdict.startswith("REFUSED") for verdict in verdicts))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4])))
