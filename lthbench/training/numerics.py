"""Precisions, and the environment within which results are equal bit for bit."""

import contextlib
import os
import platform
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from lthbench import keys
from lthbench.errors import InputError, MethodError
from lthbench.training.kernels.program import program

CAST_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d)  # they hand weight and bias to one operation that autocast casts for
FEW = 8  # input channels, below which oneDNN's AVX2 kernel writes out of bounds
PRECISIONS = ("fp32", "tf32", "bf16")


class NotDeterministic(MethodError):
    """The error that an operation has no deterministic implementation on a device."""


def set_up(device: torch.device) -> None:
    """Set the process to one thread and deterministic algorithms. Every thread that computes a result does this before."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    if device.type == "cuda":
        _set_up_cuda()
        if device.index is not None:
            torch.cuda.set_device(device)  # of this thread: a stray call would start a context on the first GPU


ENVIRONMENT = {
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # one of the two sizes with which cuBLAS is deterministic
    "CUDA_DEVICE_MAX_CONNECTIONS": "32",  # hardware queues: by default 8, which 16 trainings would share
}
"""The variables that CUDA reads when it starts."""


def _set_up_cuda() -> None:
    """Choose deterministic algorithms, and let torch refuse an operation that has none."""
    os.environ.update(ENVIRONMENT)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # it changes no result


@contextlib.contextmanager
def one_thread(device: torch.device) -> Any:
    """Apply `set_up` within a context, and restore the previous settings afterwards."""
    threads, refusing = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    try:
        set_up(device)
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_flush_denormal(False)
        torch.use_deterministic_algorithms(refusing)


@contextlib.contextmanager
def precision(name: str, device: torch.device) -> Any:
    """Compute in a numerics class: fp32, tf32 (matrix products of fp32 on CUDA) or bf16 (autocast)."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = name == "tf32"
    try:
        autocast = torch.autocast(device.type, torch.bfloat16, enabled=name == "bf16", cache_enabled=False)
        with autocast, attention_as_products(), deterministic(device):
            yield
            if torch.is_autocast_enabled(device.type) != (name == "bf16"):
                raise MethodError("an operation changed the autocast mode of the process, which other trainings share")
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


@contextlib.contextmanager
def deterministic(device: torch.device) -> Any:
    """Raise NotDeterministic in place of torch's error, where the code inside asks for an operation that has no
    deterministic implementation."""
    try:
        yield
    except RuntimeError as error:
        operation, lacking, _ = str(error).partition(" does not have a deterministic implementation")
        if not lacking:
            raise
        raise NotDeterministic(
            f"{operation} has no deterministic implementation on {device.type}, so results would differ from run to run; "
            "use a layer or an operation that has one"
        ) from None


@contextlib.contextmanager
def attention_as_products() -> Any:
    """Compute attention as matrix products within a context, in whichever module it is.

    The fused kernels are not deterministic on a GPU, have no second derivative, and escape the count of operations on a CPU.
    """
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def environment(device: torch.device) -> dict[str, str]:
    """Return device, processor, instruction set and library versions.

    Within one environment, results are equal bit for bit.
    """
    on_cuda = device.type == "cuda"
    kind = torch.cuda.get_device_name(device) if on_cuda else _processor()
    return {
        "device": device.type,
        "kind": kind,
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
        "cuda": str(torch.version.cuda) if on_cuda else "",
    } | (_of_gpu(device) if on_cuda else {})


def _of_gpu(device: torch.device) -> dict[str, str]:
    """Return what decides bits on a GPU alone: cuDNN, and the program of a step with the compiler of its kernels."""
    named = program(device)
    triton = "" if named == "reference" else version("triton")
    return {"cudnn": str(torch.backends.cudnn.version()), "program": named, "triton": triton}


def environment_key(device: torch.device) -> str:
    """Return a short key of the environment, for addresses in the store."""
    return keys.key("build", environment(device))[:12]


