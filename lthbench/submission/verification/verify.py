"""Verification in three levels: what is claimed holds together; networks measured again; runs done again."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lthbench.data import DataHome, default_folder
from lthbench.methods.internals.setting import settings
from lthbench.submission.battery.check import Finding
from lthbench.submission.bundle import bundle as bundles
from lthbench.submission.bundle.bundle import Bundle
from lthbench.submission.bundle.manifest import BundleError
from lthbench.submission.verification.claimed import claimed
from lthbench.submission.verification.reevaluated import reevaluated
from lthbench.submission.verification.report import Level, LevelName, Report, finding
from lthbench.submission.verification.retrained import Retrain, retrained
from lthbench.suite import Suite, names


@dataclass(frozen=True)
class Options:
    """How far to go: `retrain` runs drawn by `seed` (None: drawn from the system), on the data in `data`."""

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
        return Report("", "", "", (Level("claimed", (finding("files", [str(error)], ""),)),))


def _report(bundle: Bundle, options: Options) -> Report:
    suite = _suite(bundle, options.suite)
    levels = [_level("claimed", lambda: _claimed(bundle, suite))]
    notes: dict[str, object] = {}
    if suite and options.upto != "claimed" and levels[-1].passed:
        home = DataHome(options.data or default_folder(), frozenset({"train", "test"}))
        manifests = settings(suite, home)
        levels.append(_level("re-evaluated", lambda: reevaluated(bundle, suite, manifests, home)))
        if options.retrain and levels[-1].passed:
            findings, notes = retrained(bundle, suite, manifests, home, options.retrain)
            levels.append(Level("re-trained", tuple(findings)))
    named = bundle.manifest
    return Report(bundle.digest, f"{named.suite.name} {named.suite.version}", named.method, tuple(levels), notes)


def _level(name: LevelName, check: Callable[[], list[Finding]]) -> Level:
    try:
        return Level(name, tuple(check()))
    except BundleError as error:
        return Level(name, (finding("files", [str(error)], ""),))


def _claimed(bundle: Bundle, suite: Suite | None) -> list[Finding]:
    files = finding("files", [], f"{len(bundle.manifest.files)} files, each with the sha256 of the manifest")
    if suite is None:
        return [files, finding("suite", [f"there is no suite {bundle.manifest.suite.name!r} here"], "")]
    return [files, *claimed(bundle, suite)]


def _suite(bundle: Bundle, given: str | None) -> Suite | None:
    """The suite as it is here: the one that the caller gave, else the one of this name that comes with lthbench."""
    if given:
        return Suite.read(given)
    name = bundle.manifest.suite.name
    return Suite.read(name) if name in names() else None
