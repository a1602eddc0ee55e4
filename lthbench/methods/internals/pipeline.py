"""The pipeline of a run in words: `init → train 60 → mask 90 % → init masked → train 60`."""

from lthbench.methods.network import Network, origin_of
from lthbench.pruning.lineage import Edit, Init, Trained
from lthbench.training.clock import Clock
from lthbench.training.probes import Probe
from lthbench.training.rules import Rule

_WORDS = {"masked": "masked", "with_mask": "with mask", "with_weights": "with weights"}


def _said(edit: Edit) -> str:
    if edit.kind == "in_basis":
        return f"in {type(edit.basis).__name__}" if edit.basis else "as weights"
    return _WORDS[edit.kind]


class Pipeline:
    """The steps of a run, in order. Each network is named after the steps that made it."""

    def __init__(self) -> None:
        self._events: list[str] = []
        self._names: dict[str, str] = {}  # of roots, by key
        self._last: str | None = None  # the root that the last event left

    def init(self, net: Network, stream: int) -> None:
        root = origin_of(net).lineage.root
        if root.key not in self._names:
            other = "" if net.model.width == 1 else f" width {net.model.width:.3g}"
            drawn = f"init {stream}{other}" if stream else f"init{other}"
            self._names[root.key] = "start" if isinstance(root, Init) and root.start else drawn

    def train(self, net: Network, out: Network, steps: int, clock: Clock, rule: Rule | None) -> None:
        if origin_of(out).lineage.root.key in self._names:  # requested again, done once
            return
        self._source(net)
        under = f" under {type(rule).__name__}" if rule else ""
        self._events.append(f"train {steps / clock.steps_per_epoch:g}{under}")
        self._last = origin_of(out).lineage.root.key
        self._names[self._last] = f"epoch {out.epoch:g}"

    def measure(self, probe: Probe) -> None:
        self._events.append(type(probe).__name__)

    def select(self, sparsity: float, whole: bool = False) -> None:
        self._events.append(f"mask {100 * sparsity:.4g} %{' in units' if whole else ''}")

    def end(self, net: Network) -> None:
        if origin_of(net).lineage.edits or origin_of(net).lineage.root.key != self._last:
            self._source(net)

    def __str__(self) -> str:
        return " → ".join(self._events)

    def _source(self, net: Network) -> None:
        """Add the network that the next event starts from, unless it continues the last event."""
        root = origin_of(net).lineage.root
        words = [] if root.key == self._last else [self._names[root.key]]
        words += [_said(edit) for edit in origin_of(net).lineage.edits]
        moved = origin_of(net).trajectory is None and isinstance(root, Trained)
        words += [f"at {net.epoch:g}"] if moved else []
        if words:
            self._events.append(" ".join(words))
        if isinstance(root, Init):
            self._last = root.key
