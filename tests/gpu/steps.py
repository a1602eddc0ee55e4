"""The steps of `tests/gpu.sh`: each in a process of its own with a limit, noted when done, so that a second call goes on."""

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lthbench.data import default_folder
from lthbench.data.names import place
from lthbench.training.kernels.program import VARIABLE
from tests.gpu import table

PYTHON = shlex.quote(sys.executable)
LTHBENCH = f"{PYTHON} -m lthbench.cli"
SUITES = "tests/gpu/suites"
PACKED = "cifar10-jpeg"  # the data of the last suites
TESTS = (
    "tests/training/gpu", "tests/training/test_trainer.py", "tests/training/test_augment.py",
    "tests/training/test_shards.py", "tests/runs/workers/test_process_state.py", "tests/deployment", "tests/gpu/on_paper",
)  # fmt: skip
KERNELS = "kernels"  # where they fail, all other steps run torch's own operations
CUT = 124
PATIENCE = 4.0  # times the limits, where the script itself is tried: on a machine that may be slow or busy
SPARE = 5.0  # seconds that are left for the table


@dataclass(frozen=True)
class Step:
    """A command with a limit in seconds. One that was cut or failed is run again by the next call; suites go on.

    `program` is that of the trainings, where it is not the one that all steps have.
    """

    name: str
    limit: float
    command: str
    program: str = ""


def steps(device: str, short: bool, packed: bool = True) -> list[Step]:
    """Return the steps in order: correctness first, then the speed that is asked for most. A first call comes that far.

    `short`: the same steps on less of everything, to try the script itself. `packed`: PACKED is there for suites.
    """
    first, *speeds = _measurements(device, short)
    return [*_checks(device, short), first, *_trials(device, short), *speeds, *_suites(device, short, packed)]


def _checks(device: str, short: bool) -> list[Step]:
    pytest = f"{PYTHON} -m pytest -q -p no:cacheprovider"
    marked = "-m cuda" if device.startswith("cuda") else "-m 'not slow'"
    tests = TESTS[:1] if short else TESTS
    return [
        Step("machine", 30, f"nvidia-smi -L; {PYTHON} -m tests.gpu.machine {device}"),
        Step(KERNELS, 120, f"{pytest} {marked} --timeout 60 tests/training/gpu/test_kernels.py"),
        Step("tests", 90, f"{pytest} {marked} --timeout 60 {' '.join(tests)}"),
        Step("bits", 120, f"{PYTHON} -m tests.gpu.bits {device} {'--short' if short else ''}"),
    ]


def _trials(device: str, short: bool) -> list[Step]:
    """Whole runs: of every method, and of one suite in two ways that must give the same."""
    run, smoke = f"{LTHBENCH} run", f"{SUITES}/two.toml" if short else "smoke"
    every = f"{SUITES}/all.toml" + " --only --method dense --method rigl[every=5]" * short
    return [
        Step("every-method", 120, f"{run} {every} --device {device} --out $OUT/every-method"),
        Step("every-method-mlp", 30, f"{run} {SUITES}/perceptron.toml --device {device} --out $OUT/every-method-mlp"),
        Step("smoke-serial", 45, f"{run} {smoke} --device {device} --serial --out $OUT/smoke-serial"),
        Step("smoke-lanes", 45, f"{run} {smoke} --device {device} --lanes 8 --out $OUT/smoke-lanes"),
        Step("smoke-same", 10, f"{PYTHON} -m tests.gpu.same $OUT/smoke-serial $OUT/smoke-lanes"),
    ]


def _measurements(device: str, short: bool) -> list[Step]:
    """Each writes its JSON to the folder, from which the table is made."""
    models = ("mlp-8",) if short else ("resnet20", "vgg16")
    counts = (1, 2) if short else (1, 4, 8, 16)
    seconds = 0.1 if short else 3
    probe = f"{PYTHON} -m tests.gpu.probe {device} {min(seconds, 1)}"
    most, all_counts = counts[-1], ",".join(map(str, counts))
    return [
        *(_speed(model, model, device, counts, seconds) for model in models),
        _speed("reference", models[0], device, (1, most), seconds, "reference"),
        Step("openlth", 60, f"{PYTHON} -m tests.gpu.openlth {device} {seconds} {' '.join(models)} > $OUT/openlth.json"),
        Step("probe-32-queues", 35, f"CUDA_DEVICE_MAX_CONNECTIONS=32 {probe} {all_counts} {models[0]}"
             " > $OUT/probe-32-queues.json"),
        Step("probe-8-queues", 15, f"CUDA_DEVICE_MAX_CONNECTIONS=8 {probe} {most} {models[0]} > $OUT/probe-8-queues.json"),
        Step("profile", 30, f"{PYTHON} -m tests.gpu.profile {device} {models[0]} > $OUT/profile.txt"),
        *(
            [] if short else [
                Step("probe-autotuned", 30, f"{probe} {most} resnet20 --autotuned > $OUT/probe-autotuned.json"),
                _speed("compiled", "resnet20", device, (1,), seconds, "compiled"),  # it builds for each training
                Step("probe-compiled", 75, f"{probe} {most} resnet20 --compiled > $OUT/probe-compiled.json"),
            ]
        ),
    ]  # fmt: skip


