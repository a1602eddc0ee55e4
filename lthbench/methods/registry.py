"""The registry of methods by name: the baselines, those of installed packages, and those in files that the user names.

All enter in the same way: a module is loaded, and `@method` enters its functions here. An installed package offers methods
under the entry point `lthbench.methods`.
"""

import contextlib
import hashlib
import inspect
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_type_hints

from lthbench import loading, source
from lthbench.errors import InputError, unknown
from lthbench.methods import notebook
from lthbench.suite import Track

if TYPE_CHECKING:
    from lthbench.methods.network import Network

_ROOT = Path(__file__).parent.parent
FOLDER = next(path for path in (_ROOT / "baselines", _ROOT.parent / "baselines") if path.is_dir())

METHODS: dict[str, "Method"] = {}

MODULES = "lthbench_method_"  # prefix of the module name of a method file; its stem and a digest follow

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")  # of a method; the same as in a bundle's manifest
VALUE = re.compile(r"[A-Za-z0-9_.+:/*-]{0,100}")  # of a text parameter, which appears in file names and tables

_loaded: dict[str, str] = {}  # digest of the code as it was loaded, by module of a method file

M = TypeVar("M", bound=Callable[..., "Network"])


@dataclass(frozen=True)
class Method:
    """A method function with its contract.

    `cost`: epochs of training, a formula in T, n, the budget B and its own parameters, "<=" in front where it depends on
    the data.
    `control_of`: the method that it is a control of. `at_zero`: the method whose result it must give at sparsity 0.
    `suite`: the suite that `lthbench check` tries it on, where it needs something that `smoke` lacks.
    `source`: a digest of its code, and of the author's own modules that it imports, as they were loaded.
    """

    name: str
    function: Callable[..., "Network"]
    cost: str
    track: Track
    cite: str
    control_of: str | None
    at_zero: str | None
    source: str
    suite: str = "smoke"
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Return the name with the parameters that were given: `imp[rewind=100]`."""
        given = ",".join(f"{name}={value}" for name, value in self.parameters.items())
        return f"{self.name}[{given}]" if given else self.name

    @property
    def defaults(self) -> dict[str, Any]:
        """Return each of the method's parameters with its value."""
        own = list(inspect.signature(self.function).parameters.values())[1:]
        return {p.name: p.default for p in own} | dict(self.parameters)

    @property
    def spends_the_budget(self) -> bool:
        """Return whether the cost is a formula in B, which the suite must then set."""
        return "B" in re.findall("[A-Za-z_]+", self.cost)

    @property
    def file(self) -> Path:
        """Return the file of the method's function, not of a decorator around it."""
        return _file(self.function)

    @property
    def about(self) -> str:
        """Return the first line of the function's docstring, else of its file's."""
        module = sys.modules.get(self.function.__module__)
        text = self.function.__doc__ or (module and module.__doc__) or ""
        return text.strip().splitlines()[0] if text.strip() else ""

    def given(self, text: str) -> "Method":
        """Return the method with typed parameters: `rewind=100,rate=0.2`. InputError for an unknown name or a bad value."""
        values = dict(self.parameters)
        for item in filter(None, map(str.strip, text.split(","))):
            name, _, value = item.partition("=")
            if name not in self.defaults:
                raise InputError(f"method {self.name!r}: " + unknown("parameter", name, self.defaults))
            values[name] = self._parsed(name, value)
        return replace(self, parameters=values)

    def _parsed(self, name: str, text: str) -> Any:
        """Return a typed value as the parameter's declared type, else as that of its default."""
        default = self.defaults[name]
        declared = get_type_hints(self.function).get(
            name, type(default) if default is not inspect.Parameter.empty else str
        )
        kinds = [kind for kind in get_args(declared) or (declared,) if kind in _PLAIN]
        for kind in sorted(kinds, key=_PLAIN.index):
            with contextlib.suppress(ValueError, KeyError):
                value = {"true": True, "false": False}[text.lower()] if kind is bool else kind(text)
                return self._fits(name, value)
        wanted = " or ".join(kind.__name__ for kind in kinds) or "a plain type"
        raise InputError(f"method {self.name!r}: {name} = {text!r} is not of type {wanted}")

    def _fits(self, name: str, value: Any) -> Any:
        """Return a value that may stand in a label. InputError for a text that may not."""
        if isinstance(value, str) and not VALUE.fullmatch(value):
            allowed = "at most 100 letters, digits and _ . + - : / *"
            raise InputError(f"method {self.name!r}: {name} = {value!r} may hold {allowed} only")
        return value


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
    """Enter a function `Run -> Network` into the registry. See Method for the arguments.

    InputError for a name that does not fit or is taken, and for a function whose text cannot be read. In a notebook, a cell
    that runs again replaces its methods.
    """

    def enter(function: M) -> M:
        _check_name(name)
        if track not in get_args(Track):
            raise InputError(unknown("track", track, get_args(Track)))
        _check_free(name, function)
        entered = Method(name, function, cost, track, cite, control_of, at_zero, _source(name, function), suite)
        for parameter, default in entered.defaults.items():
            if default is not inspect.Parameter.empty and not isinstance(default, None | bool | int | float | str):
                raise InputError(f"method {name!r}: {parameter} = {default!r} is not a number, a text or None")
        METHODS[name] = entered
        return function

    return enter


