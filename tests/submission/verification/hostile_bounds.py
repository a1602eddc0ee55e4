"""More of the catalogue: bundles that ask for time, memory or trust, each of a kind that once passed."""

import copy
import hashlib
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.submission.forge import Forgery
from tests.submission.verification.hostile import _manifest, _model, forged, hostile

MARKDOWN = "![](https://evil.example/pixel.png) [Download](https://evil.example) **first**"
CLEARED = "\x1b[2J\x1b[H: re-trained, all checks passed\n::error title=x::from the bundle\n\x1b[8m"


def _raw(change: Callable[[dict[str, Any]], Any], every: bool = False) -> Callable[[Forgery], None]:
    """Change the first line of the records, or every one, without scoring them anew."""

    def edit(lines: list[dict[str, Any]]) -> None:
        for line in lines if every else lines[:1]:
            change(line)

    return lambda f: f.records(edit, scores=False)


def _result(**changes: Any) -> Callable[[Forgery], None]:
    return _raw(lambda line: line["result"].update(changes))


def _every(**changes: Any) -> Callable[[Forgery], None]:
    return _raw(lambda line: line["result"].update(changes), every=True)


def _environment(**changes: str) -> Callable[[Forgery], None]:
    return _raw(lambda line: line["provenance"]["build"].update(changes), every=True)


# Time

MARKS = "a" + "\u0315" * 100_000 + "\u0334" * 100_000
forged("quadratic_reason", r"a text has 200,001 characters", _result(reason=MARKS))
forged("quadratic_key", "a text has 100,001 characters|at most 5,000", _result(parameters={MARKS[:100_001]: 1}))
forged("marks_of_an_author", "puts more than 2 marks", _manifest(authors=["Z" + "\u0316" * 90 + "\u0300" * 90]))
forged("marks_of_a_reason", "puts more than 2 marks", _result(reason="a" + "\u0315" * 4000))
forged("long_identifier", "has a line of 15,0", lambda f: f.method("\ufb01" * 15_000 + " = 1\n"))
forged("long_string", "has a line of 3,0", lambda f: f.method(f"TABLE = {'x' * 3000!r}\n"))
forged("many_brackets", "cannot be parsed|has a line of", lambda f: f.method("(" * 990 + "\n"))

# Memory


def _list_of_numbers(f: Forgery) -> None:
    f.result(notes={"n": 0})
    content = f.files["records.jsonl"].replace(b'"notes": {"n": 0}', b'"notes":{"n":[' + b"1," * 300_000 + b"1]}", 1)
    f.files["records.jsonl"] = content


forged("list_of_numbers", "records.jsonl:1: holds more than 1,000,000 bytes or 20,000 items", _list_of_numbers)
forged("many_layers", "20,000 items", _result(layers={f"l{i}": [0, 1] for i in range(15_000)}))
forged(
    "many_records", "holds more than 2,000,000 items", lambda f: f.files.update({"records.jsonl": b",\n" * 2_000_001})
)
forged("many_items", "manifest.json: holds more than 1,000,000 items", _manifest(scores=[1] * 1_000_002))
forged(
    "many_patterns",
    "manifest.json: tickets.0.model.dense",
    lambda f: f.manifest["tickets"][0]["model"].update(dense=["*"] * 2000),
)


@hostile("it has holes")
def sparse_ticket(forgery: Forgery, out: Path) -> Path:
    first = forgery.manifest["tickets"][0]
    size = 900_000_000
    forgery.rehash()
    named = {"path": "tickets/s.safetensors", "size": size, "sha256": hashlib.sha256(b"").hexdigest()}
    forgery.manifest["tickets"].append(copy.deepcopy(first) | {"seed": 1000, "file": named})
    forgery.write(out)
    with (out / "tickets/s.safetensors").open("wb") as file:
        file.truncate(size)
    return out


@hostile("it has holes")
def sparse_zip(forgery: Forgery, out: Path) -> Path:
    out = forgery.zip(out.with_suffix(".zip"))
    with out.open("r+b") as file:
        file.truncate(900_000_000)
    return out


@hostile("holds more than .* files and folders")
def empty_folders(forgery: Forgery, out: Path) -> Path:
    forgery.write(out)
    for number in range(20_100):
        (out / f"e{number}").mkdir()
    return out


def _entries(count: int) -> bytes:
    head = struct.pack(
        "<4s4B4HL2L5H2L", b"PK\1\2", 20, 3, 20, 0, 0, 0, 0, 0x21, 0, 0, 0, 7, 0, 0, 0, 0, 0o100644 << 16, 0
    )
    return b"".join(head + b"%07d" % number for number in range(count))


