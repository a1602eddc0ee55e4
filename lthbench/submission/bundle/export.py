"""A ticket in the forms of other libraries: safetensors, torch.nn.utils.prune, ONNX, a folder for the Hugging Face Hub.

Nothing is pickled: the form for torch.nn.utils.prune is a state dict in safetensors, which `prune_form` loads.
"""

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn.utils import prune

from lthbench.errors import InputError, unknown
from lthbench.runs.store.files import write_whole
from lthbench.submission.bundle.ticket import Ticket

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
    """Parameters and buffers, contiguous, by name."""
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


def _torch(ticket: Ticket, out: Path) -> None:
    write_whole(out, save(state_dict(ticket)))


def _prune(ticket: Ticket, out: Path) -> None:
    form = prune_form(ticket).state_dict()
    write_whole(out, save({name: t.contiguous() for name, t in form.items()}))


def _onnx(ticket: Ticket, out: Path) -> None:
    """Opset and exporter are torch's own; batches of any size. InputError where the extra is not installed."""
    try:
        import onnxscript  # noqa: F401
    except ImportError:
        raise InputError("--to onnx needs onnx and onnxscript; type: pip install 'lthbench[export]'") from None
    images = torch.zeros(2, *ticket.model.shape)
    batch = {"images": {0: torch.export.Dim("batch")}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's own
        program = torch.onnx.export(
            ticket.module(), (images,), dynamo=True, dynamic_shapes=tuple(batch.values()), verbose=False,
            input_names=["images"], output_names=["logits"],
        )  # fmt: skip
    if program is None:
        raise InputError(f"torch.onnx.export gave no program for {ticket.model.name}")
    write_whole(out, program.model_proto.SerializeToString())


def _hub(ticket: Ticket, out: Path) -> None:
    """A folder as the Hub shows it: weights, mask, configuration and a model card."""
    masks = {name: t.to(torch.uint8) for name, t in ticket.mask.tensors.items()}
    model, about = ticket.model, ticket.about
    config = {"model": model.name, "shape": model.shape, "classes": model.classes, "prunable": model.prunable,
              "dense": model.dense, "width": model.width, "stem": model.stem, "run": dict(about)}  # fmt: skip
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


FORMS: dict[str, Callable[[Ticket, Path], None]] = {"torch": _torch, "prune": _prune, "onnx": _onnx, "hub": _hub}


def export(ticket: Ticket, to: str, out: Path) -> Path:
    """Write a ticket in a form of FORMS, with its final values. InputError where `out` exists."""
    if to not in FORMS:
        raise InputError(unknown("form", to, FORMS))
    if out.exists():
        raise InputError(f"{out} exists already; choose another --out, or remove it")
    FORMS[to](ticket, out)
    return out
