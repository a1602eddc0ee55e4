"""The manifest of a bundle: what was submitted, by whom, and the size and sha256 of every file of it."""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from lthbench.errors import InputError
from lthbench.models import INITIALISATIONS, Model

FORMAT = 1
NAME = "manifest.json"
SOURCE = "method.py"
RECORDS = "records.jsonl"

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # names that are devices on Windows
_UNSEEN = {"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"}  # control, direction and zero-width, private, unassigned


class BundleError(InputError):
    """A bundle is not what a bundle is: the first thing that is wrong with it."""


def plain_text(text: str) -> str:
    """A text that shows what it says, in a terminal, a page and a spreadsheet. ValueError for others."""
    unseen = sorted({f"U+{ord(c):04X}" for c in text if unicodedata.category(c) in _UNSEEN})
    if unseen:
        raise ValueError(f"holds characters that are not seen ({', '.join(unseen[:3])})")
    if unicodedata.normalize("NFC", text) != text:
        raise ValueError("is not in Unicode's normal form NFC")
    if "<" in text or ">" in text:
        raise ValueError("holds < or >, which would be markup on a page")
    if text[:1] in ("=", "+", "-", "@"):
        raise ValueError(f"begins with {text[:1]!r}, which would be a formula in a spreadsheet")
    return text


def plain_path(path: str) -> str:
    """A relative path inside the bundle, in ASCII. ValueError for others."""
    if not _PLAIN.fullmatch(path) or len(path) > 200:
        raise ValueError(f"{path[:80]!r} is no path inside a bundle: letters, digits, . _ - and / between folders")
    if any(_DEVICES.fullmatch(part) or part.endswith(".") for part in PurePosixPath(path).parts):
        raise ValueError(f"{path[:80]!r} is no file name on every system")
    return path


def _paper(text: str) -> str:
    if text and not re.fullmatch(
        r"https?://[^\s\"'()\[\]|`\\]+|arXiv:\d{4}\.\d{4,5}(v\d+)?|doi:10\.[^\s|`\\]+|[^|`\\\[\]]+", text
    ):
        raise ValueError("is neither a link, arXiv:…, doi:… nor a plain reference")
    return text


Text = Annotated[str, Field(max_length=300), AfterValidator(plain_text)]
Path_ = Annotated[str, AfterValidator(plain_path)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Label = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}(\[[A-Za-z0-9_=.,+-]{0,200}\])?$")]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, populate_by_name=True)


class File(_Strict):
    """A file of the bundle."""

    path: Path_
    size: int = Field(ge=0, le=4_000_000_000)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Architecture(_Strict):
    """A model, as lthbench.models.Model has it."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}$")
    shape: tuple[int, int, int]
    classes: int = Field(ge=2, le=1_000_000)
    prunable: Annotated[str, Field(max_length=100)] | Annotated[tuple[str, ...], Field(max_length=1000)]
    dense: Annotated[tuple[str, ...], Field(max_length=1000)] = ()
    width: float = Field(1.0, ge=0, le=16)
    stem: str = Field("", max_length=100)

    @property
    def model(self) -> Model:
        return Model(**{name: getattr(self, name) for name in type(self).model_fields})


class Origin(_Strict):
    """Where the start weights come from: the seed, a state of a training, or an edit by the method."""

    kind: Literal["init", "trained", "edited"]
    scheme: str | None = None
    seed: int | None = None
    stream: int | None = None
    trajectory: Digest | None = None
    step: int | None = Field(None, ge=0)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        needed = {"init": {"scheme", "seed", "stream"}, "trained": {"trajectory", "step"}, "edited": set()}[self.kind]
        given = {name for name, value in self if value is not None} - {"kind"}
        if given != needed:
            raise ValueError(f"an origin of kind {self.kind!r} has {', '.join(sorted(needed)) or 'nothing else'}")
        if self.scheme is not None and self.scheme not in INITIALISATIONS:
            raise ValueError(f"there is no initialisation {self.scheme[:40]!r}")
        return self


class Ticket(_Strict):
    """Start weights, mask and final values of one run, in a file of tensors."""

    workload: Text
    learning_rate: float
    sparsity: float
    seed: int
    model: Architecture
    origin: Origin
    file: File

    @property
    def cell(self) -> tuple[str, float, float, int]:
        return self.workload, self.learning_rate, self.sparsity, self.seed


class Score(_Strict):
    """What the author claims of a cell: so many seeds that did not diverge, their mean test accuracy in percent."""

    workload: Text
    learning_rate: float
    sparsity: float
    n: int
    mean: float | None


class Named(_Strict):
    """A suite by name, version and hash."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")
    version: str = Field(pattern=r"^\d{1,6}\.\d{1,6}$")
    hash: Digest


class Manifest(_Strict):
    """What lies in a bundle. Keys that are not named here are refused."""

    format: Literal[1] = 1
    suite: Named
    method: Label
    authors: Annotated[tuple[Text, ...], Field(min_length=1, max_length=100)]
    paper: Annotated[Text, AfterValidator(_paper)] = ""
    license: str = Field(
        alias="licence", pattern=r"^[A-Za-z0-9][A-Za-z0-9.+-]{0,63}$"
    )  # of the method's source, an SPDX identifier
    lthbench: str = Field(pattern=r"^[0-9][0-9A-Za-z.+-]{0,40}$")
    environment: Annotated[dict[Text, Text], Field(max_length=40)]
    source: File
    records: File
    scores: Annotated[tuple[Score, ...], Field(max_length=100_000)]
    tickets: Annotated[tuple[Ticket, ...], Field(max_length=60_000)]

    @model_validator(mode="after")
    def _each_file_once(self) -> Self:
        paths = [NAME, *(file.path for file in self.files)]
        if (self.source.path, self.records.path) != (SOURCE, RECORDS):
            raise ValueError(f"the source is {SOURCE} and the records are {RECORDS}")
        folded = [path.lower() for path in paths]
        if len(set(folded)) < len(folded):
            raise ValueError("two files of one name")
        cells = [ticket.cell for ticket in self.tickets]
        if len(set(cells)) < len(cells):
            raise ValueError("two tickets of one cell")
        return self

    @property
    def files(self) -> list[File]:
        return [self.source, self.records, *(ticket.file for ticket in self.tickets)]

    @property
    def bytes(self) -> bytes:
        """As it is written."""
        return (self.model_dump_json(indent=1, by_alias=True) + "\n").encode()


def parse(content: bytes) -> Manifest:
    """A manifest. BundleError names the first field that is wrong."""
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        raise BundleError(first_problem(error)) from None


def first_problem(error: ValidationError) -> str:
    """The first field that is wrong, and why."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part)[:60] for part in first["loc"]) or NAME
    return f"{NAME}: {shown(where)}: {shown(first['msg'].removeprefix('Value error, '))}"


def texts(value: Any) -> Iterator[str]:
    """Every text in plain nested values, keys too."""
    match value:
        case str():
            yield value
        case Mapping():
            for name, item in value.items():
                yield from (name, *texts(item))
        case list() | tuple():
            for item in value:
                yield from texts(item)


def shown(text: str) -> str:
    """What a message may quote of a stranger's text."""
    return "".join(c if c.isprintable() else "?" for c in text)[:300]
