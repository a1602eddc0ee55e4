"""Forged bundles: an honest one is taken apart, changed, and put together again with every hash made anew."""

import hashlib
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load, save
from torch import Tensor

from lthbench import source
from lthbench.runs.records.record import parse
from lthbench.submission.bundle.submit import claimed_scores


@dataclass
class Forgery:
    """A bundle in pieces."""

    manifest: dict[str, Any]
    files: dict[str, bytes]

    @classmethod
    def of(cls, good: Path) -> "Forgery":
        files = {p.relative_to(good).as_posix(): p.read_bytes() for p in good.rglob("*") if p.is_file()}
        return cls(json.loads(files.pop("manifest.json")), files)

    @property
    def tickets(self) -> list[str]:
        return [ticket["file"]["path"] for ticket in self.manifest["tickets"]]

    def records(self, change: Callable[[list[dict[str, Any]]], None], scores: bool = True) -> None:
        """Change the records; `scores` makes the manifest's claims agree."""
        lines = [json.loads(line) for line in self.files["records.jsonl"].decode().splitlines()]
        change(lines)
        self.files["records.jsonl"] = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()
        if scores:
            there = [parse(json.dumps(line), "") for line in lines]
            self.manifest["scores"] = [score.model_dump() for score in claimed_scores(there)]

    def result(self, number: int = 0, **changes: Any) -> None:
        """Change the result of one record."""
        self.records(lambda lines: lines[number]["result"].update(changes), scores="test" in changes)

    def tensors(self, change: Callable[[dict[str, Tensor]], None], number: int = 0) -> None:
        """Change the tensors of one ticket."""
        found = load(self.files[self.tickets[number]])
        change(found)
        self.files[self.tickets[number]] = save({n: t.contiguous() for n, t in found.items()})

    def method(self, text: str) -> None:
        """Another source, to which the records agree."""
        self.files["method.py"] = text.encode()
        digest = source.digest_of(text)
        self.records(lambda lines: [line["result"].update(source=digest) for line in lines], scores=False)  # type: ignore[func-returns-value]

    def rehash(self) -> None:
        """Sizes and sha256 as they are now."""
        helpers = self.manifest.get("helpers", [])
        tickets = [ticket["file"] for ticket in self.manifest["tickets"]]
        for file in [self.manifest["source"], *helpers, self.manifest["records"], *tickets]:
            if file["path"] in self.files:
                content = self.files[file["path"]]
                file |= {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}

    @property
    def everything(self) -> dict[str, bytes]:
        return {"manifest.json": json.dumps(self.manifest).encode()} | self.files

    def write(self, out: Path) -> Path:
        for name, content in self.everything.items():
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            (out / name).write_bytes(content)
        return out

    def zip(self, out: Path, add: Callable[[zipfile.ZipFile], None] = lambda archive: None, **options: Any) -> Path:
        with zipfile.ZipFile(out, "w", **options) as archive:
            for name, content in self.everything.items():
                archive.writestr(name, content)
            add(archive)
        return out
