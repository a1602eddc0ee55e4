"""Who may read what, which folder a name stands for, and that no other process than the packing one opens test images."""

import subprocess
import sys
from pathlib import Path

import pytest

from lthbench.data import DataHome, prepare
from lthbench.data import __main__ as packing
from lthbench.data.add import add
from lthbench.data.packed.examples import unpack
from lthbench.errors import InputError
from lthbench.runs.driver.job import Job
from lthbench.suite import Suite
from tests.data.drawn import data, draw, folder

WATCHED = """
import sys
from pathlib import Path
opened = []
sys.addaudithook(lambda event, arguments: opened.append(str(arguments[0])) if event == "open" else None)
from lthbench.data import DataHome, prepare
home, root = Path(sys.argv[1]), sys.argv[2]
prepare(DataHome(home), f"imagefolder:{root}")
DataHome(home).load(f"imagefolder:{root}", "train")
print([path for path in opened if path.startswith(root) or "test.images" in path])
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return folder(tmp_path / "images")


@pytest.fixture
def home(tmp_path: Path) -> DataHome:
    return DataHome(tmp_path / "home")


@pytest.fixture
def packing_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packs in this process instead of one of its own, which takes seconds to start."""

    def run(command: list[str], **options: object) -> "subprocess.CompletedProcess[str]":
        assert command[:3] == [sys.executable, "-m", "lthbench.data"]
        packing.main(*command[3:])
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)


def test_a_folder_may_be_named_as_a_data_set(root: Path, home: DataHome, tmp_path: Path) -> None:
    name = f"imagefolder:{root}"
    manifest = prepare(home, name)
    assert manifest.fingerprints == add(tmp_path / "other", "mine", root).fingerprints
    assert home.manifest(name) == manifest
    assert home.load(name, "train").fingerprint == manifest.fingerprints["train"]
    assert [path.name for path in home.folder.iterdir()] == [manifest.name]


@pytest.mark.usefixtures("packing_here")
def test_it_is_packed_once(root: Path, home: DataHome, monkeypatch: pytest.MonkeyPatch) -> None:
    first = prepare(home, f"imagefolder:{root}")
    monkeypatch.setattr(subprocess, "run", lambda *arguments, **options: pytest.fail("packed it again"))
    assert prepare(home, f"imagefolder:{root}") == first
    monkeypatch.chdir(root.parent)
    assert prepare(home, "imagefolder:images") == first
    (root.parent / "link").symlink_to(root)
    assert prepare(home, "imagefolder:link") == first


@pytest.mark.usefixtures("packing_here")
def test_another_content_is_another_data_set(root: Path, home: DataHome) -> None:
    first = prepare(home, f"imagefolder:{root}")
    draw(root / "train/cat/new.png", 9)
    second = prepare(home, f"imagefolder:{root}")
    assert first.name != second.name
    assert (first.sizes["train"], second.sizes["train"]) == (15, 16)
    assert sorted(path.name for path in home.folder.iterdir()) == sorted([first.name, second.name])


@pytest.mark.usefixtures("packing_here")
def test_what_is_passed_over_in_a_named_folder_is_said(
    root: Path, home: DataHome, caplog: pytest.LogCaptureFixture
) -> None:
    (root / "train/cat/new.webp").write_bytes(b"")
    prepare(home, f"imagefolder:{root}")
    assert "passed over, for only .jpg, .jpeg, .png are read: 1 .webp" in caplog.text


@pytest.mark.usefixtures("packing_here")
def test_a_folder_of_a_long_name_may_be_named(root: Path, home: DataHome) -> None:
    assert prepare(home, f"imagefolder:{root.rename(root.parent / ('i' * 250))}").sizes["train"] == 15


