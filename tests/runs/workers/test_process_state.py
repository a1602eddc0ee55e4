"""The guard of a turn sees every setting of the process that changes what others compute, and puts it back."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.backends import cuda, cudnn

from lthbench.data import DataHome
from lthbench.errors import MethodError
from lthbench.runs.workers.process_state import _flags, unchanged
from lthbench.runs.workers.worker_config import WorkerConfig
from lthbench.training.numerics import precision


def turned(where: Any, name: str) -> Callable[[], None]:
    return lambda: setattr(where, name, not getattr(where, name))


CHANGES: dict[str, Callable[[], object]] = {
    "cudnn switch": turned(cudnn, "enabled"),
    "cudnn benchmark": turned(cudnn, "benchmark"),
    "cudnn deterministic flag": turned(cudnn, "deterministic"),
    "precision of convolutions": turned(cudnn, "allow_tf32"),
    "precision of matrix products": turned(cuda.matmul, "allow_tf32"),
    "sums of bf16 products": turned(cuda.matmul, "allow_bf16_reduced_precision_reduction"),
    "flash attention": lambda: cuda.enable_flash_sdp(not cuda.flash_sdp_enabled()),
    "memory-efficient attention": lambda: cuda.enable_mem_efficient_sdp(not cuda.mem_efficient_sdp_enabled()),
    "attention of cudnn": lambda: cuda.enable_cudnn_sdp(not cuda.cudnn_sdp_enabled()),
    "attention as products": lambda: cuda.enable_math_sdp(not cuda.math_sdp_enabled()),
}
OF_THE_DEVICE: dict[str, Callable[[], object]] = {
    "autocast mode of the GPU": lambda: torch.set_autocast_enabled("cuda", True),
    "current stream": lambda: torch.cuda.set_stream(torch.cuda.Stream()),
    "global generator of the GPU": lambda: torch.rand(1, device="cuda"),
}
NEW = {  # names of torch 2.9 and later
    "cublas": "cuda.matmul", "convolutions of cudnn": "cudnn.conv", "cudnn": "cudnn", "float32": "",
    "matrix products of oneDNN": "mkldnn.matmul",
}  # fmt: skip


def settings() -> dict[str, Any]:
    return {name: get() for name, (get, _) in _flags().items()}


@pytest.mark.parametrize("what", CHANGES)
def test_a_setting_of_cuda_is_seen_and_put_back(what: str) -> None:
    before = settings()
    with pytest.raises(MethodError, match=f"x changed the .*{what}.* of the process"), unchanged("x"):
        CHANGES[what]()
    assert settings() == before


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("what", OF_THE_DEVICE)
def test_the_state_of_a_gpu_is_seen_and_put_back(what: str) -> None:
    torch.cuda.init()
    before = settings()
    with pytest.raises(MethodError, match=f"x changed the .*{what}.* of the process"), unchanged("x"):
        OF_THE_DEVICE[what]()
    assert settings() == before
    with unchanged("what changes nothing"), torch.cuda.stream(torch.cuda.Stream()):
        pass


@pytest.mark.cuda
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_another_current_device_is_seen_and_put_back() -> None:
    torch.cuda.init()
    before = settings()
    with pytest.raises(MethodError, match="x changed the .*current device.* of the process"), unchanged("x"):
        torch.cuda.set_device(1)
    assert settings() == before


@pytest.mark.skipif(not hasattr(torch.backends, "fp32_precision"), reason="this torch has the old names alone")
@pytest.mark.parametrize("what", NEW)
def test_a_precision_under_its_new_name_is_seen_and_spoils_nothing(what: str) -> None:
    """torch reads no precision under its old name any more once it was set under the new one."""
    before = settings()
    with pytest.raises(MethodError, match=f"x changed the .*precision of {what}.* of the process"), unchanged("x"):
        owner = torch.backends
        for part in filter(None, NEW[what].split(".")):
            owner = getattr(owner, part)
        owner.fp32_precision = "ieee" if owner.fp32_precision == "tf32" else "tf32"
    assert settings() == before
    with precision("tf32", torch.device("cpu")):
        assert cuda.matmul.allow_tf32
    assert not cuda.matmul.allow_tf32
    with unchanged("the next one"):
        pass


def test_the_turns_of_a_worker_are_guarded(data_home: DataHome, tmp_path: Any) -> None:
    worker = WorkerConfig(tmp_path, data_home.folder, "cpu").worker(frozenset({"train"}))
    torch.set_flush_denormal(False)
    with pytest.raises(MethodError, match="an operation changed the cudnn benchmark"), worker.turn():
        cudnn.benchmark = not cudnn.benchmark
