"""An installed package offers models and data sets: its distribution lies on the path of a new process."""

import os
from importlib import resources
from pathlib import Path

from tests.helpers import in_fresh_process

PACKAGE = """
import torch
from torch import nn
from lthbench.data import Examples


def tiny(shape, classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(shape[1] * shape[2], classes))


def stripes():
    images = torch.arange(8 * 16, dtype=torch.uint8).reshape(8, 4, 4, 1)
    half = Examples(images, torch.arange(8) % 2)
    return {"train": half, "test": half}, 2


def broken():
    raise KeyError("boom")
"""
ENTRY_POINTS = """
[lthbench.models]
tiny-linear = offers_of_a_test:tiny
no-such = nothing_of_this_name:thing

[lthbench.datasets]
stripes = offers_of_a_test:stripes
broken = offers_of_a_test:broken
"""
CODE = """
from pathlib import Path
from lthbench.data import DataHome, overview
from lthbench.data.__main__ import main as packed
from lthbench.errors import InputError
from lthbench.models import FAMILIES, Model
from lthbench.suite.workload import Workload

home = DataHome(Path({folder!r}))
packed("stripes", {folder!r})
manifest = home.manifest("stripes")
model = Workload(model="tiny-linear", dataset="stripes", prunable="all").build(manifest.shape, manifest.classes)
print(manifest.sizes, model.prunable_count, model.identity["library"], "tiny-linear" in FAMILIES)
print([entry.advice for entry in overview.entries(home.folder) if entry.name in ("stripes", "broken")])
for wrong in (lambda: packed("broken", {folder!r}), lambda: Model("no-such", (1, 4, 4), 2, "all").shapes):
    try:
        wrong()
    except InputError as error:
        print(error)
"""


def test_models_and_data_sets_of_an_installed_package(tmp_path: Path) -> None:
    (tmp_path / "offers_of_a_test.py").write_text(PACKAGE)
    described = tmp_path / "offers_of_a_test-1.5.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: offers-of-a-test\nVersion: 1.5\n")
    (described / "entry_points.txt").write_text(ENTRY_POINTS)
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")]), str(Path.cwd())])
    said = in_fresh_process(CODE.format(folder=str(tmp_path / "data")), PYTHONPATH=path).splitlines()
    assert said == [
        "{'train': 8, 'test': 8} 32 offers-of-a-test 1.5 True",
        "['packed when it is first used', '']",
        "data set 'broken' of offers_of_a_test:broken: KeyError: 'boom'",
        "model no-such: nothing_of_this_name:thing does not load: ModuleNotFoundError: No module named 'nothing_of_this_name'",
    ]


def test_the_package_says_that_it_has_types() -> None:
    assert (resources.files("lthbench") / "py.typed").is_file()
