"""The transfer of store entries to and from nodes that do not share a folder."""

from collections import defaultdict

from lthbench.methods.internals.operations import Operation, Train, sources
from lthbench.pruning.lineage import Trained
from lthbench.runs.ray.node import Entries
from lthbench.runs.store.files import write_whole
from lthbench.runs.store.store import Store


class Transfer:
    """The entries that each node's store holds. Nothing is sent where all nodes share the driver's `store`."""

    def __init__(self, store: Store, shared: bool):
        self.store, self.shared = store, shared
        self._there: dict[str, set[str]] = defaultdict(set)  # entries by node

    def needed(self, operation: Operation, node: str) -> dict[str, bytes]:
        """Return the entries that an operation starts from and that a node lacks."""
        lacking = [name for name in self._from(operation) if name not in self._there[node]]
        found = {name: self.store.root / name for name in lacking if not self.shared}
        sent = {name: path.read_bytes() for name, path in found.items() if path.exists()}
        self._there[node] |= sent.keys()
        return sent

    def settle(self, node: str, left: Entries) -> None:
        """Write the entries that an operation left to the driver's store."""
        for name, content in left.items():
            write_whole(self.store.root / name, content)
        self._there[node] |= left.keys()

    def near(self, operation: Operation, node: str) -> bool:
        """Say whether a state that an operation starts from lies in a node's store."""
        return any(name.startswith("states/") for name in self._from(operation) if name in self._there[node])

    def forget(self, node: str) -> None:
        """Forget the content of a node's store."""
        self._there.pop(node, None)

    def _from(self, operation: Operation) -> list[str]:
        lineages = sources(operation)
        names = [("tensors", edit.digest) for lineage in lineages for edit in lineage.edits]
        roots = [lineage.root for lineage in lineages]
        names += [("states", root.key) if isinstance(root, Trained) else ("tensors", root.start) for root in roots]
        if isinstance(operation, Train) and operation.begin > operation.trajectory.first:
            names.append(("curves", operation.trajectory.curve(operation.begin)))
        return [str(self.store.path(kind, key).relative_to(self.store.root)) for kind, key in names if key]
