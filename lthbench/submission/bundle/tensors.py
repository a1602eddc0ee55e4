"""Safetensors from strangers: the header is looked at before a tensor is made, and nothing is ever unpickled."""

import json
import struct
from collections.abc import Mapping
from math import prod
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load

from lthbench.submission.bundle.manifest import BundleError
from lthbench.submission.bundle.plain import shown

HEADER = 4_000_000  # bytes
TENSORS = 20_000
DTYPES = {"F32": (torch.float32, 4), "U8": (torch.uint8, 1), "I64": (torch.int64, 8)}

Shapes = Mapping[str, tuple[torch.dtype, tuple[int, ...]]]
"""Type and shape by tensor name."""


def header(content: bytes, what: str) -> Shapes:
    """Return what a safetensors file says it holds. BundleError unless that is what it can hold, byte for byte."""
    if len(content) < 8:
        raise BundleError(f"{what} is not a safetensors file: it has {len(content)} bytes")
    (length,) = struct.unpack("<Q", content[:8])
    if length > min(HEADER, len(content) - 8):
        raise BundleError(f"{what}: a header of {length:,} bytes does not fit; at most {HEADER:,}, and into the file")
    entries = _parsed(content[8 : 8 + length], what)
    entries.pop("__metadata__", None)
    if len(entries) > TENSORS:
        raise BundleError(f"{what} holds more than {TENSORS:,} tensors")
    described = {name: _entry(f"{what}: {name[:80]!r}", entry) for name, entry in entries.items()}
    end = 0
    for name, (_, _, first, last) in sorted(described.items(), key=lambda item: item[1][2:]):
        if first != end:
            raise BundleError(f"{what}: {name[:80]!r} begins at byte {first}, not where the one before it ends ({end})")
        end = last
    if end != len(content) - 8 - length:
        raise BundleError(f"{what}: the tensors end at byte {end}, the file at {len(content) - 8 - length}")
    return {name: (kind, shape) for name, (kind, shape, _, _) in described.items()}


def loaded(content: bytes, what: str) -> dict[str, torch.Tensor]:
    """Load the tensors of a file. BundleError where its header or its bytes are not those of a safetensors file."""
    header(content, what)
    try:
        return load(content)
    except (SafetensorError, ValueError, KeyError, RuntimeError) as error:
        raise BundleError(f"{what} is not a safetensors file: {shown(str(error))}") from None


def _parsed(text: bytes, what: str) -> dict[str, Any]:
    try:
        entries = json.loads(text.decode(), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{what}: its header cannot be read: {shown(str(error))}") from None
    if not isinstance(entries, dict):
        raise BundleError(f"{what}: its header is not a table")
    return entries


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice")
    return found


def _entry(what: str, entry: Any) -> tuple[torch.dtype, tuple[int, ...], int, int]:
    """Return type, shape, first and last byte of one tensor."""
    try:
        dtype, shape, (first, last) = entry["dtype"], entry["shape"], entry["data_offsets"]
        (kind, width), numbers = DTYPES[dtype], [*shape, first, last]
    except (KeyError, TypeError, ValueError):
        raise BundleError(f"{what} is not one of {', '.join(DTYPES)} with shape and offsets") from None
    if len(entry) != 3 or len(shape) > 8 or not all(type(n) is int and 0 <= n < 2**48 for n in numbers):
        raise BundleError(f"{what} has numbers that are not a shape or offsets")
    if last - first != width * prod(shape):
        raise BundleError(f"{what}: {last - first} bytes are not {dtype} of shape {shape}")
    return kind, tuple(shape), first, last
