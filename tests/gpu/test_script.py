"""The script for a GPU: its steps in order, each under its limit; a second call goes on. Whole, on the CPU and on paper."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.gpu import bits, steps, table
from tests.gpu.steps import Step

ROOT = Path(__file__).parent.parent.parent
ASKED = (  # what a GPU is lent for, in order
    "machine", "kernels", "tests", "bits", "speed-resnet20",  # the first call
    "every-method", "every-method-mlp", "smoke-serial", "smoke-lanes", "smoke-same",
    "speed-vgg16", "speed-reference", "openlth", "probe-32-queues", "probe-8-queues", "profile",
    "probe-autotuned", "speed-compiled", "probe-compiled", "suite-cifar10-jpeg-lite", "suite-liu2021-cifar10-jpeg",
)  # fmt: skip


@pytest.fixture
def called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which the script may be called."""
    monkeypatch.setattr(steps, "SPARE", 0.0)
    monkeypatch.delenv(steps.VARIABLE, raising=False)
    return tmp_path / "found"


def call(
    folder: Path, monkeypatch: pytest.MonkeyPatch, given: list[Step], seconds: float = 60
) -> tuple[int, dict[str, int]]:
    """Call the script with these steps. Returns its exit code and those of the steps."""
    monkeypatch.setattr(steps, "steps", lambda *_: given)
    monkeypatch.setattr(sys, "argv", ["steps", str(folder), "--seconds", str(seconds), "--device", "cuda"])
    code = steps.main()
    return code, {name: int(step["code"]) for name, step in json.loads((folder / "steps.json").read_text()).items()}


def test_every_step_is_there_correctness_first() -> None:
    given = steps.steps("cuda", short=False)
    assert tuple(step.name for step in given) == ASKED
    first = ASKED.index("speed-resnet20") + 1
    assert sum(step.limit for step in given[:first]) <= 560 - steps.SPARE
    short = {step.name for step in steps.steps("cpu", short=True)}
    assert short >= {"bits", "every-method", "smoke-same", "openlth", "probe-8-queues", "profile"}


