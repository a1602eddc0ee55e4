"""The link from a public object to its machinery. No attribute of a Run or a Network leads to its machinery."""

from typing import Any
from weakref import WeakKeyDictionary

_BEHIND: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()


def attach(public: Any, machinery: Any) -> None:
    """Attach machinery to a public object, for as long as the object lives."""
    _BEHIND[public] = machinery


def behind(public: Any) -> Any:
    """Return the machinery attached to a public object. Raises KeyError if there is none."""
    return _BEHIND[public]
