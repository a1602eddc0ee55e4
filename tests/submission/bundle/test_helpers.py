"""Methods that import modules beside their file: a bundle carries these, its digests cover them, and the jail runs them."""

import shutil
import sys
from pathlib import Path

import pytest

from lthbench.errors import InputError
from lthbench.methods import registry
from lthbench.runs.driver.job import Job
from lthbench.submission.battery.allowed import refused
from lthbench.submission.bundle.submit import submit
from lthbench.submission.verification.retrained import Retrain
from lthbench.submission.verification.verify import Options, verify
from lthbench.suite import Suite
from tests.submission.forge import Forgery
from tests.submission.test_publish import confines

METHOD = '''"""Large weights stay. Cost: 2T epochs."""

from lthbench import Network, Run, method
from size_of_weights import size


@method("helped", cost="2T", cite="")
def helped(run: Run) -> Network:
    init = run.init()
    return run.train(init.masked(run.select(size(run.train(init)))))
'''
HELPER = '''"""How large weights are."""

from lthbench import Network, Scores
from power_of_weights import POWER


def size(net: Network) -> Scores:
    return {name: w.abs() ** POWER for name, w in net.prunable.items()}
'''
FILES = {"helped.py": METHOD, "size_of_weights.py": HELPER, "power_of_weights.py": "POWER = 2\n"}
NAMES = [name.removesuffix(".py") for name in FILES]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, data_folder: Path, published_smoke: Path) -> Path:
    """An author's folder: the files, and the runs of the method."""
    folder, known = tmp_path_factory.mktemp("helped"), dict(registry.METHODS)
    for name, text in FILES.items():
        (folder / name).write_text(text)
    job = Job.make(
        Suite.read(str(published_smoke)), [f"{folder}/helped.py:helped"], data_folder, only=True, device="cpu"
    )
    job.driver(folder / "runs", executor="serial", start="fork", keep="finals").run()
    forget()
    registry.METHODS.clear()
    registry.METHODS.update(known)
    return folder


@pytest.fixture(autouse=True)
def _loaded_anew(_own_registry: None) -> None:
    forget()


def forget() -> None:
    """Forget the modules, as a new process would not know them."""
    for name in [*sys.modules]:
        if name in NAMES or name.startswith(f"{registry.MODULES}helped"):
            del sys.modules[name]


def bundled(folder: Path, out: Path) -> Path:
    submit(folder / "runs", f"{folder}/helped.py:helped", ["A. Author"], "", "MIT", out)
    return out


def failed(bundle: Path, options: Options) -> dict[str, str]:
    return {check: found for _, check, passed, found in verify(bundle, options).rows if passed == "FAILED"}


@confines
def test_a_bundle_carries_its_helpers_and_is_re_trained(folder: Path, data_folder: Path, tmp_path: Path) -> None:
    bundle = bundled(folder, tmp_path / "helped.zip")
    assert refused(folder / "helped.py") == []
    report = verify(bundle, Options(retrain=Retrain(1, seed=3), data=data_folder))
    assert report.level == "re-trained", report.rows


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("power_of_weights.py", "POWER = 3\n", "was made by other code"),
        ("power_of_weights.py", "import os\nPOWER = 2\n", "power_of_weights.py:1 imports os"),
        ("size_of_weights.py", HELPER + f"TABLE = {(0.1234567,) * 80}\n", "bytes of numbers and texts"),
        ("size_of_weights.py", HELPER.replace("from power_of_weights import POWER", "POWER = 2"), "by other code"),
    ],
)
def test_a_helper_is_held_to_the_rules_of_a_source(
    folder: Path, tmp_path: Path, name: str, text: str, said: str
) -> None:
    forgery = Forgery.of(bundled(folder, tmp_path / "good"))
    forgery.files[name] = text.encode()
    forgery.rehash()
    bad = forgery.write(tmp_path / "bad")
    found = failed(bad, Options(upto="claimed"))
    assert found.keys() == {"source"}
    assert said in found["source"]


@pytest.mark.parametrize("name", ["../x.py", "method.py", "X.PY", "folder/x.py", "x.txt"])
def test_a_helper_lies_beside_the_method(folder: Path, tmp_path: Path, name: str) -> None:
    forgery = Forgery.of(bundled(folder, tmp_path / "good"))
    forgery.manifest["helpers"][0]["path"] = name
    assert failed(forgery.write(tmp_path / "bad"), Options(upto="claimed")).keys() == {"files"}


def test_a_module_that_lies_elsewhere_is_one_line(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, elsewhere = shutil.copytree(folder, tmp_path / "here"), tmp_path / "elsewhere"
    elsewhere.mkdir()
    (here / "power_of_weights.py").rename(elsewhere / "power_of_weights.py")
    monkeypatch.syspath_prepend(elsewhere)
    with pytest.raises(InputError, match=r"imports power_of_weights from .*; a bundle carries helped\.py and modules"):
        bundled(here, tmp_path / "out")
