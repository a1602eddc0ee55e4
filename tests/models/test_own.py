"""Models from files of a user's own, and from installed packages."""

import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
import torch

from lthbench.errors import InputError
from lthbench.models import Model, installed, own
from lthbench.models import model as families
from lthbench.models.cost import multiplications
from lthbench.suite import Suite
from lthbench.suite.workload import Workload
from tests.helpers import in_fresh_process
from tests.models.zoo import DIGITS, trained

NET = """
from torch import nn
from layers_{unique} import activation


class Net(nn.Module):
    def __init__(self, channels, classes, width=1.0):
        super().__init__()
        self.conv = nn.Conv2d(channels, max(1, int(4 * width)), 3, padding=1)
        self.out = nn.Linear(64 * self.conv.out_channels, classes)

    def forward(self, images):
        return self.out(activation(self.conv(images)).flatten(1))


def small(shape, classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(shape[1] * shape[2], classes))
"""
HELPER = "from torch.nn.functional import relu as activation\n"


@pytest.fixture
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A folder with net.py and the module that it imports, which has a name of its own in every test."""
    unique = str(abs(hash(request.node.nodeid)))
    (tmp_path / "net.py").write_text(NET.format(unique=unique))
    (tmp_path / f"layers_{unique}.py").write_text(HELPER)
    return tmp_path


def workload(folder: Path, model: str = "net.py:Net", **fields: Any) -> Workload:
    return Workload(model=model, dataset="digits", prunable="all", **fields).beside(folder)


def built(folder: Path, model: str = "net.py:Net") -> Model:
    return workload(folder, model).build(DIGITS, 10)


def helper(folder: Path) -> Path:
    return next(folder.glob("layers_*.py"))


def test_a_class_and_a_function_make_models_that_train_and_are_counted(folder: Path) -> None:
    net, small = built(folder), built(folder, "net.py:small")
    assert net.prunable_count == 4 * 9 + 256 * 10 and small.prunable_count == 640
    assert multiplications(net, {}) == (4 * 9 * 64 + 2560,) * 2
    for model in (net, small):
        before, after = trained(model)
        assert sum(not torch.equal(before.params[n], after.params[n]) for n in model.shapes) == len(model.shapes)


def test_the_name_of_a_workload_has_no_folder_and_no_digest(folder: Path) -> None:
    (folder.parent / "above").mkdir()
    assert workload(folder).name == "net.py:Net/digits"
    assert workload(folder.parent, f"{folder.name}/net.py:Net").name == "net.py:Net/digits"


def test_code_makes_the_identity_and_comments_do_not(folder: Path) -> None:
    first = built(folder).identity
    (folder / "net.py").write_text("# a comment\n" + (folder / "net.py").read_text())
    assert built(folder).identity == first
    helper(folder).write_text(HELPER.replace("relu", "gelu"))
    assert built(folder).identity != first


def test_a_changed_module_beside_the_file_is_loaded_anew(folder: Path) -> None:
    images = -torch.ones(1, *DIGITS)
    old = built(folder)
    first = old.build("cpu")
    helper(folder).write_text("def activation(x): return 0 * x\n")
    zero = built(folder).build("cpu")
    assert torch.equal(zero(images)[0], zero.out.bias)  # type: ignore[operator, union-attr]
    assert not torch.equal(first(images)[0], first.out.bias)  # type: ignore[operator, union-attr]
    with pytest.raises(InputError, match="has changed since the suite was read"):
        own._loaded.cache_clear()
        old.build("cpu")


def test_width_narrows_a_model_that_takes_it_and_is_refused_by_another(folder: Path) -> None:
    assert built(folder).narrowed(0.5).prunable_count == 2 * 9 + 128 * 10
    with pytest.raises(InputError, match="comes in one width"):
        built(folder, "net.py:small").narrowed(0.5)


def test_it_is_built_in_another_process_from_what_is_kept_and_nowhere_else(folder: Path, tmp_path: Path) -> None:
    name, kept = workload(folder).model_name, tmp_path / "kept"
    for path, content in own.contents([name, "mlp-8", f"renamed-{name}"]).items():
        (kept / path).parent.mkdir(parents=True, exist_ok=True)
        (kept / path).write_bytes(content)
    assert {path.name for path in kept.rglob("*.py")} == {"net.py", helper(folder).name}
    code = f"""