def test_suites_need_no_data_that_is_not_there(
    called: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert [step.name for step in steps.steps("cuda", False, packed=False)][len(ASKED) - 2 :] == [
        "suite-baselines-digits"
    ]
    monkeypatch.setenv("LTHBENCH_DATA", str(called))
    call(called, monkeypatch, [Step("none", 9, "true")])
    assert "cifar10-jpeg is not packed" in capsys.readouterr().out


def test_a_step_is_run_again_by_another_program(called: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels that failed leave torch's own operations to the other steps; those that were cut have not failed."""
    noted, kernels = 'echo "$LTHBENCH_PROGRAM" >> $OUT/', '[ "$LTHBENCH_PROGRAM" ] && exit 5; cat $OUT/code && exit 1'
    given = [
        Step("kernels", 0.5, f"test -e $OUT/quick || exec sleep 60; {kernels} || true"), Step("trains", 9, f"{noted}trains"),
        Step("compiles", 9, f"{noted}compiles", "compiled"),
    ]  # fmt: skip
    expected = {"kernels": 124, "trains": 0, "compiles": 0}
    assert call(called, monkeypatch, given) == (0, expected)
    for name in ("quick", "code"):
        (called / name).touch()
    given[0] = replace(given[0], limit=9)
    assert call(called, monkeypatch, given) == (1, expected | {"kernels": 1})
    (called / "code").unlink()
    assert call(called, monkeypatch, given) == (0, expected | {"kernels": 0})
    assert (called / "trains").read_text() == "\nreference\n\n"
    assert (called / "compiles").read_text() == "compiled\n"


PYTHON = """#!/bin/sh
case "$2" in
    tests.gpu.steps) echo called >> "$3/calls"; exit 3 ;;
    *pydantic*) test -z "$LACKING" || { echo Traceback; echo "No module named 'pydantic'"; exit 1; } >&2 ;;
esac
"""


def test_one_file_holds_all_and_a_call_goes_on_from_it(tmp_path: Path) -> None:
    python, found = tmp_path / "bin" / "python3", tmp_path / "found"
    python.parent.mkdir()
    python.write_text(PYTHON)
    python.chmod(0o755)
    own = os.environ | {"PATH": f"{python.parent}:{os.environ['PATH']}", "LACKING": ""}

    def call(**changes: str) -> subprocess.CompletedProcess[str]:
        command = ["sh", "tests/gpu.sh", f"{found}/"]
        return subprocess.run(command, env=own | changes, cwd=ROOT, capture_output=True, text=True)

    assert call().returncode == 3
    shutil.rmtree(found)
    assert call().returncode == 3
    assert (found / "calls").read_text() == "called\n" * 2
    lacking = call(LACKING="yes")
    assert (
        lacking.returncode == 2 and lacking.stderr.count("\n") == 1 and "No module named 'pydantic'" in lacking.stderr
    )


class Slow:
    """A world of two kinds, which notes what is trained."""

    short = True
    kinds = ("small", "fp32"), ("large", "fp32")

    def __init__(self) -> None:
        self.ended_kinds: list[str] = []

    def training(self, name: str, *_: object) -> str:
        return name

    def ended(self, training: str, *_: object, **__: object) -> str:
        self.ended_kinds.append(training)
        return training

    def digests(self) -> Iterator[str]:
        return (self.ended(name) for name, _ in self.kinds)


def test_a_comparison_of_bits_is_known_before_the_next_kind_is_trained() -> None:
    world = Slow()
    found = bits.compare(world, iter(["small", "other"]))  # type: ignore[arg-type]
    assert next(found) == ("small fp32: two processes", True)
    assert world.ended_kinds == ["small"]
    rest = dict(found)
    assert [name for name, same in rest.items() if not same] == ["large fp32: two processes"] and len(rest) == 5


def test_a_second_call_goes_on(called: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = [
        Step("first", 9, "echo one >> $OUT/done"), Step("fails", 9, "test -e $OUT/mended"), Step("last", 9, "echo two >> $OUT/done"),
    ]  # fmt: skip
    assert call(called, monkeypatch, given) == (1, {"first": 0, "fails": 1, "last": 0})
    (called / "mended").touch()
    assert call(called, monkeypatch, given) == (0, {"first": 0, "fails": 0, "last": 0})
    assert (called / "done").read_text() == "one\ntwo\n"


def test_a_step_is_cut_at_its_limit_with_all_that_it_started(called: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = [Step("long", 0.3, "(sleep 2; touch $OUT/late) & sleep 60"), Step("next", 9, "sleep 2.5")]
    assert call(called, monkeypatch, given) == (0, {"long": 124, "next": 0})
    assert not (called / "late").exists()


def test_nothing_starts_after_the_last_second(called: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = [Step("takes all", 9, "sleep 60"), Step("next", 9, "true")]
    assert call(called, monkeypatch, given, seconds=1.5) == (0, {"takes all": 124})


def test_the_table_sets_all_speeds_side_by_side(tmp_path: Path) -> None:
    found = {
        "workload": "resnet20/synthetic", "epoch": 1280, "floor": 0.1, "plain": 0.8, "ours": 0.4,
        "speeds": [{"lanes": 16, "epochs_per_second": 5.0}],
    }  # fmt: skip
    for name, more in (("resnet20", {}), ("reference", {"plain": 1.6})):
        path = tmp_path / f"speed-{name}" / ".bench" / "H100" / "resnet20-synthetic.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(found | more))
    (tmp_path / "speed-vgg16").mkdir()  # cut
    (tmp_path / "openlth.json").write_text(json.dumps({"batch": 128, "resnet20": {"openlth": 0.16, "ready": 0.1}}))
    (tmp_path / "probe-8-queues.json").write_text(json.dumps({"model": "resnet20", "step": {"16": 0.0005}}))
    (tmp_path / "smoke" / "records").mkdir(parents=True)
    (tmp_path / "smoke" / "records" / "a.jsonl").write_text(
        '{"result": {"status": "ok"}}\n{"result": {"status": "failed"}}\n'
    )
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.text(tmp_path).splitlines()]
    assert ["resnet20", "OpenLTH's step, with its loader", "1.6", "0.5", "6.2%"] in rows
    assert ["resnet20, kernels of torch alone", "plain PyTorch loop", "1.6", "1", "6.2%"] in rows
    assert ["resnet20", "lthbench, 16 at once", "0.2", "4", "50.0%"] in rows
    assert ["resnet20", "16 networks, 8 queues", "0.5"] in rows
    assert ["smoke", "1 failed, 1 ok"] in rows


def script(folder: Path, device: str, environment: dict[str, str]) -> dict[str, int]:
    command = ["sh", "tests/gpu.sh", str(folder), "1700", device]
    done = subprocess.run(command, env=environment | {"GPU_SHORT": "1"}, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr + (folder / "log").read_text()[-6000:]
    assert "OpenLTH's step, with its loader" in done.stdout and "8 queues" in done.stdout
    return {name: int(step["code"]) for name, step in json.loads((folder / "steps.json").read_text()).items()}


@pytest.mark.slow  # some twenty processes, each of which starts torch: more than 40 seconds of CPU
@pytest.mark.timeout(1800)
def test_the_whole_script_on_a_cpu(tmp_path: Path, data_folder: Path) -> None:
    found = script(tmp_path / "found", "cpu", os.environ | {"LTHBENCH_DATA": str(data_folder)})
    assert found == dict.fromkeys((step.name for step in steps.steps("cpu", short=True)), 0)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_whole_script_on_paper(paper: dict[str, str], tmp_path: Path, data_folder: Path) -> None:
    own = {
        "PAPER_ZERO": "1",
        "PYTEST_ADDOPTS": "-p tests.gpu.paper.plugin",
        "PYTHONPATH": str(ROOT / steps.SUITES / "site"),
        "LTHBENCH_DATA": str(data_folder),
    }
    found = script(tmp_path / "found", "cuda", paper | own)
    assert found == dict.fromkeys((step.name for step in steps.steps("cuda", short=True)), 0)
