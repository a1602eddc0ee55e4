"""What the steps of `tests/gpu.sh` have measured so far, as tables: `python -m tests.gpu.table FOLDER`."""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tabulate import tabulate

OTHERS = {"speed-reference": ", kernels of torch alone", "speed-compiled": ", by torch.compile"}
HEADERS = ("model", "what", "seconds a network-epoch", "times plain loop", "of the floor")


def text(folder: Path) -> str:
    """Return the tables of a folder: speeds, what the bare device gives, and the records of suites."""
    speeds, bare, runs = list(_speeds(folder)), list(_bare(folder)), list(_runs(folder))
    tables = [
        tabulate(speeds, HEADERS, tablefmt="github", floatfmt=".3g") if speeds else "",
        tabulate(bare, ("model", "bare step, captured", "ms a step of one network"), tablefmt="github", floatfmt=".3g")
        if bare else "",
        tabulate(runs, ("folder", "runs"), tablefmt="github") if runs else "",
    ]  # fmt: skip
    return "\n" + "\n\n".join(filter(None, tables)) + "\n"


def _speeds(folder: Path) -> Iterator[tuple[Any, ...]]:
    openlth = _read(folder / "openlth.json")
    for path in sorted(folder.glob("speed-*/.bench/*/*.json")):
        found = json.loads(path.read_text())
        model = found["workload"].partition("/")[0]
        shown = model + OTHERS.get(path.relative_to(folder).parts[0], "")
        epoch = {
            "floor": found["floor"],
            "plain PyTorch loop": found["plain"],
            "lthbench, one at a time": found["ours"],
        }
        steps = found["epoch"] / openlth["batch"] if openlth else 0
        others = {"OpenLTH's step, with its loader": "openlth", "OpenLTH's step, tensors ready": "ready"}
        epoch |= {what: steps * openlth[model][key] for what, key in others.items() if model in openlth}
        epoch |= {f"lthbench, {speed['lanes']} at once": 1 / speed["epochs_per_second"] for speed in found["speeds"]}
        for what, seconds in epoch.items():
            yield shown, what, seconds, found["plain"] / seconds, f"{found['floor'] / seconds:.1%}"


def _bare(folder: Path) -> Iterator[tuple[Any, ...]]:
    for path in sorted(folder.glob("probe-*.json")):
        for lanes, seconds in _read(path).get("step", {}).items():
            how = path.stem.removeprefix("probe-").replace("-", " ")
            yield _read(path)["model"], f"{lanes} networks, {how}", 1000 * seconds


def _runs(folder: Path) -> Iterator[tuple[str, str]]:
    for records in sorted(folder.glob("*/records")):
        lines = [line for file in records.glob("*.jsonl") for line in file.read_text().splitlines()]
        count = Counter(json.loads(line)["result"]["status"] for line in lines)
        yield records.parent.name, ", ".join(f"{n} {status}" for status, n in sorted(count.items()))


def _read(path: Path) -> dict[str, Any]:
    """Return a step's JSON, {} where it was cut before it wrote any."""
    lines = path.read_text().strip().splitlines() if path.exists() else []
    return json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}


if __name__ == "__main__":
    print(text(Path(sys.argv[1])))
