"""The memory traffic of one training step: what its operations read and write, from the sizes of their tensors.

`python -m tests.gpu.traffic MODEL PRECISION` prints it, on a GPU or on paper.
"""

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lthbench.training.trainer import Trainer
from tests.gpu.trainings import feed, start, trajectory

NOTHING = ("aten::empty", "aten::new_empty", "aten::detach", "aten::record_stream", "aten::_local_scalar_dense")
TWICE = ("batch_norm",)  # torch's kernels read the maps once for the sums, and once more for the result


class Traffic(TorchDispatchMode):
    """Adds up the bytes of the tensors that operations read and write, and of the maps that convolutions make."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = self.maps = 0

    @property
    def passes(self) -> float:
        """How often all maps together are read or written."""
        return self.bytes / self.maps

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        name = func._schema.name
        if not func.is_view and not name.startswith(NOTHING):
            read, written = _tensors((args, kwargs)), _tensors(out)
            self.maps += _size(written) if name == "aten::convolution" else 0
            self.bytes += (2 if any(part in name for part in TWICE) else 1) * _size(read) + _size(written)
        return out


def _tensors(found: Any) -> list[Tensor]:
    return [t for t in tree_leaves(found) if isinstance(t, Tensor) and t.is_cuda]


def _size(tensors: list[Tensor]) -> int:
    """Bytes of the different tensors."""
    return sum({t.data_ptr(): t.nbytes for t in tensors}.values())


@contextmanager
def traffic() -> Iterator[Traffic]:
    """Count inside the context, in this thread and in Triton's kernels, which read or write each tensor once."""
    from triton.runtime import JITFunction

    counted, run = Traffic(), JITFunction.run

    def counting(self: Any, *args: Any, **kwargs: Any) -> Any:
        counted.bytes += _size(_tensors(args))
        return run(self, *args, **kwargs)

    with torch.autograd.set_multithreading_enabled(False), counted:  # the backward pass in this thread too
        JITFunction.run = counting
        try:
            yield counted
        finally:
            JITFunction.run = run


def of_step(name: str, precision: str, batch: int = 128) -> Traffic:
    """Count the second step of a training on images of 32x32."""
    data = feed(batch)
    t = trajectory(name, data, precision=precision, batch=batch, epochs=3)
    with closing(Trainer(t, start(t), 0, data)) as one:
        one.run([1], lambda *_: None)
        with traffic() as counted:
            one.run([2], lambda *_: None)
    return counted


if __name__ == "__main__":
    found = of_step(*sys.argv[1:3])
    print(
        f"{' '.join(sys.argv[1:3])}: {found.bytes / 1e6:.0f} MB a step, {found.passes:.1f} passes over {found.maps / 1e6:.0f} MB"
    )