def _check_name(name: str) -> None:
    if not (isinstance(name, str) and NAME.fullmatch(name)):
        raise InputError(
            f"{name!r} cannot name a method; use at most 64 small letters, digits and hyphens, "
            "a letter or digit first: my-method"
        )


def _check_free(name: str, function: Callable[..., Any]) -> None:
    """Raise InputError where another function has the name."""
    file, known = _file(function), METHODS.get(name)
    if known is None or (notebook.is_cell(function) and known.function.__module__ == function.__module__):
        return
    if known.file != file or known.function.__module__ == function.__module__:
        raise InputError(f"method {name!r} is in {known.file} already; choose another name")


def _file(function: Callable[..., Any]) -> Path:
    return Path(inspect.getfile(inspect.unwrap(function)))


def _source(name: str, function: Callable[..., Any]) -> str:
    """Return the digest of the file or notebook cell of a function. InputError where there is no text."""
    inner, file = inspect.unwrap(function), _file(function)
    if file.is_file():
        return source.whole(file, inner.__module__)
    if notebook.is_cell(inner):
        return notebook.digest(inner)
    raise InputError(f"method {name!r}: its text cannot be read ({file}); write it in a .py file")


def load(path: Path) -> str:
    """Import a method file under a name made of its content. Returns the module's name.

    The file is loaded again if one of the author's own modules that it imports has changed.
    """
    try:
        name = f"{MODULES}{path.stem}_{hashlib.blake2b(path.read_bytes(), digest_size=6).hexdigest()}"
    except OSError as error:
        raise InputError(f"cannot read the method file {path}: {error.strerror}") from None
    if name in sys.modules and _loaded.get(name) not in (None, source.whole(path, name)):
        _forget(path, name)
    if name not in sys.modules:
        _execute(path, name)
    return name


def _execute(path: Path, name: str) -> None:
    loading.execute(path, name)
    _loaded[name] = source.whole(path, name)  # now with all its imports
    for own in [m for m in METHODS.values() if m.function.__module__ == name]:
        METHODS[own.name] = replace(own, source=_loaded[name])


def _forget(path: Path, name: str) -> None:
    """Drop a method file's module, its methods and the author's modules that it imports."""
    for own in source.own_modules(path, name):
        sys.modules.pop(own, None)
    del sys.modules[name]
    for method_name in [m.name for m in METHODS.values() if m.function.__module__ == name]:
        del METHODS[method_name]


def load_all() -> dict[str, Method]:
    """Load the baselines and what installed packages offer, and return all methods by name."""
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
        raise InputError(f"{name} is not a method; write @method({name.replace('_', '-')!r}, cost=…) above it")
    return _current(found[0])


def _current(method: Method) -> Method:
    """Return a method with the digest of its code as it is now: other cells of a notebook may have changed it."""
    if not notebook.is_cell(inspect.unwrap(method.function)):
        return method
    return replace(method, source=_source(method.name, method.function))


def _typed(text: str) -> Method:
    typed = _TYPED.fullmatch(text)
    if not typed:
        raise InputError(f"{text!r} does not name a method; write NAME, FILE.py:NAME or NAME[parameter=value]")
    name = _from_file(Path(typed["file"]), typed["own"] or "") if typed["file"] else typed["name"]
    if name not in METHODS:
        raise InputError(unknown("method", name, METHODS))
    method = _current(METHODS[name]).given(typed["parameters"] or "")
    missing = [p for p, value in method.defaults.items() if value is inspect.Parameter.empty]
    if missing:
        raise InputError(f"method {name!r} needs {', '.join(missing)}; write {name}[{missing[0]}=…]")
    return method


def _from_file(path: Path, name: str) -> str:
    module = load(path)
    there = [m.name for m in METHODS.values() if m.function.__module__ == module]
    if not there:
        raise InputError(f"{path} defines no method{name and f' {name!r}'}; {_undecorated(sys.modules[module])}")
    if not name and len(there) == 1:
        return there[0]
    if name not in there:
        raise InputError(f"{path}: " + unknown("method", name, there))
    return name


def _undecorated(module: ModuleType) -> str:
    """Return what to write to make a module's first function a method, with its line."""
    own = [f for _, f in inspect.getmembers(module, inspect.isfunction) if f.__module__ == module.__name__]
    if not own:
        return "write a function Run -> Network under @method(NAME, cost=…)"
    first = min(own, key=lambda f: f.__code__.co_firstlineno)
    place = f"{Path(str(module.__file__)).name}:{first.__code__.co_firstlineno}"
    return f"write @method({first.__name__.replace('_', '-')!r}, cost=…) above {first.__name__} ({place})"


def file_in(text: str) -> Path | None:
    """Return the file that a method as typed lies in; None for the name of a registered one."""
    typed = _TYPED.fullmatch(text)
    return Path(typed["file"]) if typed and typed["file"] else None


def file_of(module: str) -> Path:
    """Return the file that a module of methods was loaded from."""
    return Path(str(sys.modules[module].__file__))
