"""Suites: versioned grids that are read from TOML files. They are validated when they are read, and frozen."""

import json
import math
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator

from lthbench import budget, keys, source
from lthbench.errors import InputError, unknown
from lthbench.models import own
from lthbench.pruning.allocate import ALLOCATIONS
from lthbench.pruning.pattern import Pattern
from lthbench.suite.workload import Frozen, Workload, one_of
from lthbench.training.numerics import PRECISIONS
from lthbench.training.recipe import Recipe

_ROOT = Path(__file__).parent.parent
FOLDER = next(path for path in (_ROOT / "suites", _ROOT.parent / "suites") if path.is_dir())

MODELS = "models"  # the folder in a run folder with copies of the files that hold its models

MOST_RUNS = 100_000  # of a grid; the largest suite that comes with lthbench has about 8,000


def _a_pattern(text: str) -> str:
    try:
        known = not text or Pattern.named(text)
    except InputError as error:
        raise ValueError(str(error)) from None
    if not known:
        raise ValueError("a pattern is N:M, as in 2:4: of every M weights along the input dimension, N stay")
    return text


Fraction = Annotated[float, Field(ge=0, lt=1)]


@dataclass(frozen=True)
class Cell:
    """One point of the grid."""

    workload: Workload
    learning_rate: float
    sparsity: float
    seed: int

    def __str__(self) -> str:
        return f"{self.workload.name} lr {self.learning_rate:g} sparsity {self.sparsity:g} seed {self.seed}"


class Suite(Frozen):
    """A grid of workloads x learning rates x sparsities x seeds, and how methods are run on it.

    `control_sparsities` are the sparsities that controls run on (default: all). `seeds` is their number, or a list of the
    declared looks ([3, 5, 10]). `budget` is a formula in T and n, or "none". `validation` is the number of training
    examples that are held out, and `limit` the number of the others that are used (default: all). `duels` are pairs of
    methods. `tickets` are the methods that get verdicts. `pattern` is N:M (2:4, say) where N of every M weights along the
    input dimension stay; then the sparsity is that of the pattern. `changes` are those of a trial (lthbench.suite.trial). `group`
    is the place of the board on the front page.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    version: str = Field(pattern=r"^\d+\.\d+(\+trial)?$")
    about: str = ""
    changes: tuple[str, ...] = ()
    group: Literal["main", "pretrained", "baselines", "papers", "calibration"] = "main"
    methods: tuple[str, ...] = Field(min_length=1)
    workload: tuple[Workload, ...] = Field(min_length=1)
    learning_rates: tuple[Annotated[float, Field(gt=0)], ...] = Field(min_length=1)
    sparsities: tuple[Fraction, ...] = Field(min_length=1)
    control_sparsities: tuple[Fraction, ...] = ()
    seeds: Annotated[int, Field(ge=1)] | Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]
    budget: str
    allocation: Annotated[str, one_of("allocation", ALLOCATIONS)] = "global"
    pattern: Annotated[str, AfterValidator(_a_pattern)] = ""
    precision: Annotated[str, one_of("precision", PRECISIONS)] = "fp32"
    validation: int = Field(ge=0)
    limit: int | None = Field(None, ge=1)
    recipe: Recipe
    duels: tuple[tuple[str, str], ...] = (("lottery-ticket", "prune-finetune"),)
    tickets: tuple[str, ...] = ("lottery-ticket",)

    @field_validator("workload")
    @classmethod
    def _each_name_once(cls, workloads: tuple[Workload, ...]) -> tuple[Workload, ...]:
        names = [workload.name for workload in workloads]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"two workloads have the name {twice[0]}; rename a file, or write two suites")
        return workloads

    @field_validator("methods", "learning_rates", "sparsities", "workload", "seeds")
    @classmethod
    def _each_once(cls, values: Any) -> Any:
        if isinstance(values, tuple) and len(set(values)) < len(values):
            raise ValueError("contains a name or value twice")
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
    def _what_is_watched_is_held_out(self) -> Self:
        if self.recipe.watch and not self.validation:
            raise ValueError(
                f"recipe.watch = {self.recipe.watch} needs held-out examples, and validation = 0 leaves none; raise it"
            )
        return self

    @model_validator(mode="after")
    def _controls_are_on_the_grid(self) -> Self:
        if off := [s for s in self.control_sparsities if s not in self.sparsities]:
            raise ValueError(f"control_sparsities: {off[0]} is not among the sparsities {list(self.sparsities)}")
        return self

    @model_validator(mode="after")
    def _fits_the_pattern(self) -> Self:
        pattern = Pattern.named(self.pattern)
        if pattern is None:
            return self
        if self.allocation != type(self).model_fields["allocation"].default:
            raise ValueError(
                f"pattern = {self.pattern!r} removes the same share of every layer; leave allocation = {self.allocation!r} out"
            )
        if off := [s for s in self.sparsities if s and not math.isclose(s, pattern.sparsity)]:
            raise ValueError(
                f"sparsities: {off[0]} does not fit the pattern {pattern}, which removes {pattern.sparsity}: write "
                f"sparsities = [{pattern.sparsity}]"
            )
        return self

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read a suite from a file, or by the name of one that comes with lthbench. InputError names file, key and value."""
        file = _find(str(path))
        try:
            content = tomllib.loads(source.read_text(file))
            if "lr" in content.get("recipe", ()):
                raise InputError("recipe.lr is not a key of a suite: the learning rates are learning_rates")
            if isinstance(content.get("recipe"), dict):
                content["recipe"] |= {"lr": 1.0}  # never used: every cell has its own
            return cls.model_validate_json(json.dumps(content, default=str), strict=True).beside(file.parent)
        except ValidationError as error:
            raise InputError("; ".join(f"{file}: {problem}" for problem in problems(error))) from None
        except OSError as error:
            raise InputError(f"cannot read {file}: {error.strerror}") from None
        except (InputError, TypeError, ValueError) as error:  # of TOML and UTF-8 too
            raise InputError(f"{file}: {error}") from None
        except RecursionError:
            raise InputError(f"{file}: tables or lists are nested too deep") from None

    def beside(self, folder: Path) -> Self:
        """Return the suite with the digests of the files beside it that its workloads name. See Workload.beside."""
        return self.model_copy(update={"workload": tuple(workload.beside(folder) for workload in self.workload)})

    def as_json(self) -> str:
        """Return the suite as `suite.json` of a run folder holds it: the keys that were set, and no defaults."""
        return self.model_dump_json(indent=1, exclude_unset=True)

    @cached_property
    def hash(self) -> str:
        """Return a key of everything that a result may depend on. A missing key gives the same hash as its default."""
        shown: Any = dict.fromkeys(("about", "group", "methods", "control_sparsities", "duels", "tickets"), True)
        shown |= {"recipe": {"lr"}, "workload": {"__all__": {"clear_gap"}}}
        return keys.key("suite", self.model_dump(mode="json", exclude_defaults=True, exclude=shown))

    @property
    def looks(self) -> tuple[int, ...]:
        """Return the numbers of seeds at which statements are made, rising."""
        return (self.seeds,) if isinstance(self.seeds, int) else self.seeds

    @property
    def selection(self) -> str:
        """Return how masks are selected: the pattern if there is one, else the allocation."""
        return self.pattern or self.allocation

    def budget_epochs(self, sparsity: float) -> float | None:
        """Return the epochs that a method may spend at a sparsity; None where the suite sets no budget."""
        if self.budget == "none":
            return None
        return budget.evaluate(self.budget, {"T": self.recipe.epochs, "n": len(budget.rounds(sparsity))})

    def check_size(self, methods: int) -> None:
        """Raise InputError where the grid of a number of methods has more than MOST_RUNS runs."""
        sizes = {"methods": methods, "workloads": len(self.workload), "learning rates": len(self.learning_rates)}
        sizes |= {"sparsities": len(self.sparsities), "seeds": max(self.looks)}
        if (runs := math.prod(sizes.values())) > MOST_RUNS:
            grid = " x ".join(f"{count:,} {name}" for name, count in sizes.items())
            raise InputError(
                f"suite {self.name} has up to {runs:,} runs ({grid}), and one folder takes {MOST_RUNS:,}; make it smaller"
            )

    def cells(self, dense: bool = False, control: bool = False) -> list[Cell]:
        """Return the grid, seeds innermost, so that neighbours share no training; only sparsity 0 for dense references."""
        sparsities = self.control_sparsities or self.sparsities if control else self.sparsities
        return [
            Cell(workload, rate, sparsity, seed)
            for workload in self.workload
            for sparsity in ((0.0,) if dense else sparsities)
            for rate in self.learning_rates
            for seed in range(max(self.looks))
        ]


