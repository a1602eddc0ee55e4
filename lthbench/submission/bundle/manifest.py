"""The manifest of a bundle: what was submitted, by whom, and the size and sha256 of every file of it."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from lthbench.errors import InputError
from lthbench.models import INITIALISATIONS, Model
from lthbench.submission.bundle.plain import Digest, Label, Name, Path_, Text, Whole, shown

NAME = "manifest.json"
SOURCE = "method.py"
RECORDS = "records.jsonl"
HELPERS = 8  # modules beside a method
TICKETS = 20_000
ITEMS = 1_000_000  # commas in a manifest: what memory it takes grows with them


class BundleError(InputError):
    """The first thing that is wrong with a bundle, in one printable line."""

    def __init__(self, message: str):
        super().__init__(shown(message, 1000))


def _paper(text: str) -> str:
    if text and not re.fullmatch(
        r"https?://[^\s\"'()\[\]|`\\]+|arXiv:\d{4}\.\d{4,5}(v\d+)?|doi:10\.[^\s|`\\]+|[^|`\\\[\]]+", text
    ):
        raise ValueError("is neither a link, arXiv:…, doi:… nor a plain reference")
    return text


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, populate_by_name=True)


class File(_Strict):
    """A file of the bundle."""

    path: Path_
    size: int = Field(ge=0, le=4_000_000_000)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Helper(File):
    """A module that the method's source imports, beside it."""

    path: str = Field(pattern=r"^[a-z_][a-z0-9_]{0,59}\.py$")


Side = Annotated[int, Field(ge=1, le=100_000)]
Patterns = Annotated[tuple[Annotated[str, Field(max_length=200)], ...], Field(max_length=1000)]


class Architecture(_Strict):
    """A model, as lthbench.models.Model has it."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}$")
    shape: tuple[Side, Side, Side]
    classes: int = Field(ge=2, le=1_000_000)
    prunable: Annotated[str, Field(max_length=100)] | Patterns
    dense: Patterns = ()
    width: float = Field(1.0, ge=0, le=16)
    stem: str = Field("", max_length=100)

    @property
    def written(self) -> str:
        """Return the name as a suite writes it, with the width as its ending."""
        return self.name if self.width == 1 else f"{self.name}-w{self.width:.3g}"

    @property
    def model(self) -> Model:
        return Model(**{name: getattr(self, name) for name in type(self).model_fields})


NEEDED: dict[str, set[str]] = {  # by kind of an origin: what else it says
    "init": {"scheme", "seed", "stream"},
    "pretrained": {"scheme", "seed", "stream", "start"},
    "trained": {"trajectory", "step"},
    "edited": set(),
}


class Origin(_Strict):
    """Where the start weights come from: the seed, the workload's start, a state of a training, an edit by the method."""

    kind: Literal["init", "pretrained", "trained", "edited"]
    scheme: Annotated[str, Field(max_length=100)] | None = None
    seed: Whole | None = None
    stream: Whole | None = None
    trajectory: Digest | None = None
    step: Whole | None = None
    start: Digest | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        needed = NEEDED[self.kind]
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
    seed: Whole
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
    n: Whole
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
    authors: Annotated[tuple[Name, ...], Field(min_length=1, max_length=100)]
    paper: Annotated[Text, AfterValidator(_paper)] = ""
    license: str = Field(
        alias="licence", pattern=r"^[A-Za-z0-9][A-Za-z0-9.+-]{0,63}$"
    )  # of the method's source, an SPDX identifier
    lthbench: str = Field(pattern=r"^[0-9][0-9A-Za-z.+-]{0,40}$")
    environment: Annotated[dict[Text, Text], Field(max_length=40)]
    source: File
    helpers: Annotated[tuple[Helper, ...], Field(max_length=HELPERS)] = ()
    records: File
    scores: Annotated[tuple[Score, ...], Field(max_length=100_000)]
    tickets: Annotated[tuple[Ticket, ...], Field(max_length=TICKETS)]

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
        return [self.source, *self.helpers, self.records, *(ticket.file for ticket in self.tickets)]

    @property
    def bytes(self) -> bytes:
        """Return the file as it is written, without helpers where there are none."""
        lacking = None if self.helpers else {"helpers"}
        return (self.model_dump_json(indent=1, by_alias=True, exclude=lacking) + "\n").encode()


def parse(content: bytes) -> Manifest:
    """Read a manifest. BundleError names the first field that is wrong."""
    if content.count(b",") > ITEMS:
        raise BundleError(f"{NAME}: holds more than {ITEMS:,} items")
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        raise BundleError(first_problem(error)) from None


def first_problem(error: ValidationError) -> str:
    """Name the first field that is wrong, and say why."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part)[:60] for part in first["loc"]) or NAME
    return f"{NAME}: {shown(where)}: {shown(first['msg'].removeprefix('Value error, '))}"


def texts(value: Any) -> Iterator[str]:
    """Yield every text in plain nested values, keys too."""
    match value:
        case str():
            yield value
        case Mapping():
            for name, item in value.items():
                yield from (name, *texts(item))
        case list() | tuple():
            for item in value:
                yield from texts(item)
