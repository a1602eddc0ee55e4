"""A cell with the properties that its suite and its data set give it."""

import logging
from dataclasses import dataclass
from functools import cached_property

from lthbench import keys
from lthbench.data import DataHome, Manifest, described, prepare
from lthbench.errors import InputError
from lthbench.methods.internals.operations import Split
from lthbench.models import Model
from lthbench.pruning import starts
from lthbench.pruning.pattern import Pattern, check_fit
from lthbench.pruning.starts import Start
from lthbench.pruning.tensors import Tensors
from lthbench.suite import Cell, Suite
from lthbench.suite.workload import Workload
from lthbench.training.recipe import Recipe

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Setting:
    """The conditions of a run: suite, cell and data set."""

    suite: Suite
    cell: Cell
    manifest: Manifest

    @cached_property
    def model(self) -> Model:
        return self.cell.workload.build(self.manifest.shape, self.manifest.classes)

    @cached_property
    def recipe(self) -> Recipe:
        """Return the suite's recipe, at the cell's learning rate."""
        return self.suite.recipe.replace(lr=self.cell.learning_rate)

    @cached_property
    def split(self) -> Split:
        """Return the training data: without the held-out examples, and within the suite's limit."""
        normalisation = self.start.normalisation(self.manifest.shape[0]) if self.start else None
        fingerprint = self.fingerprints["training"]
        if normalisation:
            fingerprint = keys.key("normalised", fingerprint, normalisation)
        return Split(self.cell.workload.dataset, self.suite.validation, fingerprint, normalisation, self.suite.limit)

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """Return the digests of the examples by split, and of what else the run is given."""
        prints = self.manifest.fingerprints
        training = training_fingerprint(self.suite, prints["train"])
        return {**prints, "training": training, **self.given}

    @property
    def given(self) -> dict[str, str]:
        """Return the digests of the workload's start and of its model's code, where it names such files."""
        found = {"start": self.start.digest if self.start else "", "model": self.cell.workload.model_digest}
        return {name: digest for name, digest in found.items() if digest}

    @cached_property
    def start(self) -> Start | None:
        """Return the pretrained weights that the workload begins with, if it names any."""
        workload = self.cell.workload
        return starts.known(workload.start, workload.start_digest) if workload.start else None

    @cached_property
    def start_key(self) -> str:
        """Return the digest of the tensors that the workload's model starts with; "" where they are drawn."""
        return self.start.key(self.model) if self.start else ""

    @property
    def start_tensors(self) -> dict[str, Tensors]:
        """Return the tensors that the workload's model starts with, by their digest. Empty where they are drawn."""
        return {self.start_key: self.start.tensors(self.model)} if self.start else {}

    @property
    def n_train(self) -> int:
        """Return the number of training examples of one epoch."""
        return self.suite.limit or self.manifest.sizes["train"] - self.suite.validation

    @property
    def budget(self) -> float | None:
        """Return the budget in epochs; None for no limit."""
        return self.suite.budget_epochs(self.cell.sparsity)


def training_fingerprint(suite: Suite, train: str) -> str:
    """Return the fingerprint of the examples that a suite trains on. `train` is that of the whole training split."""
    limit = () if suite.limit is None else (suite.limit,)  # keys from before there were limits stay valid
    return keys.key("training examples", train, suite.validation, *limit)


def settings(suite: Suite, home: DataHome, planning: bool = False) -> dict[str, Manifest]:
    """Return the manifests of a suite's data sets. Packs data sets if necessary, and checks that the suite fits them.

    For `planning`, published data sets may be absent.
    """
    found = described if planning else prepare
    manifests = {name: found(home, name) for name in dict.fromkeys(w.dataset for w in suite.workload)}
    for workload in suite.workload:
        manifest = manifests[workload.dataset]
        model = workload.build(manifest.shape, manifest.classes)
        if workload.start:
            _check_start(starts.locate(workload.start, workload.start_digest, home.folder, planning), model)
        left = manifest.sizes["train"] - suite.validation
        if left < 1:
            raise InputError(
                f"suite {suite.name}: validation = {suite.validation} leaves no training example of "
                f"{manifest.sizes['train']} in {workload.dataset}"
            )
        _check_pattern(suite, workload, model)
        if (suite.limit or 0) > left:
            raise InputError(
                f"suite {suite.name}: limit = {suite.limit}, but {workload.dataset} has {left:,} training examples beside "
                f"those of validation; choose a limit of at most {left}"
            )
        used = suite.limit or left
        if suite.recipe.smallest_batch(used) == 1:
            _check_one_image(suite, workload, model, used)
    return manifests


def _check_start(start: Start, model: Model) -> None:
    """Raise InputError where a start does not fit the model or its images. Warn where it was trained on another size."""
    start.tensors(model)
    start.normalisation(model.shape[0])
    size = start.checkpoint.input_size if start.checkpoint else ()
    if size and tuple(size[1:]) != model.shape[1:]:
        there, here = ("x".join(map(str, sides)) for sides in (size[1:], model.shape[1:]))
        log.warning("start %s was trained on images of %s, these are %s", start.text, there, here)


def _check_pattern(suite: Suite, workload: Workload, model: Model) -> None:
    """Raise InputError where a prunable tensor cannot follow the suite's pattern."""
    if pattern := Pattern.named(suite.pattern):
        try:
            check_fit(pattern, model.prunable_shapes)
        except InputError as error:
            raise InputError(
                f"workload {workload.name}: {error}; leave it out of prunable, or the pattern out"
            ) from None


def _check_one_image(suite: Suite, workload: Workload, model: Model, left: int) -> None:
    """Raise InputError where the suite's last batch, or a shard of it, is one image and the model needs more."""
    try:
        model.check_batch(1)
    except InputError as error:
        why = str(error).rpartition(": ")[2]
        raise InputError(
            f"workload {workload.name}: {left} training examples in batches of {suite.recipe.batch} end in a batch or shard "
            f"of one image, on which {model.name} cannot be trained ({why}); choose another batch, shards or validation"
        ) from None