def in_folder(folder: Path) -> Suite:
    """Read the suite that a run folder was made with."""
    path = folder / "suite.json"
    own.register_kept(folder / MODELS)
    try:
        return Suite.model_validate_json(json.dumps(_as_set(json.loads(source.read_text(path)))))
    except FileNotFoundError:
        raise InputError(
            f"{folder} is not a run folder: it has no suite.json; lthbench run SUITE --out {folder} makes one"
        ) from None
    except ValidationError as error:
        why = problems(error)[0]
    except (InputError, OSError, TypeError, ValueError, RecursionError) as error:
        why = " ".join(str(error).split())
    raise InputError(f"{path} cannot be read: {why}; run the suite in another folder, with --out")


def _as_set(content: Any) -> Any:
    """Return the content of a suite.json without the duels and tickets that an older lthbench wrote for every suite."""
    if not isinstance(content, dict):
        return content
    defaults = {name: Suite.model_fields[name].default for name in ("duels", "tickets")}
    written = {name: json.loads(json.dumps(default)) for name, default in defaults.items()}
    return {name: value for name, value in content.items() if name not in written or value != written[name]}


def names() -> list[str]:
    """Return the names of the suites that come with lthbench."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def _find(path: str) -> Path:
    """Return the file at a path; for `digits` or `suites/digits.toml` outside a checkout, the one that comes with lthbench."""
    if Path(path).is_file():
        return Path(path)
    own = FOLDER / f"{Path(path).stem}.toml"
    if own.is_file() and path in (own.stem, f"suites/{own.name}"):
        return own
    raise InputError(unknown("suite", path, names()) + " Give one of these, or the path of a TOML file.")


def problems(error: ValidationError) -> list[str]:
    """Return a line for each problem. A problem of a list that follows from one of its items is left out."""
    found = error.errors()
    places = [e["loc"] for e in found]
    return [_problem(e) for e in found if not any(other[: len(e["loc"])] == e["loc"] != other for other in places)]


def _problem(error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"] if part not in ("int", "constrained-int")) or "suite"
    if error["type"] in ("missing", "missing_argument"):
        return f"{where} is missing"
    if error["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"{where}: " + unknown("key", str(error["loc"][-1]), _keys(error["loc"]))
    value = "" if where == "suite" else f" = {error['input']!r:.200}"
    return f"{where}{value}: {error['msg'].removeprefix('Value error, ')}"


def _keys(location: tuple[Any, ...]) -> Any:
    """Return the keys that the table at a location has."""
    tables: dict[Any, Any] = {"recipe": Recipe.__dataclass_fields__.keys() - {"lr"}, "workload": Workload.model_fields}
    return tables.get(location[0], ()) if len(location) > 1 else Suite.model_fields


Track = Literal["one-shot", "iterative", "dense"]
