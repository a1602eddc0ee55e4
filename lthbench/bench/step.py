"""One training at a time in this process: its step beside that of the plain loop, and the time of each part of a step."""

from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from itertools import accumulate, cycle, islice, pairwise
from statistics import median

import torch
import torch.nn.functional as F

from lthbench.bench.clock import enough, rounds, seconds
from lthbench.bench.plain import Plain
from lthbench.bench.subject import Subject
from lthbench.pruning.state import initial_state
from lthbench.pruning.tensors import mapped
from lthbench.runs.store.store import Store
from lthbench.runs.workers.worker import Worker
from lthbench.training.gpu import graph_trainer
from lthbench.training.kernels.program import computing
from lthbench.training.numerics import precision
from lthbench.training.trainer import Trainer

PLAIN, OURS = "plain PyTorch loop", "lthbench, one at a time"


PARTS = ("data", "forward", "backward", "update")  # the parts of a step, in order


def side_by_side(subject: Subject, least: float, count: int) -> tuple[int, dict[str, list[float]]]:
    """Time both loops.

    Returns the number of steps that takes the plain loop `least` seconds, and the seconds of each round. There are
    `count` rounds of that number of steps: of the plain loop, of ours, and of steps up to the end of each part.
    """
    trajectory, setting = subject.trajectory(), subject.setting
    feed = Worker(Store(subject.scratch, "bench"), subject.home, subject.device).feed(setting.split, "train")
    state = initial_state(trajectory.start.root)  # type: ignore[arg-type]
    bare, plain = Trainer(trajectory, state, 0, feed), Plain(subject, feed)
    steps, _ = enough(lambda steps: seconds(partial(plain.train, steps), subject.device), least)
    with closing(graph_trainer.trainer(trajectory, state, 0, feed)) as ours:
        ours.prepare()
        works: dict[str, Callable[[], object]] = {
            PLAIN: partial(plain.train, steps),
            OURS: partial(_go_on, ours, steps),
            **{part: partial(_upto, part, bare, steps) for part in PARTS[:-1]},
            PARTS[-1]: partial(_go_on, bare, steps),
        }
        return steps, rounds(works, subject.device, count)


def shares(times: Mapping[str, list[float]]) -> dict[str, float]:
    """Return the share of a step that each part takes, from the result of `side_by_side`."""
    medians = (median(times[part]) for part in PARTS)
    ends = [0.0, *accumulate(medians, max)]  # a part that cannot be told from none has none
    return {part: (end - start) / ends[-1] for part, (start, end) in zip(PARTS, pairwise(ends), strict=True)}


def _go_on(trainer: Trainer, steps: int) -> None:
    trainer.run([trainer.current.step + steps], lambda stop, state: None)


def _upto(part: str, trainer: Trainer, steps: int) -> None:
    """Run steps that end after their data is ready, after the loss is known, or after its gradient is."""
    feed, inputs, forward = trainer.feed, trainer.inputs, trainer.step.forward
    batches = feed.epoch(trainer.trajectory.clock, trainer.recipe, 0, 0, 0)
    with precision(trainer.trajectory.precision, feed.device), computing(feed.device):
        for number, index in enumerate(islice(cycle(batches), steps)):
            draws = mapped(lambda t: t.to(feed.device, non_blocking=True), inputs.draws(len(index), number))
            images, labels = feed.augmented(index, inputs.augment, draws)
            if part != "data":
                loss = F.cross_entropy(forward({}, images).float(), labels)
            if part == "backward":
                torch.autograd.grad(loss, list(trainer.module.parameters()))
