"""Small image folders, drawn here, and what the command line says about them."""

from collections.abc import Iterable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner, Result
from PIL import Image

from lthbench.cli import main
from tests.processes import die

CLASSES = ("cat", "dog", "eel")


def pixels(seed: int, size: tuple[int, int] = (8, 6), channels: int = 3) -> np.ndarray:
    """Random, uint8 [height, width, channels], or [height, width] of a single channel; `size` is (width, height)."""
    shape = (size[1], size[0], channels) if channels > 1 else size[::-1]
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def draw(path: Path, seed: int = 0, size: tuple[int, int] = (8, 6), channels: int = 3) -> Path:
    """An image file of random pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels(seed, size, channels)).save(path)
    return path


def folder(
    root: Path,
    train: int = 5,
    test: int = 3,
    classes: Iterable[str] = CLASSES,
    part: str = "test",
    suffix: str = ".png",
    size: tuple[int, int] = (8, 6),
    channels: int = 3,
) -> Path:
    """`train` and `test` images of each class, every one another."""
    for label, name in enumerate(classes):
        for split, each in (("train", train), (part, test)):
            for number in range(each):
                seed = 1000 * label + 2 * number + (split == "train")
                draw(root / split / name / f"{number:03}{suffix}", seed, size, channels)
    return root


def data(*words: object) -> Result:
    """`lthbench data …` in this process."""
    return CliRunner().invoke(main, ["data", *map(str, words)])


def refused(*words: object) -> str:
    """The one line that `lthbench data …` refuses with, exit code 2, after bars of downloads if there are any."""
    done = data(*words)
    assert done.exit_code == 2, done.output
    lines = [line for line in done.stderr.splitlines() if line.strip() and "%|" not in line]
    assert len(lines) == 1 and lines[0].startswith("lthbench: "), done.output
    return lines[0]


def dies_at(where: Any, name: str, call: int) -> None:
    """From now on this process is killed at the `call`-th call of a function."""
    before, calls = getattr(where, name), count()

    def dying(*arguments: Any) -> Any:
        if next(calls) == call:
            die()
        return before(*arguments)

    setattr(where, name, dying)
