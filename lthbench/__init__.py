"""lthbench: a benchmark for neural-network pruning under equal epoch budgets.

The public names are imported from here: `from lthbench import Run`. The file __init__.pyi lists them, each with its module.
A module is loaded when one of its names is first used (PEP 562): the command line starts without torch, a method without
what only the readers of results need.
"""

from importlib import import_module
from typing import Any

from lthbench._public import MODULES

__all__ = sorted(MODULES)


def __getattr__(name: str) -> Any:
    """Load a public name. A renamed name still works, and warns once with the new name."""
    if name not in MODULES:
        renamed = import_module("lthbench._renamed")
        name = renamed.attribute("lthbench", name, renamed.PACKAGE)
    return getattr(import_module(MODULES[name]), name)


def __dir__() -> list[str]:
    return __all__
