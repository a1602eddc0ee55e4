"""Compare the results of two folders of runs: `python -m tests.gpu.same A B`."""

import json
import sys
from pathlib import Path


def results(folder: Path) -> set[str]:
    """Return the results of a folder as text."""
    files = sorted((folder / "records").glob("*.jsonl"))
    lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    return {json.dumps(line["result"], sort_keys=True) for line in lines}


if __name__ == "__main__":
    one, other = (results(Path(folder)) for folder in sys.argv[1:])
    failed = sum('"status": "ok"' not in text for text in one)
    print(f"{len(one)} and {len(other)} results, {len(one ^ other)} differ, {failed} not ok")
    sys.exit(bool(not one or one ^ other or failed))
