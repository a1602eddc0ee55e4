"""The steps of `tests/gpu.sh`: each in a process of its own with a limit, noted when done, so that a second call goes on."""

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

PYTHON = shlex.quote(sys.executable)
LTHBENCH = f"{PYTHON} -m lthbench.cli"
SUITES = "tests/gpu/suites"
SPARE = 5.0  # seconds that are left for the table


@dataclass(frozen=True)
class Step:
    """A command with a limit in seconds. One that was cut or failed is run again by the next call; suites go on."""

    name: str
    limit: float
    command: str


def steps(device: str, short: bool) -> list[Step]:
    """Return the steps in order: correctness first, so that a cut loses measurements alone."""
    marked = "-m cuda" if device.startswith("cuda") else "-m 'not slow' -k 'lane or gpu'"
    lanes = "--lanes 2" if short else "--lanes 1 --lanes 4 --lanes 8 --lanes 16"
    seconds = 0.2 if short else 3
    run = f"{LTHBENCH} run"
    pytest = f"{PYTHON} -m pytest -q -p no:cacheprovider"
    return [
        Step("machine", 30, f"nvidia-smi -L; {PYTHON} -m tests.gpu.machine {device}"),
        Step("tests", 90, f"{pytest} {marked} --timeout 60 tests/training/gpu tests/training/test_trainer.py"),
        Step("bits", 120, f"{PYTHON} -m tests.gpu.bits {device} {'--short' if short else ''}"),
        Step("every-method", 90, f"{run} {SUITES}/all.toml --device {device} --out $OUT/every-method"),
        Step("smoke-serial", 45, f"{run} smoke --device {device} --serial --out $OUT/smoke-serial"),
        Step("smoke-lanes", 45, f"{run} smoke --device {device} --lanes 8 --out $OUT/smoke-lanes"),
        Step("smoke-same", 10, f"{PYTHON} -m tests.gpu.same $OUT/smoke-serial $OUT/smoke-lanes"),
        *(
            Step(f"speed-{model}", 90, f"{LTHBENCH} speed {model}/synthetic --device {device} {lanes} --seconds {seconds}"
                 f" --json > $OUT/speed-{model}.json")
            for model in (("mlp-8",) if short else ("resnet20", "vgg16"))
        ),
        Step("profile", 30, f"{PYTHON} -m tests.gpu.profile {device} > $OUT/profile.txt"),
        *(
            Step(f"suite-{name}", 600, f"{run} {name} --device {device} --out $OUT/{name}")
            for name in (("smoke",) if short else ("cifar10-jpeg-lite", "liu2021-cifar10-jpeg"))
        ),
    ]  # fmt: skip


def run(step: Step, seconds: float, folder: Path) -> tuple[int, float]:
    """Run a step for at most this time. Returns its exit code, 124 where it was cut, and its seconds."""
    started = time.monotonic()
    with (folder / "log").open("a") as log:
        print(f"\n== {step.name}: {step.command}", file=log, flush=True)
        process = subprocess.Popen(
            ["sh", "-c", step.command], stdout=log, stderr=subprocess.STDOUT, env=os.environ | {"OUT": str(folder)},
            start_new_session=True,
        )  # fmt: skip
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            code = 124
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
    done: dict[str, dict[str, float]] = json.loads(noted.read_text()) if noted.exists() else {}
    for step in steps(asked.device, asked.short or os.environ.get("GPU_SHORT") == "1"):
        if done.get(step.name, {}).get("code") == 0:
            continue
        left = end - time.monotonic()
        if left <= 1:
            break
        code, seconds = run(step, min(step.limit, left), folder)
        done[step.name] = {"code": code, "seconds": round(seconds, 1)}
        noted.write_text(json.dumps(done, indent=1))
        print(f"{step.name:24} {_words(code):10} {seconds:6.1f} s", flush=True)
    return int(any(found["code"] not in (0, 124) for found in done.values()))


def _words(code: int) -> str:
    return {0: "done", 124: "cut"}.get(code, f"failed {code}")


if __name__ == "__main__":
    sys.exit(main())
