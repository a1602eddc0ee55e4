"""One measurement: a workload, timed in every way."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch

from lthbench import system
from lthbench.bench import floor, step, together
from lthbench.bench.clock import ratio
from lthbench.bench.measurement import Measurement, Speed
from lthbench.bench.subject import Subject
from lthbench.models.cost import multiplications
from lthbench.training import numerics
from lthbench.training.kernels.program import program

ROUND = {"cpu": 0.2, "cuda": 1.0}  # the least seconds of a round in this process, which ends with a state on the CPU
TRAINING = 4.0  # the least seconds of a training beside others
ROUNDS = 5


def measure(
    name: str,
    data: Path,
    device: torch.device,
    precision: str,
    batch: int = 128,
    augment: str = "crop-flip",
    stem: str = "",
    lanes: Sequence[int] = (),
    least: float = TRAINING,
    say: Callable[[str], None] = lambda line: None,
) -> Iterator[Measurement]:
    """Time a workload. Yields what is known after each number of trainings side by side; the last one is the whole.

    `lanes` lists these numbers, and `least` is the seconds for each of them.
    """
    with TemporaryDirectory(prefix="lthbench-bench-") as scratch, numerics.one_thread(device):
        subject = Subject(name, stem, batch, precision, augment, device, data, Path(scratch))
        model, epoch = subject.model, subject.setting.n_train
        say(f"the floor of {numerics.environment(device)['kind']}")
        bound = floor.measured(precision, device)
        say(f"{step.OURS}, and the {step.PLAIN}")
        steps, times = step.side_by_side(subject, min(ROUND[device.type], least), ROUNDS)
        images = steps * batch
        found = Measurement(
            workload=f"{model.name}/{subject.dataset}", stem=stem, shape=model.shape, batch=batch, precision=precision,
            augment=augment, program=program(device),
            kind=numerics.environment(device)["kind"], device=device.type, torch=torch.__version__,
            epoch=epoch, multiplications=multiplications(model, {})[1],
            bandwidth=bound.bandwidth, rate=bound.rate, floor=bound.image(model, precision) * epoch,
            plain=median(times[step.PLAIN]) / images * epoch, ours=median(times[step.OURS]) / images * epoch,
            ratio=ratio(times[step.OURS], times[step.PLAIN]), shares=step.shares(times), speeds=(),
        )  # fmt: skip
        known = 1 / found.ours
        for count in lanes or default_lanes(device):
            say(f"{count} side by side")
            known = together.epochs_per_second(subject, count, least, known)
            speed = Speed(lanes=count, epochs_per_second=known)
            found = found.model_copy(update={"speeds": (*found.speeds, speed)})
            yield found


def default_lanes(device: torch.device) -> list[int]:
    """Return 1, 2, 4, … up to 16 on a GPU, or up to the number of cores on a CPU."""
    most = 16 if device.type == "cuda" else system.cores()
    return [1 << k for k in range(most.bit_length())]
