"""Keep what stands behind a public object away from it: no attribute of a Run or a Network leads to its machinery."""

from typing import Any
from weakref import WeakKeyDictionary

_BEHIND: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()


def attach(public: Any, machinery: Any) -> None:
    """Put machinery behind a public object, for as long as that lives."""
    _BEHIND[public] = machinery


def behind(public: Any) -> Any:
    """Return what was put behind a public object. KeyError where nothing was."""
    return _BEHIND[public]