def test_what_is_wrong_with_a_named_folder_is_one_line(root: Path, home: DataHome) -> None:
    (root / "test/dog/001.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"test/dog/001\.png is corrupt") as refusal:
        prepare(home, f"imagefolder:{root}")
    assert "\n" not in str(refusal.value)
    assert list(home.folder.iterdir()) == []
    with pytest.raises(InputError, match="there is no folder /nowhere"):
        prepare(home, "imagefolder:/nowhere")


def test_a_process_that_prepares_and_trains_opens_no_image_and_no_test_data(root: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", WATCHED, str(tmp_path / "home"), str(root)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
    assert done.stderr.startswith("packing imagefolder:")


def test_the_test_split_is_for_evaluation_alone(root: Path, home: DataHome) -> None:
    add(home.folder, "mine", root)
    assert home.load("mine", "train")
    with pytest.raises(PermissionError, match="only evaluation does"):
        home.load("mine", "test")
    assert DataHome(home.folder, frozenset({"test"})).load("mine", "test")


def test_a_folder_to_be_fetched_by_hand_says_how(home: DataHome) -> None:
    with pytest.raises(InputError, match="type: lthbench data add tiny-imagenet PATH"):
        prepare(home, "tiny-imagenet")


def test_an_unknown_name_says_what_there_is_and_how_to_add(root: Path, home: DataHome) -> None:
    add(home.folder, "mine", root)
    with pytest.raises(InputError, match="Did you mean 'mine'.*mine.*lthbench data add NAME PATH"):
        prepare(home, "mines")


def test_reading_maps_and_never_changes_the_disk(root: Path, home: DataHome) -> None:
    add(home.folder, "mine", root)
    path = home.folder / "mine/train.images.npy"
    before = path.read_bytes()
    found = home.load("mine", "train")
    assert str(path) in Path("/proc/self/maps").read_text()
    found.images[0] = 0
    assert path.read_bytes() == before
    assert home.load("mine", "train").images[0].any()


def test_beyond_a_size_only_the_shapes_are_compared(
    root: Path, home: DataHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(home.folder, "mine", root)
    path = home.folder / "mine/train.images.npy"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(InputError, match="not those of its manifest"):
        home.load("mine", "train")
    monkeypatch.setattr("lthbench.data.packed.examples.LARGE", 100)
    assert len(home.load("mine", "train")) == 15
    path.write_bytes(content[:-1])
    with pytest.raises(InputError, match="is damaged"):
        home.load("mine", "train")


def test_a_split_of_another_length_is_refused(root: Path, home: DataHome) -> None:
    add(home.folder, "mine", root)
    place = home.folder / "mine"
    (place / "train.images.npy").write_bytes((place / "test.images.npy").read_bytes())
    with pytest.raises(InputError, match="not those of its manifest"):
        unpack(place, "train")


SUITE = """
name = "named"
version = "0.1"
methods = ["lottery-ticket"]
learning_rates = [0.1]
sparsities = [0.5]
seeds = 1
budget = "2T"
validation = 3
recipe = {{ epochs = 1, batch = 4, augment = "crop-flip-cutout" }}

[[workload]]
model = "mlp-8"
dataset = "imagefolder:{root}"
"""


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.usefixtures("packing_here")
@pytest.mark.parametrize(("more", "chance"), [(0, None), (9, 12 / 18)])
def test_a_suite_runs_on_a_named_folder(
    root: Path, home: DataHome, tmp_path: Path, more: int, chance: float | None
) -> None:
    for number in range(more):
        draw(root / f"test/eel/more{number}.png", 5000 + number)
    home.folder.mkdir()
    (tmp_path / "named.toml").write_text(SUITE.format(root=root))
    job = Job.make(Suite.read(str(tmp_path / "named.toml")), data=home.folder, device="cpu")
    driver = job.driver(tmp_path / "out", executor="serial", start="fork")
    driver.run()
    [record] = driver.records
    assert record.result.status == "ok", record.result.reason
    assert record.result.chance == chance
    assert record.result.fingerprints["test"] == prepare(home, f"imagefolder:{root}").fingerprints["test"]


@pytest.mark.usefixtures("packing_here")
def test_the_names_of_folders_are_removed_like_others(root: Path, home: DataHome) -> None:
    name = prepare(home, f"imagefolder:{root}").name
    assert data("remove", name, "--data", home.folder).exit_code == 0
    assert list(home.folder.iterdir()) == []
