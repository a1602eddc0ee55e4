"""Run folders of artificial records, of any size, to measure the cost of a board.

python -m tests.board.synthetic FOLDER [METHODS] [SEEDS] [WORKLOADS] [IMAGES]
    by default 100,000 runs: 25 methods, 20 seeds, 4 workloads; every record has the correct ones of 500 test images
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lthbench import bits
from lthbench.runs.records.record import Count, Provenance, Record, Result
from lthbench.suite import Suite

OWN = ["dense", "lottery-ticket", "prune-finetune", "random-reinit", "small-dense"]
RATES, SPARSITIES = [0.01, 0.03, 0.1, 0.3, 1.0], [0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98]


def suite(methods: int, seeds: int, workloads: int = 4) -> Suite:
    """Return a large suite whose first methods are those of the duels and verdicts."""
    return Suite.model_validate(
        {
            "name": "large",
            "version": "0.1",
            "about": "Made up.",
            "methods": [*OWN, *(f"made-up-{i}" for i in range(methods - len(OWN)))],
            "learning_rates": RATES,
            "sparsities": SPARSITIES,
            "seeds": seeds,
            "budget": "2T",
            "validation": 100,
            "recipe": {"epochs": 60, "batch": 64, "lr": 1.0, "schedule": "step"},
            "workload": [{"model": f"mlp-{100 + i}", "dataset": "digits"} for i in range(workloads)],
        }
    )


def write(folder: Path, methods: int = 25, seeds: int = 20, workloads: int = 4, images: int = 500) -> int:
    """Write a run folder. Returns the number of records."""
    made = suite(methods, seeds, workloads)
    (folder / "records").mkdir(parents=True)
    (folder / "suite.json").write_text(made.model_dump_json())
    count = 0
    for place, method in enumerate(made.methods):
        with (folder / "records" / f"{method}.jsonl").open("w") as file:
            for line in lines(made, method, place, images):
                file.write(line + "\n")
                count += 1
    return count


def lines(made: Suite, method: str, place: int, images: int) -> Iterator[str]:
    """Yield the records of one method, made from one record with other numbers in it. Some images are harder than
    others."""
    hard = np.sort(np.random.default_rng(0).random(images))
    rng = np.random.default_rng(place)
    content = json.loads(_record(made, method).line())
    result = content["result"]
    for cell in made.cells(method == "dense"):
        mean = 97 - 0.05 * place - 3 * cell.sparsity**8 - abs(np.log10(cell.learning_rate) + 1)
        right = hard + rng.normal(0, 0.02, images) < rng.normal(mean, 0.25) / 100
        removed = round(50000 * cell.sparsity)
        result |= {"workload": cell.workload.name, "learning_rate": cell.learning_rate, "sparsity": cell.sparsity}
        result |= {"seed": cell.seed, "removed": removed, "test": {"right": int(right.sum()), "of": images}}
        result["correct"] = bits.text(right)
        result["layers"] = {f"layer.{i}.weight": [removed // 20, 2500] for i in range(20)}
        yield json.dumps(content, ensure_ascii=False)


def _record(made: Suite, method: str) -> Record:
    result = Result(
        suite=made.name,
        suite_version=made.version,
        suite_hash=made.hash,
        workload="",
        dataset="digits",
        fingerprints={"train": "t" * 32, "test": "u" * 32},
        classes=10,
        tolerance=0.5,
        learning_rate=0.1,
        sparsity=0.0,
        seed=0,
        method=method,
        version="0.1.0",
        parameters={},
        source="s" * 32,
        track="dense" if method == "dense" else "one-shot",
        control_of=None,
        status="ok",
        test=Count(right=1, of=10000),
        validation=Count(right=90, of=100),
        train=Count(right=1167, of=1167),
        removed=0,
        prunable=50000,
        parameters_total=50410,
        multiplications=(25000, 50000),
        ticket="k" * 32,
        weights="w" * 32,
        charged={"train": 140040, "score": 0, "validate": 0},
        budget=140040,
        epoch=1167,
        pipeline="init → train 60 → mask 90 % → init masked → train 60",
    )
    build = {"device": "cpu", "kind": "made up", "torch": "2"}
    how = Provenance(
        epochs_computed=60.0, epochs_reused=60.0, seconds=1.0, started="2026-11-22", host="here", build=build
    )
    return Record(result=result, provenance=how)


if __name__ == "__main__":
    print(write(Path(sys.argv[1]), *map(int, sys.argv[2:])), "records")
