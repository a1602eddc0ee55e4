"""Fit a checkpoint to a model: the same architecture, perhaps for other images or another number of classes."""

import sys
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from lthbench.errors import InputError
from lthbench.models.checkpoint import Checkpoint
from lthbench.models.model import Model
from lthbench.models.prunable import classifier_layers
from lthbench.models.renamed import INSIDE, PREFIX


def fitted(checkpoint: Checkpoint, model: Model) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint under the names and in the shapes of a model.

    The classifier is left out where it is for another number of classes: it is drawn by seed. A model of timm takes what
    timm fits: other channels of the first convolution, position embeddings of another size. InputError where any other
    tensor is missing, left over, or of another shape.
    """
    if model.name.startswith(PREFIX):
        inner = replace(model, name=model.name.removeprefix(PREFIX))
        return {f"{INSIDE}.{name}": t for name, t in fitted(checkpoint, inner).items()}
    module = model.build("cpu")
    wanted = _saved(module)
    head = {name for layer in classifier_layers(module) for name in wanted if name.startswith(f"{layer}.")}
    given = _fitted_by_timm(checkpoint, model, module, head) if model.name.startswith("timm:") else checkpoint.tensors
    given = {name: t for name, t in given.items() if name not in head or t.shape == wanted[name].shape}
    _check(given, wanted, head, checkpoint, model)
    return {name: given[name].to(t.dtype).contiguous() for name, t in wanted.items() if name in given}


def _saved(module: nn.Module) -> dict[str, Tensor]:
    """Return the parameters and buffers of a module that a checkpoint holds, each under one name."""
    saved = module.state_dict().keys()
    return {n: t.detach() for n, t in (*module.named_parameters(), *module.named_buffers()) if n in saved}


def _check(given: Any, wanted: Any, head: set[str], checkpoint: Checkpoint, model: Model) -> None:
    """Raise InputError unless the tensors are those of the model, its classifier aside."""
    if missing := [name for name in wanted if name not in given and name not in head]:
        raise InputError(
            f"it has no {missing[0]}, which {model.name} has ({len(missing)} of {len(wanted)} are missing)"
        )
    if extra := [name for name in given if name not in wanted]:
        raise InputError(f"it has {extra[0]}, which {model.name} does not have; name the model that it was saved from")
    for name, tensor in given.items():
        if tensor.shape != wanted[name].shape:
            size = "x".join(map(str, checkpoint.input_size))
            said = f"; it was trained on images of {size}, pack the data with lthbench data add --size" if size else ""
            raise InputError(
                f"its {name} is {list(tensor.shape)}, that of {model.name} is {list(wanted[name].shape)}{said}"
            )
        if not tensor.isfinite().all():
            raise InputError(f"its {name} holds NaN or infinity")


def _fitted_by_timm(checkpoint: Checkpoint, model: Model, module: nn.Module, head: set[str]) -> dict[str, Tensor]:
    """Return the state dict as timm fits it to a module of its own. A tensor that it does not fill stays out."""
    from timm.models import load_pretrained

    said = _described(checkpoint, model, module, head)
    with torch.no_grad():
        for tensor in _saved(module).values():
            if tensor.is_floating_point():
                tensor.fill_(torch.nan)
    adapt = getattr(sys.modules[type(module).__module__], "checkpoint_filter_fn", None)
    try:
        load_pretrained(module, said, model.classes, model.shape[0], adapt, strict=True)
    except (RuntimeError, KeyError, ValueError, AssertionError) as error:
        raise InputError(f"timm cannot load it: {' '.join(str(error).split())[:300]}") from None
    return {name: t for name, t in _saved(module).items() if not (t.is_floating_point() and t.isnan().all())}


def _described(checkpoint: Checkpoint, model: Model, module: nn.Module, head: set[str]) -> dict[str, Any]:
    """Return timm's description of pretrained weights for a checkpoint: its tensors, classes, channels of its images."""
    said = dict(getattr(module, "pretrained_cfg", {})) | {"source": "", "label_offset": 0, "custom_load": False}
    rows = [t.shape[0] for name, t in checkpoint.tensors.items() if name in head]
    size = checkpoint.input_size or said["input_size"]
    first = f"{said.get('first_conv')}.weight"
    if first in checkpoint.tensors and checkpoint.tensors[first].shape == _saved(module)[first].shape:
        size = (model.shape[0], *size[1:])
    return said | {"state_dict": dict(checkpoint.tensors), "num_classes": rows[0] if rows else 0, "input_size": size}
