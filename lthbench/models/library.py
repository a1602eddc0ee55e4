"""Classification models of timm (`timm:NAME`) and torchvision (`torchvision:NAME`), untrained.

Nothing is downloaded: names are looked up in the libraries' own lists, and no trained weights are requested. A library is
imported when a model of it is built, for that takes seconds.
"""

from collections.abc import Sequence
from difflib import get_close_matches
from functools import cache
from importlib.metadata import version
from typing import Any

from torch import nn

from lthbench.errors import InputError
from lthbench.models.stem import fit_channels


def timm(name: str, shape: tuple[int, int, int], classes: int, width: float) -> nn.Module:
    """Return `timm:NAME`, as timm.create_model builds it. Models for one image size are built for the size of the images."""
    import timm

    short = _known(name, timm.list_models(), width)
    default = timm.get_pretrained_cfg(short)
    sized: dict[str, Any] = {"img_size": shape[1:]} if default and default.fixed_input_size else {}
    return timm.create_model(short, pretrained=False, num_classes=classes, in_chans=shape[0], **sized)


def torchvision(name: str, shape: tuple[int, int, int], classes: int, width: float) -> nn.Module:
    """Return `torchvision:NAME`, as torchvision.models.get_model builds it, without auxiliary classifiers."""
    from torchvision import models

    short = _known(name, models.list_models(module=models), width)
    module = models.get_model(short, weights=None, num_classes=classes, **_arguments(short, shape))
    return fit_channels(module, shape[0])


@cache
def release(name: str) -> str:
    """Return the version of the library in a model's name, "" where there is no library in it."""
    library = name.partition(":")[0]
    return f"{library} {version(library)}" if name.startswith(("timm:", "torchvision:")) else ""


def _arguments(name: str, shape: tuple[int, int, int]) -> dict[str, Any]:
    """Return the arguments that some of torchvision's models need. The image size has no common name there."""
    if name in ("googlenet", "inception_v3"):
        return {"aux_logits": False, "init_weights": True}
    if name.startswith("vit_"):
        return {"image_size": shape[1]}
    return {"input_size": shape[1:]} if name.startswith("maxvit") else {}


def _known(name: str, known: Sequence[str], width: float) -> str:
    library, _, short = name.partition(":")
    if short not in known:
        close = get_close_matches(short, known, n=3)
        hint = f"Did you mean {', '.join(close)}?" if close else f"Its list_models() returns the {len(known)} names."
        raise InputError(f"{library} has no model {short!r}. {hint}")
    if width != 1:
        raise InputError(f"{name} comes in one width; only lthbench's own families have others, and narrower models")
    return short
