"""Suites: versioned grids read from TOML, validated on the way in, frozen from then on."""

import json
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from lthbench import budget, keys
from lthbench.errors import InputError, unknown
from lthbench.models import INITIALISATIONS, PRUNABLE, STEMS, Model
from lthbench.pruning.allocate import ALLOCATIONS
from lthbench.training.numerics import PRECISIONS
from lthbench.training.recipe import Recipe

_ROOT = Path(__file__).parent
FOLDER = next(path for path in (_ROOT / "suites", _ROOT.parent / "suites") if path.is_dir())


def _one_of(what: str, known: Any) -> AfterValidator:
    def check(name: str) -> str:
        if name not in known:
            raise ValueError(unknown(what, name, known))
        return name

    return AfterValidator(check)


Fraction = Annotated[float, Field(ge=0, lt=1)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


class Workload(_Frozen):
    """A model with its initialisation on a data set, which parameters are prunable, and what counts as similar there.

    `prunable`: a set by name ("all", "ma2021", …, which classifies every parameter), or patterns, whose counterpart is
    `dense`. `stem`: "cifar" or "tiny-imagenet" for ImageNet models on small images. `tolerance` is in percentage points
    of test accuracy. `sufficient`: the recipe trains the dense network well.
    """

    model: str
    dataset: str
    init: Annotated[str, _one_of("initialisation", INITIALISATIONS)] = "kaiming-normal"
    prunable: str | tuple[str, ...] = ("*.weight",)
    dense: tuple[str, ...] = ("*.bias",)
    tolerance: float = Field(0.5, gt=0)
    sufficient: bool = True
    stem: Annotated[str, _one_of("stem", ("", *STEMS))] = ""

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
        return f"{self.model}/{self.dataset}"

    def build(self, shape: tuple[int, int, int], classes: int) -> Model:
        """The model for images of this shape. Raises InputError if a parameter is not classified."""
        dense = () if isinstance(self.prunable, str) else self.dense
        model = Model(self.model, shape, classes, self.prunable, dense, stem=self.stem)
        if not model.prunable_count:
            raise InputError(f"workload {self.name}: prunable = {self.prunable!r} matches no parameter")
        return model


@dataclass(frozen=True)
class Cell:
    """One point of the grid."""

    workload: Workload
    learning_rate: float
    sparsity: float
    seed: int

    def __str__(self) -> str:
        return f"{self.workload.name} lr {self.learning_rate:g} sparsity {self.sparsity:g} seed {self.seed}"


class Suite(_Frozen):
    """workloads x learning rates x sparsities x seeds, and how methods are run on them.

    `control_sparsities`: those of the sparsities that controls run on (default: all).
    `seeds`: how many, or the declared looks ([3, 5, 10]). `budget`: a formula in T and n, or "none". `validation`: how
    many training examples are held out. `duels`: pairs of methods; `tickets`: methods that verdicts are given on.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    version: str = Field(pattern=r"^\d+\.\d+$")
    about: str = ""
    methods: tuple[str, ...] = Field(min_length=1)
    workload: tuple[Workload, ...] = Field(min_length=1)
    learning_rates: tuple[Annotated[float, Field(gt=0)], ...] = Field(min_length=1)
    sparsities: tuple[Fraction, ...] = Field(min_length=1)
    control_sparsities: tuple[Fraction, ...] = ()
    seeds: Annotated[int, Field(ge=1)] | Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]
    budget: str
    allocation: Annotated[str, _one_of("allocation", ALLOCATIONS)] = "global"
    precision: Annotated[str, _one_of("precision", PRECISIONS)] = "fp32"
    validation: int = Field(ge=0)
    recipe: Recipe
    duels: tuple[tuple[str, str], ...] = (("lottery-ticket", "prune-finetune"),)
    tickets: tuple[str, ...] = ("lottery-ticket",)

    @field_validator("methods", "learning_rates", "sparsities", "workload", "seeds")
    @classmethod
    def _each_once(cls, values: Any) -> Any:
        if isinstance(values, tuple) and len(set(values)) < len(values):
            raise ValueError("names something twice")
        return values

    @field_validator("seeds")
    @classmethod
    def _rising(cls, seeds: Any) -> Any:
        if isinstance(seeds, tuple) and list(seeds) != sorted(seeds):
            raise ValueError("the declared looks must rise")
        return seeds

    @field_validator("budget")
    @classmethod
    def _a_formula(cls, formula: str) -> str:
        if formula != "none":
            try:
                budget.evaluate(formula, {"T": 1.0, "n": 1.0})
            except InputError as error:
                raise ValueError(str(error)) from None
        return formula

    @model_validator(mode="after")
    def _pairs_are_there(self) -> Self:
        asked = {name: "duels" for pair in self.duels for name in pair} | dict.fromkeys(self.tickets, "tickets")
        for name, key in asked.items():
            if key in self.model_fields_set and name not in self.methods:
                raise ValueError(f"{key}: " + unknown("method of this suite", name, self.methods))
        return self

    @model_validator(mode="after")
    def _controls_are_on_the_grid(self) -> Self:
        if off := [s for s in self.control_sparsities if s not in self.sparsities]:
            raise ValueError(f"control_sparsities: {off[0]} is not among the sparsities {list(self.sparsities)}")
        return self

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """A suite from a file, or by the name of one that comes with lthbench. InputError names file, key and value."""
        file = _find(str(path))
        try:
            content = tomllib.loads(file.read_text())
            if "lr" in content.get("recipe", ()):
                raise InputError("recipe.lr is not a key of a suite: the rates are learning_rates")
            if isinstance(content.get("recipe"), dict):
                content["recipe"] |= {"lr": 1.0}  # of no account: every cell has its own
            return cls.model_validate_json(json.dumps(content, default=str), strict=True)
        except ValidationError as error:
            raise InputError("; ".join(_problem(file, e) for e in error.errors())) from None
        except (InputError, TypeError, ValueError) as error:  # of TOML and UTF-8 too
            raise InputError(f"{file}: {error}") from None
        except RecursionError:
            raise InputError(f"{file}: tables or lists lie too deep") from None

    @cached_property
    def hash(self) -> str:
        """A key of everything that a result may depend on; a key that is left out is as good as its default."""
        shown: Any = dict.fromkeys(("about", "methods", "control_sparsities", "duels", "tickets"), True)
        shown |= {"recipe": {"lr"}}
        return keys.key("suite", self.model_dump(mode="json", exclude_defaults=True, exclude=shown))

    @property
    def looks(self) -> tuple[int, ...]:
        """The numbers of seeds at which statements are made."""
        return (self.seeds,) if isinstance(self.seeds, int) else self.seeds

    def budget_epochs(self, sparsity: float) -> float | None:
        """Epochs that a method may spend at a sparsity; None where the suite sets no budget."""
        if self.budget == "none":
            return None
        return budget.evaluate(self.budget, {"T": self.recipe.epochs, "n": len(budget.rounds(sparsity))})

    def cells(self, dense: bool = False, control: bool = False) -> list[Cell]:
        """The grid, seeds innermost, so that neighbours share no training; sparsity 0 alone for dense references."""
        sparsities = self.control_sparsities or self.sparsities if control else self.sparsities
        return [
            Cell(workload, rate, sparsity, seed)
            for workload in self.workload
            for sparsity in ((0.0,) if dense else sparsities)
            for rate in self.learning_rates
            for seed in range(max(self.looks))
        ]


def in_folder(folder: Path) -> Suite:
    """The suite that a run folder was made with."""
    path = folder / "suite.json"
    try:
        return Suite.model_validate_json(path.read_bytes())
    except OSError:
        raise InputError(
            f"{folder} is no run folder: it has no suite.json; lthbench run SUITE --out {folder} makes one"
        ) from None
    except ValidationError as error:
        raise InputError("; ".join(_problem(path, e) for e in error.errors())) from None


def names() -> list[str]:
    """The suites that come with lthbench."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def _find(path: str) -> Path:
    """A file; else, for `digits` or `suites/digits.toml` typed outside a checkout, the one that comes with lthbench."""
    if Path(path).is_file():
        return Path(path)
    own = FOLDER / f"{Path(path).stem}.toml"
    if own.is_file() and path in (own.stem, f"suites/{own.name}"):
        return own
    raise InputError(unknown("suite", path, names()) + " Give one of these, or the path of a TOML file.")


def _problem(file: Path, error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"] if part not in ("int", "constrained-int")) or "suite"
    if error["type"] in ("missing", "missing_argument"):
        return f"{file}: {where} is missing"
    if error["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"{file}: {where} is not a key of a suite; " + unknown("key", str(error["loc"][-1]), _keys(error["loc"]))
    value = "" if where == "suite" else f" = {error['input']!r:.200}"
    return f"{file}: {where}{value}: {error['msg'].removeprefix('Value error, ')}"


def _keys(location: tuple[Any, ...]) -> Any:
    """The keys that there are in the table of a location."""
    tables: dict[Any, Any] = {"recipe": Recipe.__dataclass_fields__.keys() - {"lr"}, "workload": Workload.model_fields}
    return tables.get(location[0], ()) if len(location) > 1 else Suite.model_fields


Track = Literal["one-shot", "iterative", "dense"]
