"""Workloads: a model on a data set, as a table of a suite names them."""

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from lthbench.errors import InputError, unknown
from lthbench.models import INITIALISATIONS, PRUNABLE, STEMS, Model, own
from lthbench.pruning import starts

DIGEST: Any = Field("", pattern=r"^([0-9a-f]{32})?$")


def one_of(what: str, known: Any) -> AfterValidator:
    """Return a validator that refuses a name that is not known, with the ones that are."""

    def check(name: str) -> str:
        if name not in known:
            raise ValueError(unknown(what, name, known))
        return name

    return AfterValidator(check)


class Frozen(BaseModel):
    """A table of a suite. An unknown key or an infinite number is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, allow_inf_nan=False)


class Workload(Frozen):
    """A model with its initialisation on a data set, its prunable parameters, and the tolerance within which accuracies are similar.

    `prunable` is the name of a set ("all", "ma2021", …), which classifies every parameter, or a list of patterns; then
    `dense` lists the patterns of the other parameters. `stem` is "cifar" or "tiny-imagenet" for ImageNet models on small
    images. `tolerance` and `clear_gap`, by which a verdict's ticket must beat its controls, are in percentage points of test
    accuracy. `sufficient` says that the recipe trains the dense
    network well. `model` may be FILE.py:NAME, and `start` the file of pretrained weights, both beside the suite; or `start`
    is "timm:NAME.TAG". Their digests are noted when the suite is read; a suite that says one is refused with another file.
    """

    model: str
    dataset: str
    init: Annotated[str, one_of("initialisation", INITIALISATIONS)] = "kaiming-normal"
    prunable: str | tuple[str, ...] = ("*.weight",)
    dense: tuple[str, ...] = ("*.bias",)
    tolerance: float = Field(0.5, gt=0)
    clear_gap: float = Field(0.5, gt=0)
    sufficient: bool = True
    stem: Annotated[str, one_of("stem", ("", *STEMS))] = ""
    start: str = ""
    start_digest: str = DIGEST
    model_digest: str = DIGEST

    @model_validator(mode="after")
    def _a_set_or_patterns(self) -> Self:
        if isinstance(self.prunable, str):
            if self.prunable not in PRUNABLE:
                raise ValueError("prunable: " + unknown("prunable set", self.prunable, PRUNABLE))
            if self.dense != type(self).model_fields["dense"].default:
                raise ValueError(f"prunable = {self.prunable!r} classifies every parameter; leave dense out")
        return self

    @property
    def name(self) -> str:
        start = f" from {starts.label(self.start)}" if self.start else ""
        return f"{own.short(self.model)}/{self.dataset}{start}"

    @property
    def model_name(self) -> str:
        """Return the name of the model, with the digest of its file where it lies in one."""
        return own.named(self.model, self.model_digest) if own.is_written(self.model) else self.model

    def beside(self, folder: Path) -> Self:
        """Return the workload with the digests of the files that it names in a folder.

        InputError where one is not there, or is not the one whose digest the workload says.
        """
        found = {"start_digest": starts.register(self.start, folder, self.start_digest)} if self.start else {}
        if own.is_written(self.model):
            found["model_digest"] = own.register_beside(self.model, folder, self.model_digest)
        return self.model_copy(update={name: digest for name, digest in found.items() if digest})

    def build(self, shape: tuple[int, int, int], classes: int) -> Model:
        """Return the model for images of this shape. Raises InputError if a parameter is not classified."""
        dense = () if isinstance(self.prunable, str) else self.dense
        model = Model(self.model_name, shape, classes, self.prunable, dense, stem=self.stem)
        if not model.prunable_count:
            raise InputError(f"workload {self.name}: prunable = {self.prunable!r} matches no parameter")
        return model
