"""Check that bits are equal where they must be: in two processes, beside neighbours, and with and without graphs.

`python -m tests.gpu.bits DEVICE [--short]` prints a line for each comparison, and ends with 1 where one differs.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext

import torch

from lthbench.pruning.state import State
from lthbench.runs.workers.process_state import FairLock
from lthbench.training import numerics
from lthbench.training.gpu.graph_trainer import GraphTrainer
from lthbench.training.trainer import Trainer
from lthbench.training.trajectory import Trajectory
from tests import helpers
from tests.gpu.trainings import feed, start, trajectory

KINDS = [
    ("mlp-300-100", "fp32"), ("resnet20", "bf16"), ("resnet20", "fp32"), ("vgg16", "bf16"), ("mobilenet-v2", "bf16"),
    ("resnet18", "bf16"), ("timm:vit_tiny_patch16_224", "bf16"),
]  # fmt: skip
NEIGHBOURS, AT_ONCE = 40, 8


class World:
    """Trainings on one device."""

    def __init__(self, device: torch.device, short: bool):
        self.device, self.short = device, short
        self.data = feed(64 if short else 2560, device=device)
        self.kinds = KINDS[:1] if short else KINDS

    def training(self, name: str, precision: str, seed: int = 0, epochs: int = 2) -> Trajectory:
        return trajectory(
            name, self.data, precision=precision, seed=seed, batch=16 if self.short else 128, epochs=epochs
        )

    def ended(self, t: Trajectory, kind: type[Trainer] = GraphTrainer, turns: FairLock | None = None) -> str:
        """Train. Returns the digests of all tensors of the end."""
        numerics.set_up(self.device)
        found: dict[int, State] = {}
        turn = (lambda: turns) if turns else nullcontext
        with turn():
            trainer = kind(t, start(t), 0, self.data, turn)  # type: ignore[arg-type]
            trainer.prepare()
        with closing(trainer):
            trainer.run([t.clock.total], found.__setitem__)
        return json.dumps(helpers.bits(found[t.clock.total]), default=str)

    def digests(self) -> Iterator[str]:
        """Train each kind, the cheap ones first. Yields the digests of its end when it is known."""
        return (self.ended(self.training(*kind)) for kind in self.kinds)


def compare(world: World, again: Iterator[str]) -> Iterator[tuple[str, bool]]:
    """Yield each comparison when it is known: its name, and whether both sides are equal.

    `again` has the digests from another process, in the order of the kinds.
    """
    here = {}
    for kind, ours, theirs in zip(world.kinds, world.digests(), again, strict=True):
        here[kind] = ours
        yield f"{' '.join(kind)}: two processes", ours == theirs
        yield f"{' '.join(kind)}: with and without graphs", world.ended(world.training(*kind), Trainer) == ours
    turns = FairLock()
    with ThreadPoolExecutor(AT_ONCE) as threads:
        beside = {kind: threads.submit(world.ended, world.training(*kind), turns=turns) for kind in world.kinds}
        others = [
            threads.submit(world.ended, world.training("mlp-8", "fp32", seed, 1), turns=turns)
            for seed in range(1, 1 + (4 if world.short else NEIGHBOURS))
        ]
        for kind, future in beside.items():
            yield f"{' '.join(kind)}: beside neighbours", future.result() == here[kind]
        for other in others:
            other.result()


def _again() -> Iterator[str]:
    """Yield the digests of another process, which trains all kinds meanwhile."""
    command = [sys.executable, "-m", "tests.gpu.bits", *sys.argv[1:], "--digests"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield from process.stdout or ()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)


def main() -> int:
    """Print the comparisons. Returns 1 where one differs."""
    device, short = torch.device(sys.argv[1]), "--short" in sys.argv
    numerics.set_up(device)
    world, right = World(device, short), True
    if "--digests" in sys.argv:
        for digests in world.digests():
            print(digests, flush=True)
        return 0
    for name, same in compare(world, map(str.rstrip, _again())):
        print(f"{name:60} {'equal' if same else 'DIFFERENT'}", flush=True)
        right &= same
    return int(not right)


if __name__ == "__main__":
    sys.exit(main())
