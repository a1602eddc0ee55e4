"""Pretrained weights of timm, `timm:NAME.TAG`: what timm says of them, and their download on request."""

from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from lthbench.errors import InputError
from lthbench.models.checkpoint import Checkpoint, read, write

PREFIX = "timm:"


def checkpoint_of(text: str, path: Path) -> Checkpoint:
    """Read the weights of `timm:NAME.TAG` in a file, with the normalisation and the image size that timm says."""
    said = described(text)
    return replace(read(path), mean=tuple(said.mean), std=tuple(said.std), input_size=tuple(said.input_size))


def described(text: str) -> Any:
    """Return timm's description of `timm:NAME.TAG`. InputError where timm has no such weights."""
    import timm

    name = text.removeprefix(PREFIX)
    known = timm.list_pretrained()
    if name not in known:
        close = ", ".join(get_close_matches(name, known, n=3)) or f"timm.list_pretrained() has {len(known)} names"
        raise InputError(f"timm has no pretrained weights {name!r}; they are NAME.TAG. Did you mean {close}?")
    return timm.get_pretrained_cfg(name)


def fetch(text: str, target: Path) -> None:
    """Download the weights of `timm:NAME.TAG`, and write them with timm's description. Nothing is fetched twice.

    InputError where they cannot be downloaded; it says what to put where.
    """
    if target.exists():
        return
    said = described(text)
    try:
        tensors = _downloaded(said)
    except Exception as error:  # of huggingface_hub and urllib, of many kinds
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{text} could not be downloaded ({why}); put {_address(said)} at {target}") from None
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}")
    write(Checkpoint(tensors, tuple(said.mean), tuple(said.std), tuple(said.input_size)), partial)
    partial.rename(target)


def _downloaded(said: Any) -> Any:
    from timm.models import load_state_dict_from_hf
    from torch.hub import load_state_dict_from_url

    if said.hf_hub_id:
        return load_state_dict_from_hf(said.hf_hub_id, weights_only=True)
    return load_state_dict_from_url(said.url, map_location="cpu", weights_only=True)


def _address(said: Any) -> str:
    """Say where the weights are published."""
    return f"https://huggingface.co/{said.hf_hub_id}/resolve/main/model.safetensors" if said.hf_hub_id else said.url
