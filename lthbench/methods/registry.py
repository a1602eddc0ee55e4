"""Methods by name: those in `baselines/`, those of installed packages (entry points `lthbench.methods`), and those in
files that the user names. All come through the same door: a file is loaded, `@method` enters its functions here."""

import contextlib
import hashlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_type_hints

from lthbench import source
from lthbench.errors import InputError, unknown
from lthbench.suite import Track

if TYPE_CHECKING:
    from lthbench.methods.network import Network

_ROOT = Path(__file__).parent.parent
FOLDER = next(path for path in (_ROOT / "baselines", _ROOT.parent / "baselines") if path.is_dir())

METHODS: dict[str, "Method"] = {}

MODULES = "lthbench_method_"  # what the module of a method file is called, before its stem and a digest

M = TypeVar("M", bound=Callable[..., "Network"])


@dataclass(frozen=True)
class Method:
    """A method function with its contract.

    `cost`: epochs of training, a formula in T, n and its own parameters, "<=" in front where it depends on the data.
    `control_of`: the method that it is a control of. `at_zero`: the method whose result it must give at sparsity 0.
    `suite`: what `lthbench check` tries it on, where the perceptron of `smoke` has not what it needs.
    """

    name: str
    function: Callable[..., "Network"]
    cost: str
    track: Track
    cite: str
    control_of: str | None
    at_zero: str | None
    source: str  # a digest of the code of its file, as it was loaded
    suite: str = "smoke"
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The name, with the parameters that were given: `imp[rewind=100]`."""
        given = ",".join(f"{name}={value}" for name, value in self.parameters.items())
        return f"{self.name}[{given}]" if given else self.name

    @property
    def defaults(self) -> dict[str, Any]:
        """Every parameter of its own with the value that it will have."""
        own = list(inspect.signature(self.function).parameters.values())[1:]
        return {p.name: p.default for p in own} | dict(self.parameters)

    @property
    def file(self) -> Path:
        """Where it was written; what a decorator wraps counts, not the decorator."""
        return _file(self.function)

    @property
    def about(self) -> str:
        """The first line of the function's docstring, else of its file's."""
        module = sys.modules.get(self.function.__module__)
        text = self.function.__doc__ or (module and module.__doc__) or ""
        return text.strip().splitlines()[0] if text.strip() else ""

    def given(self, text: str) -> "Method":
        """With parameters as typed: `rewind=100,rate=0.2`. InputError for an unknown name or a value of another type."""
        values = dict(self.parameters)
        for item in filter(None, map(str.strip, text.split(","))):
            name, _, value = item.partition("=")
            if name not in self.defaults:
                raise InputError(f"method {self.name!r}: " + unknown("parameter", name, self.defaults))
            values[name] = self._parsed(name, value)
        return replace(self, parameters=values)

    def _parsed(self, name: str, text: str) -> Any:
        """A value as typed, of the parameter's declared type, else of its default's."""
        default = self.defaults[name]
        declared = get_type_hints(self.function).get(
            name, type(default) if default is not inspect.Parameter.empty else str
        )
        kinds = [kind for kind in get_args(declared) or (declared,) if kind in _PLAIN]
        for kind in sorted(kinds, key=_PLAIN.index):
            with contextlib.suppress(ValueError, KeyError):
                return {"true": True, "false": False}[text.lower()] if kind is bool else kind(text)
        wanted = " or ".join(kind.__name__ for kind in kinds) or "a plain type"
        raise InputError(f"method {self.name!r}: {name} = {text!r} is not of type {wanted}")


_PLAIN = [bool, int, float, str]


def method(
    name: str,
    *,
    cost: str,
    track: Track = "one-shot",
    cite: str = "",
    control_of: str | None = None,
    at_zero: str | None = None,
    suite: str = "smoke",
) -> Callable[[M], M]:
    """Enter a function `Run -> Network` into the registry. See Method for the arguments; a name taken already raises."""

    def enter(function: M) -> M:
        if track not in get_args(Track):
            raise InputError(unknown("track", track, get_args(Track)))
        file, known = _file(function), METHODS.get(name)
        if known and (known.file != file or known.function.__module__ == function.__module__):
            raise InputError(f"method {name!r} is in {known.file} already; choose another name")
        entered = Method(name, function, cost, track, cite, control_of, at_zero, source.digest(file), suite)
        for parameter, default in entered.defaults.items():
            if default is not inspect.Parameter.empty and not isinstance(default, None | bool | int | float | str):
                raise InputError(f"method {name!r}: {parameter} = {default!r} is not a number, a text or None")
        METHODS[name] = entered
        return function

    return enter


def _file(function: Callable[..., Any]) -> Path:
    return Path(inspect.getfile(inspect.unwrap(function)))


def load(path: Path) -> str:
    """Import a method file under a name made of its content. Returns the module's name."""
    try:
        name = f"{MODULES}{path.stem}_{hashlib.blake2b(path.read_bytes(), digest_size=6).hexdigest()}"
    except OSError as error:
        raise InputError(f"cannot read the method file {path}: {error.strerror}") from None
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise InputError(f"{path} is not a Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except InputError:
            del sys.modules[name]
            raise
        except Exception as error:
            del sys.modules[name]
            raise InputError(f"{path} does not load: {type(error).__name__}: {error}") from error
    return name


def load_all() -> dict[str, Method]:
    """The baselines and what installed packages offer."""
    for path in sorted(FOLDER.glob("*.py")):
        load(path)
    for point in entry_points(group="lthbench.methods"):
        point.load()
    return METHODS


_TYPED = re.compile(r"(?:(?P<file>.+\.py)(?::(?P<own>[^\[\]]*))?|(?P<name>[^\[\]]*))(?:\[(?P<parameters>[^\[\]]*)\])?")


def find(asked: "str | Method | Callable[..., Any]") -> Method:
    """Find a method as typed: NAME, FILE.py:NAME, or FILE.py where it holds one; parameters in brackets behind.

    A Method is returned as it is, a function under @method as it was entered.
    """
    if isinstance(asked, Method):
        return asked
    return _typed(asked) if isinstance(asked, str) else _entered(asked)


def _entered(function: Callable[..., Any]) -> Method:
    found = [method for method in METHODS.values() if method.function is function]
    if not found:
        name = getattr(function, "__name__", str(function))
        raise InputError(f"{name} is not a method; write @method({name!r}, cost=…) above it")
    return found[0]


def _typed(text: str) -> Method:
    typed = _TYPED.fullmatch(text)
    if not typed:
        raise InputError(f"{text!r} is no method; write NAME, FILE.py:NAME or NAME[parameter=value]")
    name = _from_file(Path(typed["file"]), typed["own"] or "") if typed["file"] else typed["name"]
    if name not in METHODS:
        raise InputError(unknown("method", name, METHODS))
    method = METHODS[name].given(typed["parameters"] or "")
    missing = [p for p, value in method.defaults.items() if value is inspect.Parameter.empty]
    if missing:
        raise InputError(f"method {name!r} needs {', '.join(missing)}; write {name}[{missing[0]}=…]")
    return method


def _from_file(path: Path, name: str) -> str:
    module = load(path)
    there = [m.name for m in METHODS.values() if m.function.__module__ == module]
    if not name and len(there) == 1:
        return there[0]
    if name not in there:
        raise InputError(f"{path}: " + unknown("method", name, there))
    return name


def file_in(text: str) -> Path | None:
    """Return the file that a method as typed lies in; None for the name of a registered one."""
    typed = _TYPED.fullmatch(text)
    return Path(typed["file"]) if typed and typed["file"] else None


def file_of(module: str) -> Path:
    """The file that a module of methods was loaded from."""
    return Path(str(sys.modules[module].__file__))
