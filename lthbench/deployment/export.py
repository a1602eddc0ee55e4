"""A ticket in the forms of other libraries: torch.export, safetensors, torch.nn.utils.prune, ONNX, a folder for the Hub.

`torch`, `safetensors` and `onnx` hold the compact network, without the units that are removed whole; `prune` and `hub` the
masked one. Nothing is pickled: the form for torch.nn.utils.prune is a state dict in safetensors, which `prune_form` loads.
"""

import io
import json
import warnings
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn.utils import prune

from lthbench.errors import InputError, unknown
from lthbench.methods.compact import compact, fitted
from lthbench.models import Model
from lthbench.runs.store.files import write_whole
from lthbench.submission.bundle.ticket import Ticket

BATCH = ({0: torch.export.Dim("batch")},)  # the dimension of the images whose size is open

CARD = """---
library_name: pytorch
license: {license}
tags: [pruning, lottery-ticket, lthbench]
---

# {method} on {workload}

A network pruned by {method} in the suite {suite} of lthbench: {removed:,} of {prunable:,} prunable weights are removed
(sparsity {sparsity:g}), learning rate {learning_rate:g}, seed {seed}.{credit}

| file | what is in it |
|---|---|
| `model.safetensors` | {what}, dense layout, pruned weights zero |
| `ticket.safetensors` | start weights under the mask |
| `mask.safetensors` | the mask, 1 where a weight is kept |
| `config.json` | the architecture: model `{model}` for images of {shape}, {classes} classes |

```python
from safetensors.torch import load_file
from lthbench import Model

model = Model({model!r}, {shape}, {classes}, {patterns!r}, {dense!r}, {width!r}, {stem!r})
module = model.build("cpu")
module.load_state_dict(load_file("model.safetensors"))
```
"""


def state_dict(ticket: Ticket) -> dict[str, Tensor]:
    """Return parameters and buffers, contiguous, by name."""
    return {n: t.detach().clone().contiguous() for n, t in ticket.final.items()}


def prune_form(ticket: Ticket) -> nn.Module:
    """Return a module whose prunable parameters are as torch.nn.utils.prune leaves them: `<name>_orig`, `<name>_mask`.

    It can be copied. torch leaves the product of both as an attribute that hangs on a graph, which `copy.deepcopy` refuses;
    here it is detached, and the next forward pass computes it again.
    """
    module = ticket.module()
    for name, mask in ticket.mask.tensors.items():
        layer, _, parameter = name.rpartition(".")
        holder = module.get_submodule(layer)
        prune.custom_from_mask(holder, parameter, mask.to(torch.float32))
        setattr(holder, parameter, getattr(holder, parameter).detach())
    return module


def load_compact(path: str | Path) -> nn.Module:
    """Return the network of a file from `lthbench export --to safetensors`, in eval mode, on the CPU.

    InputError where the file is not one of these.
    """
    try:
        with safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {})["model"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is not a dictionary
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise InputError(f"{path} is not from lthbench export --to safetensors: {error}") from None
    described: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in about.items()}
    model = Model(**described)
    return fitted(model.build("cpu"), tensors).eval()


def _safetensors(ticket: Ticket, out: Path) -> None:
    """Write the compact network's parameters and buffers, with the model's name in the metadata."""
    tensors = {name: t.detach().contiguous() for name, t in compact(ticket).state_dict().items()}
    write_whole(out, save(tensors, metadata={"format": "pt", "model": json.dumps(_architecture(ticket.model))}))


def _torch(ticket: Ticket, out: Path) -> None:
    """Write the compact network as a program that torch.export.load reads without lthbench."""
    program = torch.export.export(compact(ticket), (_images(ticket.model.shape),), dynamic_shapes=BATCH)
    stream = io.BytesIO()
    torch.export.save(program, stream)
    write_whole(out, stream.getvalue())


def _prune(ticket: Ticket, out: Path) -> None:
    form = prune_form(ticket).state_dict()
    write_whole(out, save({name: t.contiguous() for name, t in form.items()}))


def _onnx(ticket: Ticket, out: Path) -> None:
    write_whole(out, onnx_bytes(compact(ticket), ticket.model.shape))


def onnx_bytes(module: nn.Module, shape: tuple[int, ...]) -> bytes:
    """Return a network as ONNX, for batches of any size of images of a shape. Opset and exporter are torch's own.

    InputError where the extra is not installed.
    """
    try:
        import onnxscript  # noqa: F401
    except ImportError:
        raise InputError("--to onnx needs onnx and onnxscript; type: pip install 'lthbench[export]'") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's own
        program = torch.onnx.export(
            module, (_images(shape),), dynamo=True, dynamic_shapes=BATCH, verbose=False,
            input_names=["images"], output_names=["logits"],
        )  # fmt: skip
    if program is None:
        raise InputError(f"torch.onnx.export gave no program for {type(module).__name__}")
    return bytes(program.model_proto.SerializeToString())


def _images(shape: tuple[int, ...]) -> Tensor:
    return torch.zeros(2, *shape)


def _architecture(model: Model) -> dict[str, Any]:
    """Return the fields of a model."""
    return {field.name: getattr(model, field.name) for field in fields(Model)}


def _hub(ticket: Ticket, out: Path) -> None:
    """Write a folder as the Hub shows it: weights, mask, configuration and a model card."""
    masks = {name: t.to(torch.uint8) for name, t in ticket.mask.tensors.items()}
    model, about = ticket.model, ticket.about
    described = _architecture(model)
    config = {"model": described.pop("name"), **described, "run": dict(about)}
    credit = "".join(
        f" {label}: {about[name]}." for name, label in (("authors", "By"), ("paper", "Paper")) if about.get(name)
    )
    card = CARD.format(
        **{"suite": "", "license": "mit"} | dict(about) | {"license": str(about.get("license", "mit")).lower()},
        removed=ticket.mask.removed, prunable=ticket.mask.prunable, credit=credit, model=model.name, shape=model.shape,
        classes=model.classes, patterns=model.prunable, dense=model.dense, width=model.width, stem=model.stem,
        what="final weights" if ticket.trained else "start weights",
    )  # fmt: skip
    write_whole(out / "model.safetensors", save(state_dict(ticket), metadata={"format": "pt"}))
    write_whole(out / "ticket.safetensors", save(state_dict(ticket.at_start), metadata={"format": "pt"}))
    write_whole(out / "mask.safetensors", save(masks))
    write_whole(out / "config.json", (json.dumps(config, indent=1) + "\n").encode())
    write_whole(out / "README.md", card.encode())


FORMS: dict[str, Callable[[Ticket, Path], None]] = {
    "torch": _torch,
    "safetensors": _safetensors,
    "onnx": _onnx,
    "prune": _prune,
    "hub": _hub,
}


def export(ticket: Ticket, to: str, out: Path) -> Path:
    """Write a ticket in a form of FORMS, with its final values. InputError where `out` exists."""
    if to not in FORMS:
        raise InputError(unknown("form", to, FORMS))
    if out.exists():
        raise InputError(f"{out} exists already; choose another --out, or remove it")
    FORMS[to](ticket, out)
    return out
