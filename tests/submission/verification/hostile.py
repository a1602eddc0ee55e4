"""The catalogue: each function makes a hostile or broken bundle from an honest one, and says why it is refused."""

import io
import json
import os
import pickle
import stat
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from lthbench import bits
from tests.submission.forge import Forgery

Build = Callable[[Forgery, Path], Path]
CATALOGUE: dict[str, tuple[Build, str]] = {}


def hostile(reason: str) -> Callable[[Build], Build]:
    """Enter a builder with the reason that must be said, a regular expression."""

    def enter(build: Build) -> Build:
        CATALOGUE[build.__name__] = (build, reason)
        return build

    return enter


def forged(name: str, reason: str, change: Callable[[Forgery], Any], rehash: bool = True) -> None:
    """Enter a folder that differs from the honest one by `change`; hashes agree unless `rehash` is off."""

    def build(forgery: Forgery, out: Path) -> Path:
        change(forgery)
        if rehash:
            forgery.rehash()
        return forgery.write(out)

    CATALOGUE[name] = (build, reason)


def member(name: str, content: bytes = b"x", mode: int = stat.S_IFREG | 0o644) -> Callable[[zipfile.ZipFile], None]:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, mode << 16
    return lambda archive: archive.writestr(info, content)


# Zips


for what, path in {
    "path_traversal": "../escaped.txt",
    "path_traversal_deep": "tickets/../../escaped.txt",
    "absolute_path": "/tmp/escaped.txt",
    "windows_drive": "C:/escaped.txt",
    "backslashes": "..\\escaped.txt",
    "device_name": "aux.txt",
    "hidden_file": ".git/hooks/post-checkout",
    "unicode_name": "m\u0435thod.py",  # a Cyrillic letter
    "right_to_left_name": "method\u202eyp.txt",
}.items():

    def _build(forgery: Forgery, out: Path, path: str = path) -> Path:
        return forgery.zip(out.with_suffix(".zip"), member(path))

    CATALOGUE[what] = (_build, "is not a path inside a bundle|is not a file name on every system")


@hostile("is not a path inside a bundle")
def nul_in_name(forgery: Forgery, out: Path) -> Path:
    forgery.zip(out.with_suffix(".zip"), member("method.py?.txt"))
    content = out.with_suffix(".zip").read_bytes()
    out.with_suffix(".zip").write_bytes(content.replace(b"method.py?.txt", b"method.py\0.txt"))
    return out.with_suffix(".zip")


@hostile("is a link or not a regular file")
def symbolic_link_in_zip(forgery: Forgery, out: Path) -> Path:
    return forgery.zip(out.with_suffix(".zip"), member("method.txt", b"/etc/passwd", stat.S_IFLNK | 0o777))


@hostile("two members of the zip have one name")
def duplicate_member(forgery: Forgery, out: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return forgery.zip(out.with_suffix(".zip"), member("method.py"))


@hostile("is compressed; members are stored")
def zip_bomb(forgery: Forgery, out: Path) -> Path:
    forgery.files["zeros"] = bytes(20_000_000)
    return forgery.zip(out.with_suffix(".zip"), compression=zipfile.ZIP_DEFLATED)


@hostile("members of the zip overlap|damaged")
def overlapping_members(forgery: Forgery, out: Path) -> Path:
    """Many entries of the list point at the same bytes."""
    forgery.zip(out.with_suffix(".zip"), member("big", bytes(100_000)))
    content = out.with_suffix(".zip").read_bytes()
    count, size, offset = struct.unpack("<HLL", content[-12:-2])
    directory = content[offset : offset + size]
    entry = directory[directory.rindex(b"PK\x01\x02") :]
    copies = b"".join(entry[:-3] + f"b{number:02}".encode() for number in range(90))
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count + 90, count + 90, size + len(copies), offset, 0)
    out.with_suffix(".zip").write_bytes(content[:offset] + directory + copies + end)
    return out.with_suffix(".zip")


@hostile("list of members is not a bundle's")
def lying_zip_directory(forgery: Forgery, out: Path) -> Path:
    forgery.zip(out.with_suffix(".zip"))
    content = bytearray(out.with_suffix(".zip").read_bytes())
    content[-10:-6] = struct.pack("<L", 0xFFFFFFF0)
    out.with_suffix(".zip").write_bytes(content)
    return out.with_suffix(".zip")


