"""Call a class or a function of somebody else that makes a module."""

import inspect
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from lthbench.errors import InputError


def called(make: Any, shape: tuple[int, int, int], classes: int, width: float) -> nn.Module:
    """Return the module that `make` gives, called with those of `shape`, `channels`, `classes` and `width` that it takes.

    InputError where it needs something else, where it cannot be made, and where it gives no nn.Module. A RuntimeError is
    passed on: a module that looks at values cannot be built on the meta device.
    """
    given = {"shape": shape, "channels": shape[0], "classes": classes, "width": width}
    try:
        module = make(**_taken(make, given))
    except (InputError, RuntimeError):
        raise
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        raise InputError(f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})") from error
    if not isinstance(module, nn.Module):
        raise InputError(f"it gives {type(module).__name__} and not an nn.Module")
    _check_tensors(module)
    return module


def _taken(make: Callable[..., Any], given: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments that a function takes. InputError where it needs others, or has one width only."""
    takes = inspect.signature(make).parameters if callable(make) else {}
    needs = [
        p.name
        for p in takes.values()
        if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    ]
    if others := [name for name in needs if name not in given]:
        raise InputError(f"it needs {others[0]}; a model is called with {', '.join(given)}, as far as it takes them")
    if given["width"] != 1 and "width" not in takes:
        raise InputError("it comes in one width, because it does not take width")
    return {name: value for name, value in given.items() if name in takes}


def _check_tensors(module: nn.Module) -> None:
    """Raise InputError for a tensor that is an ordinary attribute: no copy of a network would hold it."""
    for name, part in module.named_modules():
        for attribute, value in vars(part).items():
            if isinstance(value, Tensor):
                where = ".".join(filter(None, (name, attribute)))
                raise InputError(f"{where} is a tensor and neither a parameter nor a buffer; write register_buffer")