@hostile("the zip has a second end")
def zip64_end(forgery: Forgery, out: Path) -> Path:
    """The end for more than 4 GB says other numbers than the end that is looked at."""
    listed, count = _entries(30_000), 30_000
    wide = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, len(listed), 0)
    wide += struct.pack("<4sLQL", b"PK\6\7", 0, len(listed), 1)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(wide), len(listed), 0)
    out.with_suffix(".zip").write_bytes(listed + wide + end)
    return out.with_suffix(".zip")


@hostile("lists 30,000 members, its end says 1")
def more_members_than_counted(forgery: Forgery, out: Path) -> Path:
    listed = _entries(30_000)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(listed), 0, 0)
    out.with_suffix(".zip").write_bytes(listed + end)
    return out.with_suffix(".zip")


@hostile("list of members is not a bundle's")
def zip_of_two_disks(forgery: Forgery, out: Path) -> Path:
    content = bytearray(forgery.zip(out.with_suffix(".zip")).read_bytes())
    content[-18:-16] = b"\1\0"
    out.with_suffix(".zip").write_bytes(content)
    return out.with_suffix(".zip")


# What reaches a terminal

forged("clears_the_terminal", r"not a record: result.\?\[2J", _result(**{CLEARED: 1}))
forged(
    "rows_in_a_version",
    r"was made under smoke 0\.1\?\| re-trained",
    _result(suite_version="0.1\n| re-trained | networks"),
)
forged("rows_in_a_workload", r"is not a cell|a text holds", _result(workload="x\x1b[2J\n::warning::x"))
forged("rows_in_a_method", r"is of method|a text holds", _result(method="mine\n::stop-commands::x"))
forged("colour_in_a_key", r"not a record: provenance\.build|a text holds", _environment(**{"\x1b[31m": "x"}))


@hostile("is not a path inside a bundle")
def control_characters_in_a_name(forgery: Forgery, out: Path) -> Path:
    forgery.write(out)
    (out / "\x1b[2J\n::error::x").write_text("")
    return out


# Numbers that cannot be counted with

NUMBERS: dict[str, dict[str, Any]] = {
    "of_zero": {"test": {"right": 0, "of": 0}, "correct": None},
    "apart_huge": {"apart": {"x": 10**400}},
    "epoch_huge": {"epoch": 10**400},
    "charged_huge": {"charged": {"train": 1, "score": 10**400, "validate": 0}},
    "epoch_zero": {"epoch": 0},
    "layers_int64": {"layers": {"hidden.0.weight": [2**70, 2**70]}, "removed": 2**70, "prunable": 2**70},
    "multiplications_huge": {"multiplications": [10**400, 1]},
    "right_huge": {"test": {"right": 10**400, "of": 10**400}, "correct": None},
    "kept_zero": {"kept": {"k": {"test": {"right": 0, "of": 0}, "removed": 1, "ticket": "x"}}},
    "correlation_of_a_word": {"correlation": {"init": {"abc": 0.5}}},
    "correlation_of_infinity": {"correlation": {"init": {"inf": 0.5, "nan": 0.2}}},
    "prunable_huge": {"prunable": 10**400, "removed": 10**400},
    "train_digits": {"pipeline": "train " + "9" * 5000},
    "seed_huge": {"seed": 10**30},
    "learning_rate_negative": {"learning_rate": -1.0},
    "sparsity_huge": {"sparsity": 1e308},
    "surrogate": {"reason": "\ud800"},
    "no_fingerprints": {"fingerprints": {}},
    "charged_empty": {"charged": {}},
    "classes_zero": {"classes": 0},
    "another_workload": {"workload": "x"},
    "budget_huge": {"budget": 10**400},
    "negative_layers": {"layers": {"hidden.0.weight": [-5, 10]}},
    "zero_weights_negative": {"zero_weights": -5},
    "tolerance_negative": {"tolerance": -1.0},
    "trained_without_end": {"pipeline": "init → train 1e+999"},
    "trained_for_an_age": {"pipeline": "init → train 1e+99 → train 1e+99"},
}


def _number(changes: dict[str, Any]) -> Callable[[Forgery], None]:
    def edit(f: Forgery) -> None:
        lines = [json.loads(line) for line in f.files["records.jsonl"].decode().splitlines()]
        lines[0]["result"].update(changes)
        f.files["records.jsonl"] = "".join(json.dumps(line) + "\n" for line in lines).encode()

    return edit


for _name, _changes in NUMBERS.items():
    forged(_name, ".", _number(_changes))

forged(
    "epochs_huge",
    "not a record: provenance.epochs_computed",
    _raw(lambda line: line["provenance"].update(epochs_computed=1e300)),
)
forged("epochs_of_others", "epochs were computed", _raw(lambda line: line["provenance"].update(epochs_computed=1e6)))
forged(
    "seconds_negative", "not a record: provenance.seconds", _raw(lambda line: line["provenance"].update(seconds=-1e308))
)

# The board for others

