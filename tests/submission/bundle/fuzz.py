"""A mutation loop over what a bundle is made of: `python -m tests.submission.bundle.fuzz BUNDLE [--seconds 60] [--seed 0]`.

Every mutated input must be read or refused in one line, within a memory bound, whatever it holds. Prints how many inputs of
each kind were tried, how many were refused, and the largest memory; exits 1 at the first traceback.
"""

import argparse
import random
import resource
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from lthbench.errors import InputError
from lthbench.runs.records import record as records
from lthbench.submission.bundle import bundle as bundles
from lthbench.submission.bundle import manifest, tensors
from lthbench.submission.verification.verify import Options, verify
from lthbench.suite import FOLDER, Suite
from tests.submission.forge import Forgery

MEMORY = 8_000_000_000  # bytes of address space: torch takes half of it before anything is read
ODD = [b"\0", b"\xff", b"[", b"{", b'"', b"\\u0000", b"1e999", b"-1", b"99999999999999999999", b"null", b"true", b"NaN",
       b"\xe2\x80\xae", b"../", b"<b>", b"=1+1", b"\n", b"[" * 3000]  # fmt: skip


def mutated(content: bytes, rng: random.Random) -> bytes:
    """One to four changes: bytes flipped, cut out, doubled, put in, numbers swapped."""
    out = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(out) + 1)
        end = min(len(out), at + rng.choice((1, 2, 8, 64, 1000)))
        match rng.randrange(6):
            case 0 if at < len(out):
                out[at] ^= 1 << rng.randrange(8)
            case 1:
                del out[at:end]
            case 2:
                out[at:at] = out[at:end]
            case 3:
                out[at:at] = rng.choice(ODD)
            case 4:
                out[at:end] = rng.randbytes(end - at)
            case _:
                out[at:end] = str(rng.choice((0, -1, 2**31, 2**63, 10**30))).encode()
    return bytes(out)


def targets(good: Path, folder: Path) -> dict[str, tuple[bytes, Callable[[bytes], object]]]:
    """What is fuzzed: an honest content, and what reads it."""
    forgery = Forgery.of(good)
    named = manifest.parse((good / "manifest.json").read_bytes())
    ticket = named.tickets[0]
    line = forgery.files["records.jsonl"].split(b"\n")[0]

    def whole(content: bytes) -> None:
        (folder / "b.zip").write_bytes(content)
        with bundles.opened(folder / "b.zip") as bundle:
            for each in bundle.manifest.tickets:
                bundle.final(each)

    def claims(content: bytes) -> None:
        (folder / "c.zip").write_bytes(content)
        report = verify(folder / "c.zip", Options("claimed"))
        assert all(found.isprintable() for *_, found in report.rows)
        if not report.passed:
            raise InputError(next(found for _, _, passed, found in report.rows if passed == "FAILED"))

    def lines(content: bytes) -> None:
        other = Forgery.of(good)
        other.files["records.jsonl"] = content
        other.rehash()
        claims(other.zip(folder / "l.zip").read_bytes())

    def suite(content: bytes) -> None:
        (folder / "s.toml").write_bytes(content)
        _ = Suite.read(str(folder / "s.toml")).hash

    def final(content: bytes) -> None:
        bundles.final(ticket.model.model, ticket.origin.model_dump(exclude_none=True), content, "ticket")

    def record(content: bytes) -> None:
        records.parse(content.decode(errors="replace"), "line")

    return {
        "manifest": ((good / "manifest.json").read_bytes(), manifest.parse),
        "record": (line, record),
        "safetensors header": (forgery.files[ticket.file.path], lambda content: tensors.header(content, "ticket")),
        "ticket": (forgery.files[ticket.file.path], final),
        "zip": (forgery.zip(folder / "good.zip").read_bytes(), whole),
        "claims": (forgery.zip(folder / "good.zip").read_bytes(), claims),
        "claims of records": (forgery.files["records.jsonl"], lines),
        "suite": ((FOLDER / "smoke.toml").read_bytes(), suite),
    }


def fuzz(good: Path, seed: int, seconds: float, most: int = sys.maxsize) -> tuple[Counter[str], Counter[str]]:
    """Inputs tried and refused, by kind, for so many seconds or inputs. Any other error than a refusal passes on."""
    rng, tried, refused = random.Random(seed), Counter[str](), Counter[str]()
    with tempfile.TemporaryDirectory(prefix="lthbench-fuzz-") as folder:
        end = time.monotonic() + seconds
        kinds = targets(good, Path(folder))
        while time.monotonic() < end and tried.total() < most:
            for kind, (content, read) in kinds.items():
                tried[kind] += 1
                try:
                    read(mutated(content, rng))
                except InputError as error:
                    refused[kind] += 1
                    assert "\n" not in str(error) and len(str(error)) < 5000, f"{kind}: not one line: {error!s:.300}"
    return tried, refused


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    try:
        tried, refused = fuzz(given.bundle, given.seed, given.seconds)
    except Exception:
        traceback.print_exc()
        sys.exit(1)
    for kind, count in tried.items():
        print(f"{kind}: {count:,} tried, {refused[kind]:,} refused")
    print(
        f"{tried.total():,} inputs, largest resident {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB"
    )


if __name__ == "__main__":
    main()
