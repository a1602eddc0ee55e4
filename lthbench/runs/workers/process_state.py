"""The state of a process that all its trainings share: who may change it, checks for changes, and its restoration."""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.backends import cuda, cudnn

from lthbench.errors import MethodError


class FairLock:
    """A lock that is given in the order of requests.

    Threads that train in one process compute in turns. Only the replays of a GPU's graphs go on meanwhile, as nothing in the
    process affects them.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._asked = self.served = 0

    def __enter__(self) -> None:
        with self._changed:
            mine, self._asked = self._asked, self._asked + 1
            self._changed.wait_for(lambda: self.served == mine)

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self.served += 1
            self._changed.notify_all()


def generators() -> tuple[Any, ...]:
    """Return the state of the global generators in a form that can be compared."""
    numpy = np.random.get_state(legacy=False)
    return (
        torch.get_rng_state().numpy().tobytes(),
        random.getstate(),
        (numpy["state"]["pos"], numpy["state"]["key"].tobytes()),
    )


def restore(state: tuple[Any, ...]) -> None:
    """Restore the global generators."""
    torch.set_rng_state(torch.frombuffer(bytearray(state[0]), dtype=torch.uint8))
    random.setstate(state[1])
    numpy = np.random.get_state(legacy=False)
    numpy["state"] = {"pos": state[2][0], "key": np.frombuffer(state[2][1], dtype=np.uint32)}
    np.random.set_state(numpy)


def _setting(where: Any, name: str) -> tuple[Callable[[], Any], Callable[[Any], None]]:
    """Return two functions that read and write an attribute."""
    return partial(getattr, where, name), partial(setattr, where, name)


Flags = dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]]


def _products() -> Flags:
    """Return the settings of float32 products, those under their old names first.

    Newer torch has new names too. It sets the new ones along with the old ones, but cannot read the old ones any more
    once a new one was set alone: they are None then.
    """
    old: Flags = {
        "precision of matrix products": (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
        "precision of convolutions": _setting(cudnn, "allow_tf32"),
    }
    if not hasattr(torch.backends, "fp32_precision"):
        return old
    backends: Any = torch.backends
    new = {
        "float32": backends, "cudnn": cudnn, "cublas": cuda.matmul, "convolutions of cudnn": backends.cudnn.conv,
        "recurrent layers of cudnn": backends.cudnn.rnn, "oneDNN": backends.mkldnn,
        "matrix products of oneDNN": backends.mkldnn.matmul, "convolutions of oneDNN": backends.mkldnn.conv,
        "recurrent layers of oneDNN": backends.mkldnn.rnn,
    }  # fmt: skip
    return {name: (partial(_readable, get), put) for name, (get, put) in old.items()} | {
        f"precision of {name}": _setting(owner, "fp32_precision") for name, owner in new.items()
    }


def _readable(get: Callable[[], Any]) -> Any:
    try:
        return get()
    except RuntimeError:
        return None


_FLAGS: Flags = {
    "thread count": (torch.get_num_threads, torch.set_num_threads),
    "default dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "grad mode": (torch.is_grad_enabled, torch.set_grad_enabled),
    "autocast mode": (
        lambda: torch.is_autocast_enabled("cpu"),
        lambda on: torch.set_autocast_enabled("cpu", on),
    ),
    "deterministic flag": (
        torch.are_deterministic_algorithms_enabled,
        torch.use_deterministic_algorithms,
    ),
    "cudnn switch": _setting(cudnn, "enabled"),
    "cudnn benchmark": _setting(cudnn, "benchmark"),
    "cudnn deterministic flag": _setting(cudnn, "deterministic"),
    **_products(),
    "sums of bf16 products": _setting(cuda.matmul, "allow_bf16_reduced_precision_reduction"),
    "sums of fp16 products": _setting(cuda.matmul, "allow_fp16_reduced_precision_reduction"),
    "attention as products": (cuda.math_sdp_enabled, cuda.enable_math_sdp),
    "flash attention": (cuda.flash_sdp_enabled, cuda.enable_flash_sdp),
    "memory-efficient attention": (cuda.mem_efficient_sdp_enabled, cuda.enable_mem_efficient_sdp),
    "attention of cudnn": (cuda.cudnn_sdp_enabled, cuda.enable_cudnn_sdp),
}
"""The settings of the process, by name: functions that read and write them."""

_CUDA_FLAGS: Flags = {
    "autocast mode of the GPU": (
        lambda: torch.is_autocast_enabled("cuda"),
        lambda on: torch.set_autocast_enabled("cuda", on),
    ),
    "current device": (torch.cuda.current_device, torch.cuda.set_device),
    "current stream": (torch.cuda.current_stream, torch.cuda.set_stream),
    "global generator of the GPU": (
        lambda: torch.cuda.get_rng_state().numpy().tobytes(),
        lambda state: torch.cuda.set_rng_state(torch.frombuffer(bytearray(state), dtype=torch.uint8)),
    ),
}
"""Those that exist once CUDA has started."""


def _flags() -> Flags:
    return _FLAGS | _CUDA_FLAGS if torch.cuda.is_initialized() else _FLAGS


def _alike(a: Any, b: Any) -> bool:
    """Tell whether two values of a setting have the same effect. torch writes "ieee" for "none" when an old name is set."""
    return bool(a == b) or {a, b} == {"none", "ieee"}


@contextmanager
def unchanged(what: str) -> Iterator[None]:
    """Restore the process-wide state of torch afterwards. Raises MethodError if it was changed."""
    flags = _flags()
    before, random_before = {name: get() for name, (get, _) in flags.items()}, generators()
    try:
        yield
        changed = [name for name, (get, _) in flags.items() if not _alike(get(), before[name])]
        changed += ["global generator"] * (generators() != random_before)
        if changed:
            raise MethodError(f"{what} changed the {', '.join(changed)} of the process, which other trainings share")
    finally:
        for name, (get, put) in flags.items():
            if get() != before[name] and before[name] is not None:
                put(before[name])
        restore(random_before)
