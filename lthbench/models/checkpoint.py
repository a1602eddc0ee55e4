"""Checkpoints: pretrained weights in a file, with the normalisation and the size of the images that they were trained on.

.safetensors           metadata `mean`, `std` (by channel, in 0…1) and `input_size` (channels, height, width), as JSON
.pth, .pt, .bin        a state dict of torch, read with weights_only
config.json beside it  as timm writes it: what its `pretrained_cfg` says, where the file itself says nothing
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from lthbench.errors import InputError

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")
INSIDE = ("state_dict", "model")  # where a training's own checkpoint keeps the state dict
IMAGES = ("mean", "std", "input_size")


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Tensors by name. `mean` and `std` are by channel, in 0…1, `input_size` is (channels, height, width); () where unsaid."""

    tensors: Mapping[str, Tensor]
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    input_size: tuple[int, ...] = ()


def read(path: Path) -> Checkpoint:
    """Read a checkpoint. InputError for a file that holds none."""
    if path.suffix not in SUFFIXES:
        raise InputError(f"{path} is not a checkpoint; its name ends in {', '.join(SUFFIXES)}")
    try:
        written = path.stat()
        return _read(path, written.st_mtime_ns, written.st_size)
    except OSError as error:
        raise InputError(f"cannot read the checkpoint {path}: {error.strerror or error}") from None


def write(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint as safetensors, with its normalisation and image size in the metadata."""
    said = {name: json.dumps(getattr(checkpoint, name)) for name in IMAGES if getattr(checkpoint, name)}
    path.write_bytes(save({name: t.contiguous().clone() for name, t in checkpoint.tensors.items()}, said))


@lru_cache(maxsize=4)
def _read(path: Path, *written: int) -> Checkpoint:
    tensors, images = _safetensors(path) if path.suffix == ".safetensors" else (_pickled(path), {})
    if not tensors:
        raise InputError(f"{path} holds no tensors by name; save a model's state_dict()")
    said = {**_beside(path), **images}
    try:
        mean, std, size = (tuple(said.get(name) or ()) for name in IMAGES)
        found = Checkpoint(tensors, tuple(map(float, mean)), tuple(map(float, std)), tuple(map(int, size)))
    except (TypeError, ValueError):
        raise InputError(f"{path}: mean, std and input_size are not lists of numbers: {said}") from None
    if len(found.mean) != len(found.std) or any(s <= 0 for s in found.std):
        raise InputError(
            f"{path}: mean {list(found.mean)} and std {list(found.std)} are not those of the same channels"
        )
    return found


def _safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors of a file, and what its metadata say of the images."""
    try:
        with safe_open(path, "pt") as file:
            said = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return tensors, {name: json.loads(said[name]) for name in IMAGES if name in said}
    except (SafetensorError, ValueError) as error:
        raise InputError(f"{path} is not a safetensors file with JSON in its metadata: {error}") from None


def _pickled(path: Path) -> dict[str, Tensor]:
    """Return the state dict in a file of torch. Nothing but tensors and plain containers is unpickled."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # pickle's and torch's own, of many kinds; their texts advise to trust the file
        raise InputError(
            f"{path} holds more than tensors, or is not a file of torch ({type(error).__name__} with weights_only); "
            "save a model's state_dict()"
        ) from None
    inner = next((content[name] for name in INSIDE if isinstance(content, Mapping) and name in content), content)
    named = inner.items() if isinstance(inner, Mapping) else ()
    return {str(name).removeprefix("module."): t.detach() for name, t in named if isinstance(t, Tensor)}


def _beside(path: Path) -> dict[str, Any]:
    """Return what a config.json beside a file says of the images, as timm writes it."""
    try:
        said = json.loads((path.parent / "config.json").read_text())["pretrained_cfg"]
        return {name: said[name] for name in IMAGES if name in said}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
