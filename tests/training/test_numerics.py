"""The device that is asked for, or one line."""

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from lthbench.cli import main
from lthbench.errors import InputError
from lthbench.training.numerics import chosen_device


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.usefixtures("no_gpu")
def test_the_cpu_is_chosen_where_there_is_no_gpu() -> None:
    assert chosen_device() == chosen_device("cpu") == torch.device("cpu")


def test_a_gpu_is_chosen_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert chosen_device() == torch.device("cuda")
    assert chosen_device("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(InputError, match="this machine has 2 CUDA devices"):
        chosen_device("cuda:2")


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("name", ["gpu", "cuda", "cuda:0", "cuda:-1", "mps", "meta", "xla", "cpu cpu", "9"])
def test_a_device_that_cannot_be_used_is_one_line(name: str) -> None:
    with pytest.raises(InputError, match=name) as error:
        chosen_device(name)
    assert "\n" not in str(error.value)


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("words", [("plan", "smoke"), ("run", "smoke", "--out", "r"), ("speed", "mlp-8/digits")])
@pytest.mark.parametrize("device", ["gpu", "cuda", "mps"])
def test_every_command_refuses_the_device_before_it_starts(
    words: tuple[str, ...], device: str, data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, [*words, "--device", device, "--data", str(data_folder)])
    assert done.exit_code == 2 and len(done.stderr.splitlines()) == 1, done.output
    assert list(tmp_path.iterdir()) == []
