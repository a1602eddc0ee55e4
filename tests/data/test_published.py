"""`lthbench data get`: torchvision's download and checksums, whole or not at all, and only when it is asked for."""

import json
import signal
import urllib.error
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torchvision.datasets as tv
from torchvision.datasets import utils

from lthbench.data import DataHome, Manifest, prepare
from lthbench.data.published import PUBLISHED, get
from lthbench.errors import InputError
from tests.data.drawn import data, refused
from tests.data.shelves import SHELVES, cifar, mnist
from tests.processes import die, forked, status_of

BOTH = frozenset({"train", "test"})


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but files may be opened; a test that forgets its shelf fails in the same way on every machine."""
    import urllib.request

    opened = urllib.request.urlopen

    def local(request: Any, *arguments: Any, **options: Any) -> Any:
        address = getattr(request, "full_url", request)
        if not address.startswith("file:"):
            raise urllib.error.URLError("no network in tests")
        found = opened(request, *arguments, **options)
        found.length = int(found.headers["Content-length"])  # as answers from the network have it
        return found

    monkeypatch.setattr(urllib.request, "urlopen", local)


def test_every_published_data_set_is_tested() -> None:
    assert SHELVES.keys() == PUBLISHED.keys()


@pytest.mark.parametrize("name", SHELVES)
def test_what_is_downloaded_is_packed_as_it_is(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    made = SHELVES[name](tmp_path / "shelf", monkeypatch)
    done = data("get", name, "--data", home)
    assert done.exit_code == 0 and f"{name} is ready in {home / name}" in done.output
    manifest = Manifest.read(home / name)
    assert len(manifest.names) == manifest.classes == made["train"][1].max() + 1
    for split, (images, labels) in made.items():
        found = DataHome(home, BOTH).load(name, split)
        assert np.array_equal(found.images.numpy(), images)
        assert np.array_equal(found.labels.numpy(), labels)
    assert sorted(path.name for path in home.iterdir()) == sorted([name, "raw"])
    assert [path.name for path in (home / "raw").iterdir()] == [name]


def test_what_is_there_is_downloaded_no_more(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cifar(tmp_path / "shelf", monkeypatch)
    first = get(home, "cifar10")
    monkeypatch.setattr(tv.CIFAR10, "download", lambda self: pytest.fail("downloaded it again"))
    assert get(home, "cifar10") == first
    assert data("remove", "cifar10", "--data", home).exit_code == 0
    assert get(home, "cifar10") == first


def test_nothing_is_downloaded_unless_it_is_asked_for(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tv.CIFAR10, "__init__", lambda *arguments, **options: pytest.fail("went to torchvision"))
    with pytest.raises(InputError, match="'cifar10' is not in .*; type: lthbench data get cifar10"):
        prepare(DataHome(home), "cifar10")


def test_no_network_is_one_line_and_leaves_nothing_that_counts(home: Path) -> None:
    said = refused("get", "mnist", "--data", home)
    assert "'mnist' could not be downloaded" in said and "no network in tests" in said
    assert not (home / "raw/mnist").exists() and not (home / "mnist").exists()


@pytest.mark.parametrize("name", SHELVES)
def test_a_wrong_checksum_is_one_line_and_the_next_try_succeeds(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    SHELVES[name](tmp_path / "shelf", monkeypatch)
    whole = {path: path.read_bytes() for path in (tmp_path / "shelf").iterdir()}
    for path, content in whole.items():
        path.write_bytes(content[:-20] + bytes(20))
    assert f"'{name}' could not be downloaded" in refused("get", name, "--data", home)
    assert not (home / f"raw/{name}").exists() and not (home / name).exists()
    for path, content in whole.items():
        path.write_bytes(content)
    assert data("get", name, "--data", home).exit_code == 0


@pytest.mark.parametrize(
    "error",
    [urllib.error.URLError("refused"), urllib.error.ContentTooShortError("cut off", None), TimeoutError("too slow"),  # type: ignore[arg-type]
     RuntimeError("two\nlines"), EOFError(), ConnectionResetError(104, "reset by peer")],
)  # fmt: skip
def test_an_interrupted_download_is_one_line(home: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def broken(url: str, filename: str, *arguments: object) -> None:
        Path(filename).write_bytes(b"the first half")
        raise error

    monkeypatch.setattr(utils, "_urlretrieve", broken)
    monkeypatch.setattr(utils, "_get_redirect_url", lambda url, max_hops: url)
    refused("get", "cifar10", "--data", home)
    assert not (home / "raw/cifar10").exists() and not (home / "cifar10").exists()


def test_ctrl_c_in_a_download_is_130_and_says_how_to_go_on(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(self: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tv.CIFAR10, "download", stopped)
    done = data("get", "cifar10", "--data", home)
    assert done.exit_code == 130
    assert not (home / "raw/cifar10").exists()


def test_a_kill_while_unpacking_is_not_taken_for_whole(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torchvision compares no checksum of MNIST's unpacked files: half of one must not be left for it."""
    made = mnist(tmp_path / "shelf", monkeypatch)
    unpack = utils._decompress

    def killed(source: str, target: str, *arguments: Any, **options: Any) -> Any:
        unpacked = unpack(source, target, *arguments, **options)
        if "t10k-labels" in source:  # the last one: all are there then
            content = Path(target).read_bytes()
            Path(target).write_bytes(content[: len(content) // 2])
            die()
        return unpacked

    def downloads() -> None:
        utils._decompress = killed
        get(home, "mnist")

    assert status_of(forked(downloads)) == -signal.SIGKILL
    assert not (home / "raw/mnist").exists()
    asked: list[str] = []
    fetch = utils._urlretrieve
    monkeypatch.setattr(utils, "_urlretrieve", lambda url, *rest: (asked.append(url), fetch(url, *rest)))
    get(home, "mnist")
    assert np.array_equal(DataHome(home, BOTH).load("mnist", "test").images.numpy(), made["test"][0])
    assert asked == []  # the archives were whole


def test_a_kill_between_download_and_packing_needs_no_download(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cifar(tmp_path / "shelf", monkeypatch)

    def downloads() -> None:
        np.save = lambda *arguments: die()
        get(home, "cifar10")

    assert status_of(forked(downloads)) == -signal.SIGKILL
    assert not (home / "cifar10").exists()
    monkeypatch.setattr(tv.CIFAR10, "download", lambda self: pytest.fail("downloaded it again"))
    assert get(home, "cifar10").sizes == {"train": 30, "test": 20}


def test_damaged_downloads_are_named_with_what_to_do(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cifar(tmp_path / "shelf", monkeypatch)
    get(home, "cifar10")
    data("remove", "cifar10", "--data", home)
    (home / "raw/cifar10/cifar-10-batches-py/train").write_bytes(b"")
    said = refused("get", "cifar10", "--data", home)
    assert f"{home}/raw/cifar10 is damaged" in said and "type: lthbench data remove cifar10 --raw" in said
    assert data("remove", "cifar10", "--raw", "--data", home).exit_code == 0
    assert get(home, "cifar10").sizes["train"] == 30


def test_list_says_what_to_type(home: Path) -> None:
    rows = {row["data set"]: row["state"] for row in json.loads(data("list", "--json", "--data", home).output)}
    for name in PUBLISHED:
        assert rows[name] == f"lthbench data get {name}"
