"""The program of a step: which one is chosen, how it is named, and what is said where Triton cannot build it."""

from subprocess import CalledProcessError

import pytest
import torch

from lthbench.errors import InputError, MethodError
from lthbench.training.kernels import program as programs
from lthbench.training.kernels.program import PROGRAMS, VARIABLE, computing, program

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize("named", ["", *PROGRAMS])
def test_a_cpu_has_torchs_own_operations(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, named)
    assert program(CPU) == "reference"


@pytest.mark.parametrize("buildable", [True, False])
def test_a_gpu_has_the_fused_program_where_it_can_be_built(buildable: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(programs, "buildable", lambda: buildable)
    assert program(CUDA) == ("fused" if buildable else "reference")
    for name in PROGRAMS:
        monkeypatch.setenv(VARIABLE, name)
        assert program(CUDA) == name


def test_an_unknown_program_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "fusd")
    with pytest.raises(InputError, match="^LTHBENCH_PROGRAM: .*fusd.*fused"):
        program(CUDA)


class Refused(Exception):
    """An error of Triton's compiler."""


Refused.__module__ = "triton.compiler.errors"


@pytest.mark.parametrize("named", ["fused", "compiled"])
@pytest.mark.parametrize(
    "error", [Refused("no such op\nat 3"), CalledProcessError(1, ["cc"]), RuntimeError("Triton Error [CUDA]: no image")]
)
def test_what_cannot_be_built_is_one_line(named: str, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, named)
    pytest.importorskip("lthbench.training.kernels.norm_act", reason="Triton is needed")
    with (
        pytest.raises(
            MethodError, match=f"^the {named} program .* cannot be built .*; set LTHBENCH_PROGRAM=reference"
        ) as told,
        computing(CUDA),
    ):
        raise error
    assert "\n" not in str(told.value)
    with pytest.raises(ZeroDivisionError), computing(CUDA):
        _ = 1 // 0