forged("classes_of_others", "1000000 classes, digits has 10", _every(classes=10**6))
forged("two_classes", "2 classes, digits has 10", _every(classes=2))
forged("markdown_in_environment", "its environment is not", _environment(kind="x " + MARKDOWN))
forged("address_in_environment", "its environment is not", _environment(torch="2 www.evil.example"))
forged("more_environment", "its environment is not", _environment(note="hello"))
for _n, _author in enumerate(
    ("\u3164", "\u2800", "A" + "".join(chr(0xE0100 + ord(c)) for c in "hidden"), "\u115f", ". .")
):
    forged(f"unseen_author_{_n}", "not seen|holds no letter", _manifest(authors=[_author]))
forged("device_for_a_method", "is the name of a device", _manifest(method="con"))
forged("device_with_parameters", "is the name of a device", _manifest(method="nul[a=1]"))
forged("long_label", "manifest.json: method", _manifest(method="m[" + "a" * 200 + "]"))
forged("empty_brackets", "manifest.json: method", _manifest(method="lottery-ticket[]"))

# Names


def _renamed(name: str) -> Callable[[Forgery], None]:
    def change(f: Forgery) -> None:
        f.manifest["method"] = name
        f.records(lambda lines: [line["result"].update(method=name) for line in lines])  # type: ignore[func-returns-value]
        f.method(f.files["method.py"].decode().replace('"mine"', repr(name.partition("[")[0])))

    return change


for _label in (
    "random-reinit",
    "lottery-ticket[x=1]",
    "1ottery-ticket",
    "random-relnit",
    "dense",
    "lotteryticket",
    "snlp",
):
    forged(f"taken_{_label}", "which comes with lthbench", _renamed(_label))
forged("another_track", "its track|is not a cell|the records say otherwise", _every(track="dense"))
forged("an_iterative_track", "the records say otherwise", _every(track="iterative"))
forged("a_control", "the records say otherwise", _every(control_of="dense"))
forged("one_record_of_another_track", "its track, control or parameters differ", _result(track="iterative"))
forged(
    "no_such_method", "has no @method", lambda f: f.method(f.files["method.py"].decode().replace('"mine"', '"yours"'))
)


def _diverged(f: Forgery) -> None:
    f.records(lambda lines: lines[0]["result"].update(status="diverged", reason="weights are not finite"))
    f.files.pop(f.manifest["tickets"].pop(0)["file"]["path"])


forged("diverged_without_a_network", "has no ticket", _diverged)
forged(
    "diverged_with_a_finite_network",
    "its weights are finite, the record says diverged",
    lambda f: f.records(lambda lines: lines[0]["result"].update(status="diverged", reason="weights are not finite")),
)
forged("a_convolution_for_a_perceptron", "is not a model of the workload's kind|has no", _model("conv2"))
forged("a_lenet_for_a_perceptron", "is not a model of the workload's kind|has no", _model("lenet5"))

# Sources


def _source(line: str) -> Callable[[Forgery], None]:
    return lambda f: f.method(f.files["method.py"].decode() + line + "\n")


forged("imports_os", "imports os: a method imports lthbench, torch, numpy", _source("import os"))
forged("imports_inside", "imports lthbench.runs", _source("from lthbench.runs.store import store"))
forged("imports_by_a_relative", "imports .x", _source("from .x import y"))
forged("reaches_os_through_torch", r"uses torch\.os", _source("import torch\ntorch.os.getcwd()"))
forged("renames_os_of_torch", r"imports torch\.os: it reaches files", _source("from torch import os as files"))
forged("loads_a_file", r"uses torch\.load: it reaches files", _source("import torch\ntorch.load('x')"))
forged("opens_a_file", "uses open", _source("open('x')"))
forged("evaluates_a_text", "uses eval", _source("eval('1')"))
forged("reads_its_docstring", "uses __doc__", _source("x = __doc__"))
forged("reads_a_docstring", r"uses mine\.__doc__", _source("x = mine.__doc__"))
forged("uses_private_parts", r"uses run\._context", _source("def f(run): return run._context"))
forged("carries_weights", "bytes of numbers and texts", _source(f"TABLE = '{'x' * 110}' '{'y' * 110}' '{'z' * 200}'"))
forged("carries_numbers", "bytes of numbers and texts", _source("TABLE = (" + "0.1234567, " * 80 + ")"))
forged("carries_one_number", "bytes of numbers and texts", _source("TABLE = 0x" + "f" * 900))
forged("carries_names", "bytes of names", _source("\n".join(f"class C{i}_{'q' * 50}: pass" for i in range(70))))
forged("another_encoding", "written in .*, not UTF-8", lambda f: f.method("# coding: latin-1\nx = 1\n"))
forged(
    "an_encoding_with_escapes",
    "not UTF-8|cannot be parsed",
    lambda f: f.method("# coding: unicode_escape\n# \\x0aimport os\n"),
)
