"""Canonical hashing: equal values have one key, in every process and on every machine.

Values are encoded with a type tag and a length before they are hashed, so that 1, 1.0, "1" and True differ, and no two
lists have the same encoding. Only plain values are accepted. Anything else raises TypeError, because a repr or a pickle
does not identify a value. This file imports nothing of lthbench. A change of the encoding changes VERSION, and with it
every key.
"""

import hashlib
import struct
from collections.abc import Callable, Mapping
from typing import Any

VERSION = 1

Write = Callable[[bytes], None]  # of a digest


def key(*parts: Any) -> str:
    """Return the key of plain values: 32 hexadecimal digits (128 bits of BLAKE2b).

    Takes None, bool, int, float, str, bytes, lists, tuples and mappings with string keys. Raises TypeError for others.
    """
    return _hash(parts).hexdigest()


def seed(*parts: Any) -> int:
    """Return a seed for a new generator, in [0, 2^63). It depends only on the given plain values."""
    return int.from_bytes(_hash(("seed", *parts)).digest()[:8], "big") >> 1


def _hash(parts: tuple[Any, ...]) -> "hashlib.blake2b":
    digest = hashlib.blake2b(digest_size=16)
    _encode((VERSION, *parts), digest.update)
    return digest


def _encode(value: Any, write: Write) -> None:
    match value:
        case None:
            write(b"n")
        case bool():
            write(b"b1" if value else b"b0")
        case int():
            _tagged(b"i", str(int(value)).encode(), write)
        case float():
            write(b"f" + struct.pack(">d", value))
        case str():
            _tagged(b"s", value.encode(), write)
        case bytes():
            _tagged(b"y", value, write)
        case list() | tuple():
            write(b"l" + struct.pack(">q", len(value)))
            for item in value:
                _encode(item, write)
        case Mapping():
            write(b"m" + struct.pack(">q", len(value)))
            for name in sorted(value):
                if not isinstance(name, str):
                    raise TypeError(f"a mapping in a key needs string keys, not {name!r}")
                _encode(name, write)
                _encode(value[name], write)
        case _:
            raise TypeError(f"{type(value).__name__} has no canonical form; make it a plain value first: {value!r}")


def _tagged(tag: bytes, payload: bytes, write: Write) -> None:
    write(tag + struct.pack(">q", len(payload)))
    write(payload)