@hostile("its end is cut off")
def truncated_zip(forgery: Forgery, out: Path) -> Path:
    forgery.zip(out.with_suffix(".zip"))
    content = out.with_suffix(".zip").read_bytes()
    out.with_suffix(".zip").write_bytes(content[: len(content) // 2])
    return out.with_suffix(".zip")


@hostile("is damaged: ")
def flipped_byte_in_zip(forgery: Forgery, out: Path) -> Path:
    forgery.zip(out.with_suffix(".zip"))
    content = bytearray(out.with_suffix(".zip").read_bytes())
    content[content.index(b"def mine")] ^= 1
    out.with_suffix(".zip").write_bytes(content)
    return out.with_suffix(".zip")


@hostile("this is not a zip")
def pickle_as_bundle(forgery: Forgery, out: Path) -> Path:
    out.write_bytes(pickle.dumps(forgery.manifest))
    return out


@hostile("is encrypted")
def encrypted_member(forgery: Forgery, out: Path) -> Path:
    forgery.zip(out.with_suffix(".zip"))
    content = bytearray(out.with_suffix(".zip").read_bytes())
    (offset,) = struct.unpack("<L", content[-6:-2])
    content[offset + 8] |= 1
    out.with_suffix(".zip").write_bytes(content)
    return out.with_suffix(".zip")


# Folders


@hostile("is a link; a bundle holds files alone")
def symbolic_link(forgery: Forgery, out: Path) -> Path:
    forgery.write(out)
    (out / "method.py").unlink()
    (out / "method.py").symlink_to("/etc/passwd")
    return out


@hostile("is a link; a bundle holds files alone")
def linked_folder(forgery: Forgery, out: Path) -> Path:
    forgery.write(out)
    (out / "more").symlink_to("/etc")
    return out


@hostile("is not a regular file")
def named_pipe(forgery: Forgery, out: Path) -> Path:
    forgery.write(out)
    (out / "method.py").unlink()
    os.mkfifo(out / "method.py")
    return out


@hostile("folders lie more than")
def deep_folders(forgery: Forgery, out: Path) -> Path:
    forgery.write(out).joinpath(*"abcdefgh").mkdir(parents=True)
    return out


forged(
    "extra_file", "holds setup.py, which its manifest does not name", lambda f: f.files.update({"setup.py": b"boom()"})
)
forged("missing_file", "the bundle has no method.py", lambda f: f.files.pop("method.py"), rehash=False)
forged("missing_ticket_file", "the bundle has no tickets/", lambda f: f.files.pop(f.tickets[0]), rehash=False)
forged("edited_file", "its size differs", lambda f: f.files.update({"method.py": b"x = 1\n"}), rehash=False)


# The manifest


@hostile(r"manifest.json has 100,000,\d+ bytes")
def huge_manifest(forgery: Forgery, out: Path) -> Path:
    forgery.write(out)
    with (out / "manifest.json").open("r+b") as file:
        file.truncate(100_000_100)
    return out


def _manifest(**changes: Any) -> Callable[[Forgery], None]:
    return lambda f: f.manifest.update(changes)


def _twice(f: Forgery) -> None:
    first, second = f.manifest["tickets"][:2]
    f.manifest["tickets"].append(first | {"file": second["file"] | {"path": "tickets/9.safetensors"}})


def _one_file(f: Forgery) -> None:
    first, second = f.manifest["tickets"][:2]
    second["file"] = first["file"]


forged("unknown_key", "manifest.json: rank: Extra inputs are not permitted", _manifest(rank=1))
forged("no_authors", "manifest.json: authors", _manifest(authors=[]))
forged("html_in_author", "would be markup on a page", _manifest(authors=["<script>alert(1)</script>"]))
forged("formula_in_author", "would be a formula in a spreadsheet", _manifest(authors=["=HYPERLINK(A1)"]))
forged("zero_width_author", r"not seen \(U\+200B\)", _manifest(authors=["A.\u200bAuthor"]))
forged("right_to_left_author", r"not seen \(U\+202E\)", _manifest(authors=["A. \u202erohtuA"]))
forged("newline_in_paper", r"not seen \(U\+000A\)", _manifest(paper="a\n# First place"))
forged("not_normal_author", "normal form NFC", _manifest(authors=["Andre\u0301"]))
forged("script_link", "is neither a link", _manifest(paper="[click](javascript:alert)"))
forged("confusable_method", "manifest.json: method", _manifest(method="lott\u0435ry-ticket"))
forged("long_author", "manifest.json: authors", _manifest(authors=["x" * 5000]))
forged(
    "traversal_in_manifest",
    "is not a path inside a bundle",
    lambda f: f.manifest["tickets"][0]["file"].update(path="../x"),
)
forged("other_format", "manifest.json: format", _manifest(format=2))
forged(
    "other_suite",
    "no suite 'mine' comes with lthbench; where you have its text, type: --suite FILE",
    lambda f: f.manifest["suite"].update(name="mine"),
)
forged("other_suite_text", "made under smoke 0.1", lambda f: f.manifest["suite"].update(hash="0" * 32))
forged("two_tickets_of_a_cell", "two tickets of one cell", _twice)
forged("one_file_for_two", "two files of one name", _one_file)


@hostile("manifest.json: .*(recursion|depth|limit)")
def nested_manifest(forgery: Forgery, out: Path) -> Path:
    forgery.write(out)
    (out / "manifest.json").write_text("[" * 200_000)
    return out


@hostile("manifest.json: ")
def number_without_end(forgery: Forgery, out: Path) -> Path:
    forgery.write(out)
    (out / "manifest.json").write_text('{"format": ' + "9" * 1_000_000 + "}")
    return out


# Records


def _copy(lines: list[dict[str, Any]]) -> None:
    """One seed handed in for two."""
    by_cell: dict[Any, dict[str, Any]] = {}
    for line in lines:
        r = line["result"]
        first = by_cell.setdefault(r["sparsity"], r)
        same = ("weights", "ticket", "layers", "test", "correct", "train", "validation")
        r.update({name: first[name] for name in same})


def _nan(f: Forgery) -> None:
    text = f.files["records.jsonl"].decode()
    f.files["records.jsonl"] = text.replace('"learning_rate": 0.1', '"learning_rate": NaN', 1).encode()


def _pipeline(f: Forgery) -> None:
    f.records(lambda lines: lines[0]["result"].update(charged={"train": 1167, "score": 0, "validate": 0}))


def _overspent(f: Forgery) -> None:
    f.records(lambda lines: lines[0]["result"].update(charged={"train": 11670, "score": 0, "validate": 0}))


def _first(f: Forgery) -> Any:
    return json.loads(f.files["records.jsonl"].decode().splitlines()[0])["result"]


def _fewer_bits(f: Forgery) -> None:
    flags = bits.flags(_first(f)["correct"], 500)
    flags[flags.argmax()] = False
    f.result(correct=bits.text(flags))


def _negative(f: Forgery) -> None:
    f.records(
        lambda lines: lines[0]["result"].update(charged={"train": 9336, "score": -5, "validate": 0}), scores=False
    )


forged("duplicate_cell", "stands twice", lambda f: f.records(lambda lines: lines.append(lines[0]), scores=False))
forged("missing_cell", "1 of 4 runs are missing", lambda f: f.records(lambda lines: lines.pop()))
forged("cell_of_no_suite", "is not a cell that the suite has for a one-shot method", lambda f: f.result(sparsity=0.5))
forged("another_suites_version", "was made under smoke 0.0", lambda f: f.result(suite_version="0.0"))
forged("another_major_minor", "Major.Minor must agree", lambda f: f.result(version="9.9.0"))
forged("another_method", "is of method 'dense'", lambda f: f.result(method="dense"))
forged("another_source", "made by other code", lambda f: f.files.update({"method.py": b"x = 1\n"}))
forged("another_tolerance", "tolerance is not the suite's", lambda f: f.result(tolerance=50.0))
forged("failed_run", "a submission holds no failed run", lambda f: f.result(status="failed"))
forged("edited_budget", "the budget is 8.0 epochs", lambda f: f.result(budget=10**9))
forged("edited_ledger", "epochs of training are charged, its pipeline says", _pipeline)
forged("overspent_ledger", "examples are charged, the budget is", _overspent)
forged("negative_charge", r"records.jsonl:\d: not a record: result.charged.score", _negative)
forged(
    "more_right_than_asked",
    "more right answers than examples",
    lambda f: f.result(test={"right": 501, "of": 500}, correct=None),
)
forged("less_sparse", "is not the sum over its layers", lambda f: f.result(removed=1))
forged("one_seed_copied", "has the weights of seed 0", lambda f: f.records(_copy))
forged("html_in_reason", "would be markup on a page", lambda f: f.result(reason="<img src=x onerror=alert(1)>"))
forged(
    "html_in_build",
    "would be markup",
    lambda f: f.records(lambda lines: lines[0]["provenance"]["build"].update(kind="<b>")),
)
forged("formula_in_note", "would be a formula", lambda f: f.result(notes={"=1+1": 1.0}))
forged("bits_of_other_counts", r"records.jsonl:1: not a record: result.correct: has \d+ bits set", _fewer_bits)
forged("nan_in_record", r"records.jsonl:1: not a record", _nan)
forged(
    "half_a_record",
    "records.jsonl:4: not a record",
    lambda f: f.files.update({"records.jsonl": f.files["records.jsonl"][:-40]}),
)
forged("records_not_text", "records.jsonl is not UTF-8", lambda f: f.files.update({"records.jsonl": b"\xff\xfe\n"}))
forged("no_records", "there are no records", lambda f: f.files.update({"records.jsonl": b""}))
forged("edited_score", "the manifest says 99", lambda f: f.manifest["scores"][0].update(mean=99.0))
forged("other_data", "its train split is not the digits that is here", lambda f: f.records(_other_data))


def _other_data(lines: list[dict[str, Any]]) -> None:
    from lthbench import keys

    for line in lines:
        prints = {"train": "0" * 32, "test": "1" * 32}
        prints["training"] = keys.key("training examples", prints["train"], 130)
        line["result"]["fingerprints"] = prints


# Weights


def _flipped(f: Forgery) -> None:
    f.result(test={"right": _first(f)["test"]["right"] + 1, "of": 500}, correct=None)


def _other_answers(f: Forgery) -> None:
    flags = bits.flags(_first(f)["correct"], 500)
    f.result(correct=bits.text(flags[::-1]))


def _swap(f: Forgery) -> None:
    a, b = f.manifest["tickets"][0], f.manifest["tickets"][1]
    a["file"], b["file"] = b["file"], a["file"]


def _dense(tensors: dict[str, torch.Tensor]) -> None:
    tensors["values/hidden.0.weight"] = torch.randn(32 * 64)


def _ones(tensors: dict[str, torch.Tensor]) -> None:
    for name, size in (("hidden.0.weight", 2048), ("out.weight", 320)):
        tensors[f"mask/{name}"] = torch.full((size // 8,), 255, dtype=torch.uint8)
        tensors[f"values/{name}"] = torch.randn(size)


def _moved(tensors: dict[str, torch.Tensor]) -> None:
    tensors["mask/hidden.0.weight"] = tensors["mask/hidden.0.weight"].flip(0)
    bits = sum(int(byte).bit_count() for byte in tensors["mask/hidden.0.weight"])
    assert bits == len(tensors["values/hidden.0.weight"])


def _not_seeded(tensors: dict[str, torch.Tensor]) -> None:
    tensors |= {
        f"start/{n.removeprefix('values/')}": t + 1 for n, t in list(tensors.items()) if n.startswith("values/")
    }


def _other_seed(f: Forgery) -> None:
    f.manifest["tickets"][0]["origin"]["seed"] = 7


def _filled(value: float) -> Callable[[dict[str, torch.Tensor]], None]:
    return lambda tensors: tensors["values/out.bias"].fill_(value)  # type: ignore[return-value]


def _bias(tensor: torch.Tensor, name: str = "out.bias") -> Callable[[Forgery], None]:
    return lambda f: f.tensors(lambda tensors: tensors.update({f"values/{name}": tensor}))


def _model(name: str) -> Callable[[Forgery], None]:
    return lambda f: f.manifest["tickets"][0]["model"].update(name=name)


forged("flipped_digit", "test answers are right, the record says", _flipped)
forged("other_answers", "test images are answered rightly where the record says wrongly", _other_answers)
forged("swapped_tickets", "its mask is not that of the record|weights are removed|seed 1", _swap)
forged("dense_weights", "its mask keeps", lambda f: f.tensors(_dense))
forged("mask_of_ones", "0 of 2368 weights are removed", lambda f: f.tensors(_ones))
forged("moved_mask", "its mask is not that of the record", lambda f: f.tensors(_moved))
forged("nan_weights", "weights are not finite", lambda f: f.tensors(_filled(float("nan"))))
forged("infinite_weights", "weights are not finite", lambda f: f.tensors(_filled(float("inf"))))
forged("other_weights", "its weights are not those of the record", lambda f: f.tensors(_filled(0.25)))
forged("wrong_shape", r"values/out.bias is float32 \[1, 10\], not float32 \[10\]", _bias(torch.zeros(1, 10)))
forged("wrong_type", "not one of F32", _bias(torch.zeros(10, dtype=torch.float64)))
forged("extra_tensor", "which mlp-32 does not have", _bias(torch.zeros(9), "payload"))
forged("missing_tensor", "has no values/out.bias", lambda f: f.tensors(lambda t: t.pop("values/out.bias")))
forged("start_not_seeded", "not the seeded initialisation", lambda f: f.tensors(_not_seeded))
forged("start_of_another_seed", "start weights are those of seed 7", _other_seed)
forged("another_model", "is not one of lthbench's own models", _model("timm:vit_giant_patch14_224"))
forged("enormous_model", "is not one of lthbench's own models", _model("mlp-999999999"))
forged("no_ticket", "has no ticket", lambda f: f.files.pop(f.manifest["tickets"].pop()["file"]["path"]))


def _ticket(content: bytes | Callable[[bytes], bytes]) -> Callable[[Forgery], None]:
    def change(f: Forgery) -> None:
        f.files[f.tickets[0]] = content if isinstance(content, bytes) else content(f.files[f.tickets[0]])

    return change


def _header(change: Callable[[dict[str, Any]], Any]) -> Callable[[Forgery], None]:
    def edit(content: bytes) -> bytes:
        (length,) = struct.unpack("<Q", content[:8])
        header = json.loads(content[8 : 8 + length])
        change(header)
        text = json.dumps(header).encode()
        return struct.pack("<Q", len(text)) + text + content[8 + length :]

    return _ticket(edit)


def _lie(**changes: Any) -> Callable[[Forgery], None]:
    return _header(lambda header: header["values/out.bias"].update(changes))


def _zip_pickle() -> bytes:
    out = io.BytesIO()
    torch.save({"w": torch.zeros(3)}, out)
    return out.getvalue()


forged("pickle_in_disguise", "a header of .* bytes does not fit", _ticket(pickle.dumps(os.system)))
forged("torch_save_in_disguise", "a header of .* bytes does not fit", _ticket(_zip_pickle()))
forged(
    "huge_header",
    "a header of 9,223,372,036,854,775,807 bytes",
    _ticket(lambda c: struct.pack("<Q", 2**63 - 1) + c[8:]),
)
forged("empty_ticket", "it has 0 bytes", _ticket(b""))
forged("cut_ticket", "the tensors end at byte", _ticket(lambda c: c[:-8]))
forged("padded_ticket", "the tensors end at byte", _ticket(lambda c: c + bytes(8)))
forged("lying_shape", "bytes are not F32 of shape", _lie(shape=[10**9]))
forged("overlapping_tensors", "not where the one before it ends", _lie(data_offsets=[0, 40]))
forged("negative_offset", "numbers that are not a shape or offsets", _lie(data_offsets=[-40, 0]))
forged("deep_header", "header cannot be read", _ticket(lambda c: struct.pack("<Q", 100_000) + b"[" * 100_000))
