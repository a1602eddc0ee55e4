"""A store: a folder of finished work, by environment and key.

    <folder>/<environment>/states/    networks at the stops of trajectories
                           curves/    learning curves of trajectories up to their stops
                           values/    results of probes and evaluations
                           tensors/   masks (bit-packed) and weights that methods made, by digest
                           finals/    final networks, where --keep finals asks for them
                           traces/    the operations of each run, and its outcome

Entries are safetensors with a digest of their content in the header, written under another name, synced and renamed. A
damaged entry is set aside and counts as missing, so that it is computed again.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from lthbench import keys
from lthbench.errors import MissingEntry
from lthbench.pruning.lineage import Init, Lineage, Trained
from lthbench.pruning.state import State, edited, initial_state
from lthbench.pruning.tensors import Tensors, digest, mapped, packed, unpacked
from lthbench.runs.store.curve import Curve
from lthbench.runs.store.files import append_line, write_whole

log = logging.getLogger(__name__)

PARTS = ("params", "buffers", "mask", "rule")


class Store:
    """Entries of one environment in a folder."""

    def __init__(self, folder: Path, environment: str):
        self.folder, self.environment = folder, environment
        self.root = folder / environment

    def path(self, kind: str, key: str) -> Path:
        return self.root / kind / f"{key}.safetensors"

    def has(self, kind: str, key: str) -> bool:
        """Say whether there is an entry. Damage is found only when the entry is read."""
        return self.path(kind, key).exists()

    def drop(self, kind: str, key: str) -> None:
        """Remove an entry, if it is there."""
        self.path(kind, key).unlink(missing_ok=True)

    def write(self, kind: str, key: str, tensors: Mapping[str, Tensor], note: Any = None) -> None:
        """Write an entry, whole or not at all. An entry that is there already is replaced by the same content."""
        tensors = _separate(mapped(lambda t: t.detach().cpu().contiguous(), tensors))
        text = json.dumps(note)
        header = {"digest": keys.key(digest(tensors), text), "note": text}
        write_whole(self.path(kind, key), save(tensors, metadata=header))

    def read(self, kind: str, key: str) -> tuple[dict[str, Tensor], Any]:
        """Return the tensors and the note of an entry. MissingEntry where it is absent or damaged; damaged ones are set aside."""
        path = self.path(kind, key)
        try:
            with safe_open(path, framework="pt") as entry:
                header = entry.metadata()
                tensors = {name: entry.get_tensor(name).clone() for name in entry.keys()}  # noqa: SIM118
            if keys.key(digest(tensors), header["note"]) != header["digest"]:
                raise ValueError("its content does not match its digest")
            return tensors, json.loads(header["note"])
        except FileNotFoundError:
            raise MissingEntry(key) from None
        except (SafetensorError, OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            log.warning("store entry %s is damaged (%s); set aside and computed again", key, error)
            path.with_suffix(".damaged").unlink(missing_ok=True)
            if path.exists():
                path.rename(path.with_suffix(".damaged"))
            raise MissingEntry(key) from None

    def write_tensors(self, tensors: Tensors) -> str:
        """Write tensors that a method made, under their digest. Boolean tensors (masks) are packed to bits."""
        name = digest(tensors)
        if not self.has("tensors", name):
            shapes = {n: list(t.shape) for n, t in tensors.items() if t.dtype == torch.bool}
            self.write("tensors", name, {n: packed(t) if n in shapes else t for n, t in tensors.items()}, shapes)
        return name

    def read_tensors(self, name: str) -> dict[str, Tensor]:
        """Return tensors by their digest."""
        tensors, shapes = self.read("tensors", name)
        return {n: unpacked(t, torch.Size(shapes[n])) if n in shapes else t for n, t in tensors.items()}

    def write_state(self, key: str, state: State, ended: int) -> None:
        """Write a state. `ended` is the step at which its training ended: a rule may end it before its stop."""
        self.write("states", key, _flat(state), {"ended": ended, "raw": state.raw is not None})

    def read_state(self, key: str) -> tuple[State, int]:
        """Return a state, and the step at which its training ended."""
        tensors, note = self.read("states", key)
        raw = _nested({name[4:]: t for name, t in tensors.items() if name.startswith("raw/")}) if note["raw"] else None
        return _nested(tensors, raw), note["ended"]

    def write_curve(self, key: str, curve: Curve) -> None:
        """Write the learning curve of a training, under its key."""
        self.write("curves", key, {}, curve.note)

    def read_curve(self, key: str) -> Curve:
        """Return a learning curve. MissingEntry where its training left none."""
        return Curve.of(self.read("curves", key)[1])

    def network(self, lineage: Lineage) -> State:
        """Return the state of a network: its root with the edits applied."""
        return edited(self.root_state(lineage.root), lineage.edits, self.read_tensors)

    def root_state(self, root: Init | Trained) -> State:
        """Return the state that a lineage starts from."""
        if isinstance(root, Init):
            return initial_state(root, self.read_tensors(root.start) if root.start else {})
        return replace(self.read_state(root.key)[0], basis=root.basis)


class Trace:
    """The trace of one run in the store: a line for each operation that it asked for, and one for how it ended.

    A line is a digest and JSON. The digest covers its line and all before it. Lines after a damaged one do not count.
    """

    def __init__(self, store: Store, name: str):
        self.path = store.root / "traces" / f"{name}.jsonl"
        self.asked: list[str] = []
        self.outcome: dict[str, Any] | None = None
        self._digest = ""  # of all lines so far
        try:
            lines = self.path.read_bytes().splitlines(keepends=True)
        except FileNotFoundError:
            lines = []
        whole = list(takewhile(self._goes_on, lines))
        if len(whole) < len(lines):
            log.warning("the trace %s is damaged after %d lines; it continues from there", name, len(whole))
            write_whole(self.path, b"".join(whole))

    def ask(self, index: int, what: str) -> str | None:
        """Note the operation with this index. Returns the earlier operation of that index, if it was a different one."""
        if index < len(self.asked):
            return None if self.asked[index] == what else self.asked[index]
        self.asked.append(what)
        self._append({"asked": what})
        return None

    def end(self, outcome: dict[str, Any]) -> None:
        """Note the outcome of the run."""
        self.outcome = outcome
        self._append({"outcome": outcome})

    def _append(self, entry: dict[str, Any]) -> None:
        text = json.dumps(entry)
        self._digest = keys.key(self._digest, text)
        append_line(self.path, f"{self._digest} {text}")

    def _goes_on(self, line: bytes) -> bool:
        """Accept a line if its digest follows from the lines before it. Returns whether it does."""
        check, _, text = line.decode(errors="replace").partition(" ")
        if not text.endswith("\n") or check != keys.key(self._digest, text[:-1]):
            return False
        entry, self._digest = json.loads(text), check
        if "outcome" in entry:
            self.outcome = entry["outcome"]
        else:
            self.asked.append(entry["asked"])
        return True


def _separate(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors that share no memory. The file format does not accept tensors that share memory."""
    seen: set[int] = set()
    found = {}
    for name, tensor in tensors.items():
        memory = tensor.untyped_storage().data_ptr()
        found[name] = tensor.clone() if memory in seen else tensor
        seen.add(memory)
    return found


def _flat(state: State, prefix: str = "") -> dict[str, Tensor]:
    parts = {part: getattr(state, part) for part in PARTS} | state.slots
    flat = {f"{prefix}{part}/{name}": t for part, tensors in parts.items() for name, t in tensors.items()}
    return flat | (_flat(state.raw, "raw/") if state.raw else {})


def _nested(flat: Tensors, raw: State | None = None) -> State:
    parts: dict[str, dict[str, Tensor]] = {part: {} for part in PARTS}
    for path, t in flat.items():
        part, _, name = path.partition("/")
        if part != "raw":
            parts.setdefault(part, {})[name] = t
    params, buffers, mask, rule = (parts.pop(part) for part in PARTS)
    return State(params, buffers, mask, slots=parts, rule=rule, raw=raw)
