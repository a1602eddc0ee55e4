"""The templates of method files: a criterion, a rule, a probe, or a criterion for whole channels and neurons."""

import ast
import keyword
import re
from pathlib import Path

from lthbench.errors import InputError
from lthbench.methods import registry
from lthbench.runs.store.files import write_whole

CRITERION = '''"""One line on what {name} does. Author, venue, arXiv number. Cost: 2T epochs."""

from lthbench import Network, Run, alive, method


@method("{name}", cost="2T", at_zero="dense", cite="")
def {function}(run: Run) -> Network:
    init = run.init()
    dense = run.train(init)
    scores = alive(dense, {{name: w.abs() for name, w in dense.prunable.items()}})  # higher stays: your idea goes here
    return run.train(init.masked(run.select(scores)))
'''

RULE = '''"""One line on what {name} does. Author, venue, arXiv number. Cost: T epochs."""

import math
from dataclasses import dataclass

from lthbench import Network, Rule, Run, TrainingState, method


@dataclass(frozen=True)
class {kind}(Rule):
    """Removes the smallest weights bit by bit in the first half of the training."""

    final: float
    every: int = 10  # steps between two calls of after_step

    def after_step(self, s: TrainingState) -> None:
        sparsity = self.final * min(1.0, 2 * (s.step + 1) / s.total)
        scores = {{n: s.params[n].abs().masked_fill(~s.mask[n], -math.inf) for n in s.prunable}}  # your idea goes here
        s.set_mask(s.select(scores, sparsity))


@method("{name}", cost="T", at_zero="dense", cite="")
def {function}(run: Run) -> Network:
    return run.train(run.init(), rule={kind}(run.sparsity))
'''

PROBE = '''"""One line on what {name} does. Author, venue, arXiv number. Cost: 2T epochs, and a pass over the examples to score."""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lthbench import Batches, Network, Run, Tensors, alive, method


@dataclass(frozen=True)
class {kind}:
    """The sum over batches of |gradient x weight|, by prunable parameter, in evaluation mode."""

    passes: ClassVar[int] = 1  # over the examples: sets the charge

    def __call__(self, model: nn.Module, mask: Tensors, batches: Batches) -> dict[str, Tensor]:
        weights = {{name: model.eval().get_parameter(name) for name in mask}}
        scores = {{name: torch.zeros_like(w) for name, w in weights.items()}}
        for images, labels in batches():
            slopes = torch.autograd.grad(F.cross_entropy(model(images), labels), list(weights.values()))
            for name, slope in zip(weights, slopes, strict=True):
                scores[name] += (slope * weights[name].detach()).abs()  # higher stays: your idea goes here
        return scores


@method("{name}", cost="2T", at_zero="dense", cite="")
def {function}(run: Run) -> Network:
    init = run.init()
    dense = run.train(init)
    scores = alive(dense, run.measure(dense, {kind}()))
    return run.train(init.masked(run.select(scores)))
'''

STRUCTURED = '''"""One line on what {name} does. Author, venue, arXiv number. Cost: 2T epochs."""

from lthbench import Network, Run, method


@method("{name}", cost="2T", at_zero="dense-twice", cite="")
def {function}(run: Run) -> Network:
    dense = run.train(run.init())
    squares = {{name: w.square() for name, w in dense.prunable.items()}}  # a score a weight: your idea goes here
    return run.train(dense.masked(run.select(dense.units.sum(squares), units=dense.units)).at(0))
'''

TEMPLATES = {"criterion": CRITERION, "rule": RULE, "probe": PROBE, "structured": STRUCTURED}


def scaffold(name: str, folder: Path, kind: str = "criterion") -> Path:
    """Write `<name>.py`, which runs without changes. InputError for a name that cannot be used, or an existing file."""
    _check(name.replace("_", "-"))
    function = name.replace("-", "_")
    path = folder / f"{function}.py"
    if path.exists():
        raise InputError(f"{path} exists already; choose another name, or edit it")
    names = {"name": name.replace("_", "-"), "function": function, "kind": function.title().replace("_", "")}
    write_whole(path, TEMPLATES[kind].format(**names).encode())
    return path


def _check(name: str) -> None:
    """Raise InputError for a name that is not allowed, is taken, or is a word that the file itself needs."""
    if not (re.fullmatch(r"[a-z][a-z0-9-]*", name) and registry.NAME.fullmatch(name)):
        raise InputError(f"{name!r} cannot name a method; use at most 64 small letters, digits and hyphens: my-method")
    if name in registry.load_all():
        raise InputError(f"method {name!r} is in {registry.METHODS[name].file} already; choose another name")
    function = name.replace("-", "_")
    words = {function, function.title().replace("_", "")}
    if keyword.iskeyword(function) or words & _imported():
        raise InputError(
            f"{name!r} is a word of Python or lthbench that the file needs; choose another name: my-{name}"
        )


def _imported() -> set[str]:
    """Return the names that the templates import."""
    texts = [text.format(name="x", function="x", kind="X") for text in TEMPLATES.values()]
    imports = [n for text in texts for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Import | ast.ImportFrom)]
    return {alias.name for node in imports for alias in node.names}