def chosen_device(name: str = "") -> torch.device:
    """Return the device of a name, by default CUDA where there is one. InputError for a device that cannot be used."""
    if not name:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"{name!r} is not the name of a device; write cpu, cuda or cuda:0, say") from None
    if device.type not in ("cpu", "cuda"):
        raise InputError(f"lthbench computes on cpu and cuda, not on {name!r}; choose one of them")
    if device.type == "cuda" and (device.index or 0) >= _gpus():
        there = f"{_gpus()} CUDA devices" if _gpus() else "no CUDA device, or no driver for it"
        raise InputError(f"there is no device {name!r}: this machine has {there}; leave the device out, or write cpu")
    return device


def _gpus() -> int:
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def alike(device: torch.device) -> list[torch.device]:
    """Return the devices that "cuda" stands for: all GPUs of the same model as the first, so that they share one
    environment."""
    if device.type != "cuda" or device.index is not None:
        return [device]
    kinds = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return [torch.device("cuda", i) for i, kind in enumerate(kinds) if kind == kinds[0]]


@cache
def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def memory_format(module: nn.Module, device: torch.device) -> torch.memory_format:
    """Return channels-last, which trains ResNet-20 1.3 times as fast on a CPU, unless a kernel of this CPU breaks on it.

    Without AVX-512, oneDNN's weight gradient of a strided 1x1 convolution with few input channels corrupts memory in
    channels-last (uxlfoundation/oneDNN#6035). Such a module stays contiguous there.
    """
    breaks = device.type == "cpu" and torch.backends.cpu.get_cpu_capability() != "AVX512"
    return torch.contiguous_format if breaks and any(map(_strided, module.modules())) else torch.channels_last


def for_evaluation(module: nn.Module, device: torch.device) -> nn.Module:
    """Lay a module out for evaluation, in place: channels-last on CUDA, where convolutions in bf16 are made for it."""
    return module.to(memory_format=torch.channels_last) if device.type == "cuda" else module


def _strided(layer: nn.Module) -> bool:
    return (
        isinstance(layer, nn.Conv2d)
        and layer.kernel_size == (1, 1)
        and layer.stride != (1, 1)
        and layer.in_channels < FEW
    )


class Casts:
    """bf16 copies of weights, cast all together: a few kernels a step, where autocast casts each weight and gradient alone.

    The values are autocast's: a weight is rounded once before the forward pass, and its gradient widened once after the
    backward pass. A layer of another class than CAST_LAYERS keeps autocast's own casts.
    """

    def __init__(self, module: nn.Module, trained: Mapping[str, Tensor]):
        layers = {name: layer for name, layer in module.named_modules() if type(layer) in CAST_LAYERS}
        names = [f"{layer}.{own}" for layer in layers for own in ("weight", "bias")]
        self._masters = {name: trained[name] for name in names if name in trained}
        self._copies = {n: torch.empty_like(t, dtype=torch.bfloat16).requires_grad_() for n, t in self._masters.items()}

    def refreshed(self) -> dict[str, Tensor]:
        """Return the copies, with the present values of the weights."""
        with torch.no_grad():
            torch._foreach_copy_(list(self._copies.values()), list(self._masters.values()))
        return dict(self._copies)

    def sources(self, trained: Mapping[str, Tensor]) -> list[Tensor]:
        """Return what the loss is differentiated by, in the order of the trained tensors: copies where there are some."""
        return [self._copies.get(name, t) for name, t in trained.items()]

    def widened(self, trained: Mapping[str, Tensor], grads: Sequence[Tensor]) -> list[Tensor]:
        """Return the gradients in the types of the trained tensors."""
        found = dict(zip(trained, grads, strict=True))
        wide = {name: torch.empty_like(self._masters[name]) for name in self._copies}
        torch._foreach_copy_(list(wide.values()), [found[name] for name in wide])
        return list((found | wide).values())