from pathlib import Path
from lthbench.errors import InputError
from lthbench.models import Model, own
model = Model({name!r}, (1, 8, 8), 10, "all")
try:
    model.shapes
except InputError as error:
    print("refused" if "its code is not here" in str(error) else error)
own.register_kept(Path({str(kept)!r}))
print(model.prunable_count, Model("renamed-" + {name!r}, (1, 8, 8), 10, "all").prunable_count)
"""
    assert in_fresh_process(code).splitlines() == ["refused", "2596 2596"]


def test_a_file_that_no_suite_has_named_is_not_loaded(tmp_path: Path) -> None:
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'done')!r}, 'w')\n")
    for name in ("evil.py:Net", f"{tmp_path}/evil.py:Net", "evil.py:Net@" + "0" * 12, "evil.py"):
        with pytest.raises(InputError, match="is named by a suite as FILE.py:NAME"):
            _ = Model(name, DIGITS, 10, "all").shapes
    assert not (tmp_path / "done").exists()


WRONG = """
import torch
from torch import nn

def needs(depth, classes): ...
def three(): return 3
def raises(classes): raise KeyError("boom")
number = 3

class Attribute(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.scale, self.out = torch.ones(1), nn.Linear(64, classes)

class Unbound(nn.Linear):
    def __init__(self, classes):
        super().__init__(64, classes)
    def forward(self, images):
        return nothing_of_this_name
"""


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("needs", "it needs depth; a model is called with shape, channels, classes, width"),
        ("three", "it gives int and not an nn.Module"),
        ("raises", r"KeyError: 'boom' \(wrong.py:7\)"),
        ("number", "There is no model in wrong.py 'number'"),
        ("Attribute", "scale is a tensor and neither a parameter nor a buffer; write register_buffer"),
        ("Unbound", "cannot take images of 1x8x8: name 'nothing_of_this_name' is not defined"),
    ],
)
def test_a_wrong_model_is_refused_in_one_line(name: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text(WRONG)
    with pytest.raises(InputError, match=why) as error:
        built(tmp_path, f"wrong.py:{name}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("model", "text", "why"),
    [
        ("gone.py:Net", "", "there is no file .*gone.py; it lies beside the suite"),
        ("bad.py:Net", "import nothing_of_this_name", "does not load: ModuleNotFoundError"),
        ("bad.py:Net", "def f(:", "does not load: SyntaxError"),
    ],
)
def test_a_file_that_does_not_load_is_refused_in_one_line(model: str, text: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(text)
    with pytest.raises(InputError, match=why):
        built(tmp_path, model)
    assert not [name for name in sys.modules if name.startswith("lthbench_model_bad")]


def test_a_pinned_digest_refuses_another_file(folder: Path) -> None:
    digest = workload(folder).model_digest
    assert workload(folder, model_digest=digest) == workload(folder)
    with pytest.raises(InputError, match=f"has the digest {digest}, the suite says 0000"):
        workload(folder, model_digest="0" * 32)


def test_two_workloads_of_one_name_are_refused(folder: Path) -> None:
    fields = Suite.read("smoke").model_dump() | {"workload": [workload(folder), workload(folder, init="library")]}
    with pytest.raises(ValueError, match="two workloads have the name net.py:Net/digits"):
        Suite.model_validate(fields)


def test_an_installed_package_offers_models_by_name_and_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "package_of_models.py").write_text(
        NET.partition("def small")[2].join(["from torch import nn\n\ndef small", ""])
    )
    monkeypatch.syspath_prepend(tmp_path)
    point = EntryPoint("tiny", "package_of_models:small", "lthbench.models")
    monkeypatch.setattr(installed, "_points", lambda: {"tiny": point, "gone": EntryPoint("gone", "no_such:thing", "")})
    for name in ("tiny", "gone"):
        monkeypatch.setitem(families.FAMILIES, name, (name, installed.build))
    assert Model("tiny", DIGITS, 10, "all").prunable_count == 640
    with pytest.raises(InputError, match="model gone: no_such:thing does not load: ModuleNotFoundError"):
        _ = Model("gone", DIGITS, 10, "all").shapes
