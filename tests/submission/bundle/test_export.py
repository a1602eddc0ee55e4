"""A ticket outside: every form gives the same outputs."""

import copy
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn.utils import prune

from lthbench import InputError, compact, load_ticket
from lthbench.deployment.export import FORMS, export, load_compact, prune_form
from lthbench.models import initial_tensors
from lthbench.submission.bundle import ticket as tickets
from lthbench.submission.bundle.bundle import Bundle
from lthbench.submission.bundle.ticket import Ticket

IMAGES = torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def ticket(good: Path) -> Ticket:
    return load_ticket(good, sparsity=0.95, seed=1)


def test_a_ticket_is_start_weights_under_a_mask(ticket: Ticket) -> None:
    init = initial_tensors(ticket.model, "kaiming-normal", 1, 0)
    for name, mask in ticket.mask.tensors.items():
        assert torch.equal(ticket.start[name], init[name] * mask)
        assert not ticket.final[name][~mask].any()
    assert ticket.mask.sparsity == pytest.approx(0.95, abs=1e-3)
    assert not torch.equal(ticket.at_start.module()(IMAGES), ticket.module()(IMAGES))


def test_bundle_and_run_folder_give_the_same(good: Path, rewound: Path, author: Path) -> None:
    for bundle, method in ((good, "mine"), (rewound, "rewound")):
        one = load_ticket(bundle, sparsity=0.8, seed=0)
        two = load_ticket(author / "runs/smoke", method=method, sparsity=0.8, seed=0)
        assert one.mask == two.mask
        for a, b in ((one.start, two.start), (one.final, two.final)):
            assert all(torch.equal(t, b[name]) for name, t in a.items())


@pytest.mark.parametrize(
    ("which", "said"),
    [
        ({}, "4 tickets fit (mine mlp-32/digits"),
        ({"seed": 9}, "0 tickets fit (none)"),
        ({"sead": 1}, "not by sead"),
    ],
)
def test_one_has_to_be_chosen(good: Path, which: dict[str, int], said: str) -> None:
    with pytest.raises(InputError) as error:
        load_ticket(good, **which)
    assert said in str(error.value)


def test_only_the_chosen_network_is_read(good: Path, author: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    monkeypatch.setattr(Bundle, "final", _counted(Bundle.final, read))
    monkeypatch.setattr(tickets, "kept", _counted(tickets.kept, read))
    for path, method in ((good, "mine"), (author / "runs/smoke", "rewound")):
        read.clear()
        with pytest.raises(InputError, match="4 tickets fit"):
            load_ticket(path, method=method)
        assert read == []
        load_ticket(path, method=method, sparsity=0.8, seed=0)
        assert read == [1]


def _counted(function: Callable[..., Any], calls: list[int]) -> Callable[..., Any]:
    def counting(*args: Any) -> Any:
        calls.append(1)
        return function(*args)

    return counting


@pytest.mark.parametrize("trained", [True, False])
def test_safetensors_and_torch(ticket: Ticket, tmp_path: Path, trained: bool) -> None:
    ticket = ticket if trained else ticket.at_start
    loaded = load_compact(export(ticket, "safetensors", tmp_path / "t.safetensors"))
    torch.testing.assert_close(loaded(IMAGES), ticket.module()(IMAGES))
    program = torch.export.load(io.BytesIO(export(ticket, "torch", tmp_path / "t.pt2").read_bytes())).module()
    torch.testing.assert_close(program(IMAGES), ticket.module()(IMAGES))


def test_a_file_of_another_kind_is_one_line(ticket: Ticket, tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"not a file of tensors")
    for path in (tmp_path / "x.safetensors", tmp_path / "none", export(ticket, "prune", tmp_path / "p.safetensors")):
        with pytest.raises(InputError, match="is not from lthbench export --to safetensors"):
            load_compact(path)


def test_prune(ticket: Ticket, tmp_path: Path) -> None:
    module = prune_form(ticket)
    assert prune.is_pruned(module)
    saved = load_file(export(ticket, "prune", tmp_path / "p.safetensors"))
    assert {"hidden.0.weight_orig", "hidden.0.weight_mask", "hidden.0.bias"} <= saved.keys()
    for t in module.parameters():
        t.data.add_(1.0)  # what is pruned stays zero whatever happens to the weights
    module.load_state_dict(saved)
    assert torch.equal(module(IMAGES), ticket.module()(IMAGES))
    for name in ticket.mask.tensors:
        layer, _, parameter = name.rpartition(".")
        prune.remove(module.get_submodule(layer), parameter)
    assert torch.equal(module(IMAGES), ticket.module()(IMAGES))


def test_the_prune_form_can_be_copied_and_trained(ticket: Ticket) -> None:
    module = prune_form(ticket)
    copied = copy.deepcopy(module)
    assert torch.equal(copied(IMAGES), module(IMAGES))
    copied(IMAGES).square().sum().backward()
    for name, mask in ticket.mask.tensors.items():
        slope = copied.get_parameter(f"{name}_orig").grad
        assert slope is not None and slope[mask].any() and not slope[~mask].any()
        assert module.get_parameter(f"{name}_orig").grad is None


def test_onnx(ticket: Ticket, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    session = runtime.InferenceSession(export(ticket, "onnx", tmp_path / "t.onnx").read_bytes())
    [logits] = session.run(None, {"images": IMAGES.numpy()})
    np.testing.assert_allclose(logits, ticket.module()(IMAGES).detach().numpy(), rtol=1e-4, atol=1e-5)


def test_hub_the_card_says_how_to_load_it(ticket: Ticket, tmp_path: Path) -> None:
    folder = export(ticket, "hub", tmp_path / "hub")
    assert {p.name for p in folder.iterdir()} == {
        "README.md", "config.json", "mask.safetensors", "model.safetensors", "ticket.safetensors",
    }  # fmt: skip
    assert json.loads((folder / "config.json").read_text())["run"]["authors"] == "A. Author"
    card = (folder / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: pytorch\nlicense: mit\n")
    assert "sparsity 0.95" in card and "By: A. Author." in card
    code = (
        card.split("```python\n")[1].split("```")[0]
        + "print(module.eval()(__import__('torch').ones(1, 1, 8, 8)).sum().item())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    assert float(done.stdout) == pytest.approx(ticket.module()(torch.ones(1, 1, 8, 8)).sum().item(), rel=1e-5)


@pytest.mark.parametrize("to", sorted(FORMS))
def test_nothing_is_written_over(ticket: Ticket, tmp_path: Path, to: str) -> None:
    (tmp_path / "there").write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        export(ticket, to, tmp_path / "there")
    assert (tmp_path / "there").read_text() == "mine"


def test_a_compact_ticket_is_the_trained_one(ticket: Ticket) -> None:
    small = compact(ticket)
    torch.testing.assert_close(small(IMAGES), ticket.module()(IMAGES))
    torch.testing.assert_close(compact(ticket.at_start)(IMAGES), ticket.at_start.module()(IMAGES))
    assert not torch.allclose(small(IMAGES), ticket.at_start.module()(IMAGES))


def test_a_ticket_is_one_line(ticket: Ticket) -> None:
    assert re.fullmatch(r"<Ticket: mlp-32, [\d,]+ of 2,368 removed; mine mlp-32/digits .* seed 1>", repr(ticket))
    assert repr(ticket.at_start).startswith("<Ticket at its start: mlp-32, ")
