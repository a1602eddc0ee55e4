"""Starts: where they are found, what they are known by, and what a run makes of them."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lthbench.data import DataHome
from lthbench.errors import InputError
from lthbench.methods.internals.setting import Setting, settings
from lthbench.models import initial_tensors, pretrained
from lthbench.models.checkpoint import Checkpoint, write
from lthbench.pruning import starts
from lthbench.pruning.lineage import Init
from lthbench.pruning.starts import Start
from lthbench.pruning.state import initial_state
from lthbench.suite import Suite
from lthbench.suite.workload import Workload
from lthbench.training.feed import feed
from tests.models.zoo import DIGITS, model

MLP = model("mlp-8", DIGITS)
TAG = "timm:test_resnet.r160_in1k"


def checkpoint(seed: int = 7, **images: Any) -> Checkpoint:
    return Checkpoint(initial_tensors(MLP, "kaiming-normal", seed, 0), **images)


def workload(folder: Path, **fields: Any) -> Workload:
    return Workload(**{"model": "mlp-8", "dataset": "digits", "start": "start.safetensors"} | fields).beside(folder)


def test_the_digest_is_of_tensors_and_normalisation_and_not_of_the_form(tmp_path: Path) -> None:
    plain, images = checkpoint(), checkpoint(mean=(0.1,), std=(0.2,))
    write(plain, tmp_path / "start.safetensors")
    torch.save(dict(plain.tensors), tmp_path / "start.pth")
    write(images, tmp_path / "images.safetensors")
    write(checkpoint(8), tmp_path / "other.safetensors")
    one, two, three, four = (
        workload(tmp_path, start=name).start_digest
        for name in ("start.safetensors", "start.pth", "images.safetensors", "other.safetensors")
    )
    assert one == two and len({one, three, four}) == 3


def test_a_suite_without_a_start_says_nothing_of_one() -> None:
    assert not {"start", "start_digest"} & Suite.read("digits").model_dump(exclude_defaults=True)["workload"][0].keys()


def test_a_pinned_digest_refuses_another_file_and_lets_the_file_be_absent(tmp_path: Path) -> None:
    write(checkpoint(), tmp_path / "start.safetensors")
    digest = workload(tmp_path).start_digest
    assert workload(tmp_path / "elsewhere", start_digest=digest).start_digest == digest
    with pytest.raises(InputError, match=f"has the digest {digest}, the suite says 0000"):
        workload(tmp_path, start_digest="0" * 32)


def test_a_start_that_is_not_here_is_planned_and_not_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    start = starts.locate(TAG, "", tmp_path, planning=True)
    assert start.tensors(MLP) == {} and start.normalisation(1) is None
    assert f"type lthbench data get {TAG}, or put its weights at {tmp_path}" in caplog.text
    with pytest.raises(InputError, match=r"test_resnet.r160_in1k.safetensors"):
        starts.locate(TAG, "", tmp_path)
    with pytest.raises(InputError, match="Did you mean test_resnet.r160_in1k"):
        starts.locate("timm:test_resnet.r161", "", tmp_path, planning=True)


@pytest.mark.parametrize("form", ["hub", "address"])
def test_weights_of_timm_are_fetched_once_and_written_with_what_timm_says(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensors = initial_tensors(model("timm:test_resnet", (3, 32, 32)), "library", 0, 0)
    asked: list[str] = []

    def download(address: str, **options: Any) -> Any:
        assert options["weights_only"]
        asked.append(address)
        return tensors

    monkeypatch.setattr("timm.models.load_state_dict_from_hf", download)
    monkeypatch.setattr("torch.hub.load_state_dict_from_url", download)
    said = pretrained.described(TAG)
    if form == "address":
        said.hf_hub_id, said.url = None, "https://example.org/x.pth"
    monkeypatch.setattr(pretrained, "described", lambda text: said)
    path = starts.fetched(TAG, tmp_path)
    assert starts.fetched(TAG, tmp_path) == path and len(asked) == 1
    found = starts.locate(TAG, "", tmp_path)
    assert found.checkpoint and found.checkpoint.input_size == (3, 160, 160)
    assert found.normalisation(3) == ((127.5,) * 3, (127.5,) * 3)


def test_where_nothing_can_be_fetched_it_says_what_to_put_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(*_: Any, **__: Any) -> None:
        raise OSError("no\nnetwork")

    monkeypatch.setattr("timm.models.load_state_dict_from_hf", download)
    with pytest.raises(
        InputError, match="no network.*put https://.*/model.safetensors at .*r160_in1k.safetensors"
    ) as error:
        starts.fetched(TAG, tmp_path)
    assert "\n" not in str(error.value) and not list(tmp_path.rglob("*"))


@given(st.lists(st.floats(0.05, 0.95), min_size=3, max_size=3), st.sampled_from([1, 3]))
def test_one_channel_is_normalised_by_the_average_of_several(values: list[float], channels: int) -> None:
    start = Start("x", "", Checkpoint({}, tuple(values), tuple(values)))
    found = start.normalisation(channels)
    wanted = values if channels == 3 else [sum(values) / 3]
    assert found == (tuple(255 * v for v in wanted),) * 2
    with pytest.raises(InputError, match="images of 3 channels, these have 2"):
        start.normalisation(2)


def test_images_are_normalised_as_the_start_says(data_folder: Path, tmp_path: Path) -> None:
    home = DataHome(data_folder)
    write(checkpoint(mean=(8 / 255,), std=(2 / 255,)), tmp_path / "start.safetensors")
    suite = Suite.read("smoke").model_copy(update={"workload": (workload(tmp_path),)})
    manifests = settings(suite, home)
    setting, plain = (
        Setting(one, one.cells()[0], manifests["digits"])
        for one in (suite, suite.model_copy(update={"workload": (Workload(model="mlp-8", dataset="digits"),)}))
    )
    assert setting.split.normalisation == ((8.0,), (2.0,)) and setting.split.fingerprint != plain.split.fingerprint
    assert setting.fingerprints == plain.fingerprints | {"start": setting.cell.workload.start_digest}
    from lthbench.runs.store.store import Store
    from lthbench.runs.workers.worker import Worker

    worker = Worker(Store(tmp_path / "store", "here"), home, torch.device("cpu"))
    raw, examples = home.load("digits", "train"), worker.feed(setting.split, "train")
    whole = feed(raw, torch.arange(len(raw)), manifests["digits"], torch.device("cpu"))
    assert examples.images.min() == -4.0 and examples.images.max() == 4.0
    assert whole.images.max() != 4.0


def test_a_start_replaces_what_it_has_and_leaves_the_rest_to_the_seed(tmp_path: Path) -> None:
    start = Start("x", "d", checkpoint()).tensors(model("mlp-8", DIGITS))
    hidden = {name: t for name, t in start.items() if not name.startswith("out")}
    one, two = (initial_state(Init(MLP, "kaiming-normal", seed, 0, "d"), hidden) for seed in (1, 2))
    assert all(torch.equal(one.params[n], t) and torch.equal(two.params[n], t) for n, t in hidden.items())
    assert not torch.equal(one.params["out.weight"], two.params["out.weight"])
    assert Init(MLP, "kaiming-normal", 1, 0, "d").key != Init(MLP, "kaiming-normal", 1, 0).key
