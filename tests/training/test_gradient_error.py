"""The gradient of one training step against float64, for every family of lthbench's own and both layouts of memory.

The gradient of a ReLU network jumps where an input of a ReLU passes zero, and where another value of a pooling window
becomes the largest. Among a million inputs some lie within rounding of that point. The plain distance to float64 says how
many of them jumped: 1e-6 in one run and 1e-3 in the next, in either layout. So float64 takes the branches here that the step
took. What is left is rounding, and a branch that float64 alone would not take must have been a near tie.
"""

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from lthbench.models import FAMILIES, Model
from lthbench.pruning.lineage import Init, Lineage
from lthbench.pruning.state import State, initial_state, module_of
from lthbench.training.feed import Feed
from lthbench.training.numerics import one_thread
from lthbench.training.recipe import Recipe
from lthbench.training.trainer import Trainer
from lthbench.training.trajectory import Trajectory
from tests.models.zoo import MNIST, OWN, feed, model

BATCH, CPU = 8, torch.device("cpu")
MODELS = [model(f"{name}-w0.25") for name in OWN] + [model("lenet5", MNIST)]
LAYOUTS = {"contiguous": torch.contiguous_format, "channels-last": torch.channels_last}
ROUNDING = {"contiguous": 1e-6, "channels-last": 8e-6}
"""What a gradient may be off for each layer with weights: three times the largest that was measured.

It is larger channels-last. There torch's batch-norm on a CPU sums the values of a channel one after another in float32, and
in float64 where maps are contiguous. ResNet-110 has the most layers, 112, and stays below 1e-3.
"""
NEAR = 3e-3  # what a tie is, over the root mean square of the layer's input
RECTIFIERS = (torch.relu, torch.relu_, Tensor.relu, F.relu, F.relu6)
POOLINGS = (torch.max_pool2d, F.max_pool2d)


class Recorded(TorchFunctionMode):
    """Keeps which branch every ReLU and every max-pooling takes."""

    def __init__(self) -> None:
        super().__init__()
        self.branches: list[Tensor] = []

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function in POOLINGS:
            largest, where = F.max_pool2d(*args, **(kwargs or {}) | {"return_indices": True})
            self.branches.append(where)
            return largest
        out = function(*args, **(kwargs or {}))
        if function in RECTIFIERS:
            self.branches.append(out.detach().clone())
        return out


class Replayed(TorchFunctionMode):
    """Takes the branches of another pass.

    `tie` is how far the worst of them is from what this pass would take, over the root mean square of the layer's input.
    """

    def __init__(self, branches: list[Tensor]) -> None:
        super().__init__()
        self.branches, self.tie = iter(branches), 0.0

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function not in RECTIFIERS + POOLINGS:
            return function(*args, **(kwargs or {}))
        chosen = (self._pooled if function in POOLINGS else self._rectified)(args[0], function)
        with torch.no_grad():
            step = (chosen - function(args[0].clone(), *args[1:], **(kwargs or {}))).abs().max()
            self.tie = max(self.tie, (step / args[0].square().mean().sqrt()).item())
        return chosen

    def _rectified(self, maps: Tensor, function: Callable[..., Tensor]) -> Tensor:
        theirs = next(self.branches).to(maps.dtype)
        top = 6 if function is F.relu6 else torch.inf
        return torch.where((theirs > 0) & (theirs < top), maps, theirs)

    def _pooled(self, maps: Tensor, _: Callable[..., Tensor]) -> Tensor:
        where = next(self.branches)
        return maps.flatten(2).gather(2, where.flatten(2)).view(where.shape)


def trainer_of(m: Model, state: State, layout: torch.memory_format, examples: Feed) -> Trainer:
    """A trainer of a model whose convolutions have this layout."""
    recipe = Recipe(epochs=1, batch=BATCH, lr=0.01)
    start = Lineage(Init(m, "kaiming-normal", 1, 0))
    t = Trajectory(start, 0, False, recipe, recipe.clock(BATCH), "random", 0, "data", "fp32", seed=1, order=0)
    trainer = Trainer(t, state, 0, examples)
    trainer.module.to(memory_format=layout)
    return trainer


def in_float64(m: Model, state: State, images: Tensor, labels: Tensor, mode: TorchFunctionMode) -> dict[str, Tensor]:
    """The gradient of the mean cross-entropy, by autograd."""
    module = module_of(m, state, CPU).double().train()
    with mode:
        logits = module(images.double())
    names, parameters = zip(*module.named_parameters(), strict=True)
    return dict(zip(names, torch.autograd.grad(F.cross_entropy(logits, labels), parameters), strict=True))


def distance(ours: dict[str, Tensor], exact: dict[str, Tensor]) -> float:
    """The norm of the difference, over that of the exact one."""
    off = torch.stack([(ours[name].double() - t).norm() for name, t in exact.items()]).norm()
    return (off / torch.stack([t.norm() for t in exact.values()]).norm()).item()


def test_every_family_is_in_these_tests() -> None:
    own = {name for name in FAMILIES if re.fullmatch(r"[a-z0-9-]+", name)}
    assert own == {m.name.removesuffix("-w0.25") for m in MODELS if not m.name.startswith(("mlp", "vit"))}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("m", MODELS, ids=lambda m: m.name)
def test_the_gradient_of_a_step_is_that_of_float64_along_the_same_branches(m: Model, layout: str) -> None:
    state, examples, recorded = initial_state(Init(m, "kaiming-normal", 1, 0)), feed(m, BATCH), Recorded()
    images, labels = examples.batch(torch.arange(BATCH))
    with one_thread(CPU):
        trainer = trainer_of(m, state, LAYOUTS[layout], examples)
        with recorded:
            trainer.step(images, labels, torch.tensor(0.01))
        replayed = Replayed(recorded.branches)
        exact = in_float64(m, state, images, labels, replayed)
    assert bool(recorded.branches) != m.name.startswith("vit") and next(replayed.branches, None) is None
    assert replayed.tie < NEAR
    error, layers = distance(trainer.current.grads, exact), len(m.prunable_shapes)
    assert error < ROUNDING[layout] * layers
