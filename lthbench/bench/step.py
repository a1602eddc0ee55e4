"""One training at a time in this process: its step beside the plain loop's, and where the time of a step goes."""

from collections.abc import Callable, Mapping
from functools import partial
from statistics import median

import torch
import torch.nn.functional as F

from lthbench.bench.clock import rounds
from lthbench.bench.plain import Plain
from lthbench.bench.subject import Subject
from lthbench.pruning.state import initial_state
from lthbench.runs.store import Store
from lthbench.runs.worker import Worker
from lthbench.training.augment import AUGMENTATIONS
from lthbench.training.feed import Feed, step_generator
from lthbench.training.numerics import precision
from lthbench.training.trainer import Trainer

PLAIN, OURS = "plain PyTorch loop", "lthbench, one at a time"


def side_by_side(subject: Subject, steps: int, count: int) -> dict[str, list[float]]:
    """Seconds of `steps` steps in each of `count` rounds: the plain loop's, a Trainer's, and those of a step's parts."""
    trajectory, setting = subject.trajectory(), subject.setting
    feed = Worker(Store(subject.scratch, "bench"), subject.home, subject.device).feed(setting.split, "train")
    trainer = Trainer(trajectory, initial_state(trajectory.start.root), 0, feed)  # type: ignore[arg-type]
    plain = Plain(subject, feed)

    def ours() -> None:
        trainer.run([trainer.live.step + steps], lambda stop, state: None)

    return rounds(
        {PLAIN: lambda: plain.train(steps), OURS: ours, **_parts(trainer, feed, steps)}, subject.device, count
    )


def shares(times: Mapping[str, list[float]]) -> dict[str, float]:
    """Which share of a step goes where, of what `side_by_side` found."""
    data, forward, backward, whole = (median(times[name]) for name in ("data", "forward", "backward", OURS))
    parts = {"data": data, "forward": forward - data, "backward": backward - forward, "update": whole - backward}
    return {name: max(0.0, part / whole) for name, part in parts.items()}


def _parts(trainer: Trainer, feed: Feed, steps: int) -> dict[str, Callable[[], object]]:
    """Steps up to where their data is ready, up to where the loss is known, and up to where its gradient is."""
    recipe, module = trainer.recipe, trainer.module
    batches = feed.epoch(trainer.trajectory.clock, recipe, 0, 0, 0)[:steps]
    params = list(module.parameters())

    def upto(part: str) -> None:
        for number, index in enumerate(batches):
            images, labels = feed.batch(index)
            images = AUGMENTATIONS[recipe.augment](images, step_generator("augment", 0, 0, number))
            if part != "data":
                with precision(trainer.trajectory.precision, feed.device):
                    loss = F.cross_entropy(module(images).float(), labels)
            if part == "backward":
                torch.autograd.grad(loss, params)

    return {part: partial(upto, part) for part in ("data", "forward", "backward")}
