"""Measured latency of a pruned network: dense, masked and compact, in PyTorch and in ONNX Runtime, side by side.

All forms are timed in turn, round after round, so that a machine that slows down slows all of them down. What counts is the
ratio to the dense network of the same round.
"""

import copy
import importlib.util
import os
import re
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import product
from statistics import median, quantiles
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from lthbench.deployment.export import onnx_bytes
from lthbench.methods.compact import compact
from lthbench.runs.records.latency import Latency
from lthbench.submission.bundle.ticket import Ticket

BATCHES = (1, 64)
ROUNDS = 11
LEAST = 0.02  # seconds of one timing; short calls are repeated
DENSE = "dense"
PATTERN = "2:4"
HALF = "torch-cuda-fp16"
CPU = torch.device("cpu")

Call = Callable[[], Any]
Ready = Callable[[Tensor, int], Call]  # from images and a number of threads to the call that is timed
Prepare = Callable[[nn.Module, tuple[int, ...]], Ready]  # from a network and the shape of an image


def latency(ticket: Ticket, rounds: int = ROUNDS, device: torch.device = CPU) -> list[Latency]:
    """Time the dense, the masked and the compact network of a ticket.

    On a CPU: in torch and in ONNX Runtime where it is installed, with one thread and with all. On a GPU: in torch, in fp32 and
    in fp16, there also with torch's 2:4 kernels where the mask has that pattern. The dense network has the width of the
    workload's, and random weights: time does not depend on them.
    """
    whole = replace(ticket.model, width=1.0)  # the workload's model, also where the method returned a narrower one
    forms = {DENSE: whole.build("cpu").eval(), "masked": ticket.module(), "compact": compact(ticket)}
    found = []
    for runtime, prepare in runtimes(device).items():
        prepared = {name: (module, prepare(module, ticket.model.shape)) for name, module in forms.items()}
        if runtime == HALF and semi_structured(ticket.module()):
            prepared[PATTERN] = ticket.module(), _sparse(ticket.module())
        for threads, batch in product(dict.fromkeys((1, _cores(device))), BATCHES):
            images = torch.randn(batch, *ticket.model.shape)
            with _threads(threads):
                times = _interleaved({name: ready(images, threads) for name, (_, ready) in prepared.items()}, rounds)
            found += [_of(name, runtime, batch, threads, times, module) for name, (module, _) in prepared.items()]
    return found


def runtimes(device: torch.device = CPU) -> dict[str, Prepare]:
    """Return the runtimes that are installed for a device, by name."""
    if device.type == "cuda":
        return {"torch-cuda": _on_cuda(torch.float32), HALF: _on_cuda(torch.float16)}
    there = all(importlib.util.find_spec(name) for name in ("onnxruntime", "onnxscript"))
    return RUNTIMES if there else {"torch": _torch}


def semi_structured(module: nn.Module) -> list[nn.Linear]:
    """Return the linear layers whose weights are 2:4 and have sizes that torch's kernels for fp16 take."""
    linear = [layer for layer in module.modules() if type(layer) is nn.Linear]
    fitting = [layer for layer in linear if not (layer.out_features % 32 or layer.in_features % 64)]
    return [one for one in fitting if ((one.weight.detach() != 0).view(-1, 4).sum(1) <= 2).all()]


def _cores(device: torch.device) -> int:
    return 1 if device.type == "cuda" else os.cpu_count() or 1


HEADERS = ["runtime", "threads", "batch", "form", "ms", "quartiles", "times dense", "parameters", "size"]


def words(row: Latency) -> tuple[str, ...]:
    """Return the cells of a row, as text, in the order of HEADERS."""
    how = row.runtime, str(row.threads), str(row.batch), row.form
    found = f"{row.median:.3g}", f"{row.low:.3g} to {row.high:.3g}", f"{row.speed_up:.2f}"
    return (*how, *found, f"{row.parameters:,}", f"{row.size / 1000:,.0f} kB")


def name_of(ticket: Ticket) -> str:
    """Return the name of a run as a file name."""
    parts = (ticket.about[part] for part in ("method", "workload", "learning_rate", "sparsity", "seed"))
    return re.sub(r"[^\w.=,\[\]-]+", "-", "-".join(map(str, parts)))


def _of(
    form: str, runtime: str, batch: int, threads: int, times: Mapping[str, list[float]], module: nn.Module
) -> Latency:
    mine = [1000 * t for t in times[form]]
    low, _, high = quantiles(mine, n=4)
    ratio = median(dense / own for dense, own in zip(times[DENSE], times[form], strict=True))
    parameters = sum(p.numel() for p in module.parameters())
    size = len(save({n: t.contiguous() for n, t in module.state_dict().items()}))
    return Latency(
        form=form, runtime=runtime, batch=batch, threads=threads, median=median(mine), low=low, high=high,
        speed_up=ratio, parameters=parameters, size=size,
    )  # fmt: skip


def _interleaved(calls: Mapping[str, Call], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of one call by name, for each round. The first round warms up and does not count."""
    repeats = {name: _repeats(call) for name, call in calls.items()}
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name, call in calls.items():
            seconds = _timed(call, repeats[name])
            if number:
                times[name].append(seconds)
    return times


def _repeats(call: Call) -> int:
    """Return the number of calls that take LEAST seconds."""
    call()
    return max(1, round(LEAST / max(1e-6, _timed(call, 3))))


def _timed(call: Call, repeats: int) -> float:
    started = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - started) / repeats


@contextmanager
def _threads(number: int) -> Iterator[None]:
    """Let torch use a number of threads, without gradients."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.set_num_threads(before)


def _torch(module: nn.Module, shape: tuple[int, ...]) -> Ready:
    return lambda images, threads: lambda: module(images)


def _onnx(module: nn.Module, shape: tuple[int, ...]) -> Ready:
    import onnxruntime

    content = onnx_bytes(module, shape)

    def ready(images: Tensor, threads: int) -> Call:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(content, options)
        given = {"images": images.numpy()}
        return lambda: session.run(None, given)

    return ready


def _on_cuda(dtype: torch.dtype) -> Prepare:
    def prepare(module: nn.Module, shape: tuple[int, ...]) -> Ready:
        return _waiting(copy.deepcopy(module).to("cuda", dtype), dtype)

    return prepare


def _sparse(module: nn.Module) -> Ready:
    """Prepare a network whose 2:4 layers use torch's kernels for them."""
    there = copy.deepcopy(module).to("cuda", torch.float16)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*SparseSemiStructuredTensor is in prototype stage")
        for layer in semi_structured(there):
            layer.weight = nn.Parameter(torch.sparse.to_sparse_semi_structured(layer.weight))
    return _waiting(there, torch.float16)


def _waiting(module: nn.Module, dtype: torch.dtype) -> Ready:
    """Return calls that end when the GPU has the logits."""

    def ready(images: Tensor, threads: int) -> Call:
        given = images.to("cuda", dtype)

        def call() -> None:
            module(given)
            torch.cuda.synchronize()

        return call

    return ready


RUNTIMES: dict[str, Prepare] = {"torch": _torch, "onnxruntime": _onnx}
