"""Verification in levels: claims that agree with each other, networks measured again, runs done again."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lthbench.data import DataHome, Manifest, default_folder
from lthbench.errors import LthbenchError
from lthbench.methods.internals.setting import settings
from lthbench.runs.records.record import Record
from lthbench.runs.records.trust import Level as LevelName
from lthbench.submission.battery.check import Finding
from lthbench.submission.bundle import bundle as bundles
from lthbench.submission.bundle.bundle import Bundle
from lthbench.submission.bundle.manifest import BundleError
from lthbench.submission.verification.claimed import claimed
from lthbench.submission.verification.measured import seen_alone
from lthbench.submission.verification.reevaluated import reevaluated
from lthbench.submission.verification.report import Level, Report, finding
from lthbench.submission.verification.retrained import Retrain, retrained
from lthbench.suite import Suite, names


@dataclass(frozen=True)
class Options:
    """How far to go: to the level `upto`, then with `retrain` to the last one, on the data in `data` (None: the default)."""

    upto: LevelName = "re-evaluated"
    retrain: Retrain | None = None
    data: Path | None = None
    suite: str | None = None  # a suite that does not come with lthbench, as typed


def verify(path: Path, options: Options = Options()) -> Report:
    """Verify a bundle level by level, up to the first level that it does not pass.

    Every problem of the bundle is a finding; InputError only for what the caller gave: a data folder, a suite.
    """
    try:
        with bundles.opened(path) as bundle:
            return _report(bundle, options)
    except BundleError as error:
        return _refused(str(error))
    except LthbenchError:
        raise
    except Exception as error:
        return _refused(_unforeseen(error))


def _report(bundle: Bundle, options: Options) -> Report:
    suite = _suite(bundle, options.suite)
    levels = [_level("claimed", lambda: _claimed(bundle, suite, options.suite is not None))]
    notes: dict[str, object] = {}
    found = tuple(map(seen_alone, bundle.records)) if levels[-1].passed else ()
    if suite and options.upto != "claimed" and levels[-1].passed:
        home = DataHome(options.data or default_folder(), frozenset({"train", "test"}))
        manifests = settings(suite, home)
        measured: list[Record] = []
        levels.append(_level("re-evaluated", lambda: _reevaluated(bundle, suite, manifests, home, measured)))
        found = tuple(measured) if levels[-1].passed else ()
        if options.retrain and levels[-1].passed:
            again = retrained(bundle, suite, manifests, home, options.retrain)
            levels.append(Level(again.level, again.findings))
            notes = again.notes
    named = bundle.manifest
    return Report(bundle.digest, f"{named.suite.name} {named.suite.version}", named.method, tuple(levels), notes, found)


def _reevaluated(
    bundle: Bundle, suite: Suite, manifests: Mapping[str, Manifest], home: DataHome, measured: list[Record]
) -> list[Finding]:
    findings, records = reevaluated(bundle, suite, manifests, home)
    measured += records
    return findings


def _refused(problem: str) -> Report:
    return Report("", "", "", (Level("claimed", (finding("files", [problem], ""),)),))


def _unforeseen(error: Exception) -> str:
    """Describe an error that nobody thought of. It is the bundle's until it is shown to be lthbench's."""
    return f"it cannot be checked: {type(error).__name__}: {error}"


def _level(name: LevelName, check: Callable[[], Sequence[Finding]]) -> Level:
    try:
        return Level(name, tuple(check()))
    except BundleError as error:
        return Level(name, (finding("files", [str(error)], ""),))
    except LthbenchError:
        raise
    except Exception as error:
        return Level(name, (finding("files", [_unforeseen(error)], ""),))


def _claimed(bundle: Bundle, suite: Suite | None, given: bool) -> list[Finding]:
    files = finding("files", [], f"{len(bundle.manifest.files)} files, each with the sha256 of the manifest")
    if suite is None:
        name = bundle.manifest.suite.name
        problem = f"no suite {name!r} comes with lthbench; where you have its text, type: --suite FILE"
        return [files, finding("suite", [problem], "")]
    return [files, *claimed(bundle, suite, given)]


def _suite(bundle: Bundle, given: str | None) -> Suite | None:
    """Return the suite that the caller gave, else the one of the bundle's name that comes with lthbench."""
    if given:
        return Suite.read(given)
    name = bundle.manifest.suite.name
    return Suite.read(name) if name in names() else None