def _speed(name: str, model: str, device: str, counts: Iterable[int], seconds: float, program: str = "") -> Step:
    """Return a measurement, kept in a data folder of its own after each number of lanes, so that a cut loses one of them."""
    lanes = " ".join(f"--lanes {count}" for count in counts)
    options = f"--device {device} {lanes} --seconds {seconds} --data $OUT/speed-{name}"
    return Step(f"speed-{name}", 150, f"{LTHBENCH} speed {model}/synthetic {options}", program)


def _suites(device: str, short: bool, packed: bool) -> list[Step]:
    names: tuple[str, ...] = ("cifar10-jpeg-lite", "liu2021-cifar10-jpeg") if packed else ("baselines-digits",)
    if short:
        names = (f"{SUITES}/two.toml",)
    return [
        Step(f"suite-{Path(name).stem}", 600, f"{LTHBENCH} run {name} --device {device} --out $OUT/{Path(name).stem}")
        for name in names
    ]


def run(step: Step, seconds: float, folder: Path, program: str) -> tuple[int, float]:
    """Run a step for at most this time. Returns its exit code, CUT where it was cut, and its seconds."""
    started, given = time.monotonic(), {"OUT": str(folder)} | ({VARIABLE: program} if program else {})
    with (folder / "log").open("a") as log:
        print(f"\n== {step.name}: {step.command}", file=log, flush=True)
        process = subprocess.Popen(
            ["sh", "-c", step.command], stdout=log, stderr=subprocess.STDOUT, env=os.environ | given,
            start_new_session=True,
        )  # fmt: skip
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            code = CUT
    return code, time.monotonic() - started


def main() -> int:
    """Run the steps that are not done yet. Returns 1 where one failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=560)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--short", action="store_true", help="try the script itself")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    folder, end = asked.folder.resolve(), time.monotonic() + asked.seconds - SPARE
    noted = folder / "steps.json"
    done: dict[str, dict[str, Any]] = json.loads(noted.read_text()) if noted.exists() else {}
    short = asked.short or asked.device == "cpu" or os.environ.get("GPU_SHORT") == "1"
    packed = place(default_folder(), PACKED).is_dir()
    if not packed:
        print(f"{PACKED} is not packed in {default_folder()}: the last suite is one on digits, which needs no data")
    for step in steps(asked.device, short, packed):
        program, before = _program(step, done), done.get(step.name, {})
        if before.get("code") == 0 and before.get("program", "") == program:
            continue
        left = end - time.monotonic()
        if left <= 1:
            break
        code, seconds = run(step, min(step.limit * (PATIENCE if short else 1), left), folder, program)
        done[step.name] = {"code": code, "seconds": round(seconds, 1), "program": program}
        noted.write_text(json.dumps(done, indent=1))
        print(f"{step.name:24} {_words(code):10} {seconds:6.1f} s", flush=True)
    found = table.text(folder)
    (folder / "table.md").write_text(found)
    print(found)
    return int(any(found["code"] not in (0, CUT) for found in done.values()))


def _program(step: Step, done: Mapping[str, Any]) -> str:
    """Return the program that a step is run by, "" for the device's own: torch's operations where our kernels failed.

    Kernels that were cut have not failed.
    """
    failed = done.get(KERNELS, {}).get("code", 0) not in (0, CUT)
    return step.program or ("reference" if failed and step.name != KERNELS else os.environ.get(VARIABLE, ""))


def _words(code: int) -> str:
    return {0: "done", CUT: "cut"}.get(code, f"failed {code}")


if __name__ == "__main__":
    sys.exit(main())
