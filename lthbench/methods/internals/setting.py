"""A cell with the properties that its suite and its data set give it."""

from dataclasses import dataclass
from functools import cached_property

from lthbench import keys
from lthbench.data import DataHome, Manifest, described, prepare
from lthbench.errors import InputError
from lthbench.methods.internals.operations import Split
from lthbench.models import Model
from lthbench.suite import Cell, Suite, Workload
from lthbench.training.recipe import Recipe


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
        fingerprint = training_fingerprint(self.suite, self.manifest.fingerprints["train"])
        return Split(self.cell.workload.dataset, self.suite.validation, fingerprint, self.suite.limit)

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
        left = manifest.sizes["train"] - suite.validation
        if left < 1:
            raise InputError(
                f"suite {suite.name}: validation = {suite.validation} leaves no training example of "
                f"{manifest.sizes['train']} in {workload.dataset}"
            )
        if (suite.limit or 0) > left:
            raise InputError(
                f"suite {suite.name}: limit = {suite.limit}, but {workload.dataset} has {left:,} training examples beside "
                f"those of validation; choose a limit of at most {left}"
            )
        used = suite.limit or left
        if suite.recipe.smallest_batch(used) == 1:
            _check_one_image(suite, workload, model, used)
    return manifests


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
