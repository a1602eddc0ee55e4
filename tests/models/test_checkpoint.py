"""Checkpoints: what is read, what of it fits a model, and what is refused in one line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor

from lthbench.errors import InputError
from lthbench.models import Model, initial_tensors
from lthbench.models.checkpoint import Checkpoint, read, write
from lthbench.models.fitted import fitted
from tests.models.zoo import CIFAR, DIGITS, model

MLP = model("mlp-8", DIGITS)
RESNET = "timm:test_resnet"


def drawn(m: Model, seed: int = 5) -> dict[str, Tensor]:
    return initial_tensors(m, "library" if ":" in m.name else "kaiming-normal", seed, 0)


def fits(tensors: dict[str, Tensor], m: Model, **more: Any) -> dict[str, Tensor]:
    return fitted(Checkpoint(tensors, **more), m)


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(t, b[name]) for name, t in a.items())


FORMS: dict[str, Callable[[dict[str, Tensor], Path], object]] = {
    "plain.pth": torch.save,
    "nested.pt": lambda tensors, path: torch.save({"state_dict": tensors, "epoch": 3}, path),
    "parallel.bin": lambda tensors, path: torch.save({f"module.{name}": t for name, t in tensors.items()}, path),
    "x.safetensors": lambda tensors, path: write(Checkpoint(tensors, (0.5,), (0.25,), (1, 8, 8)), path),
}


@pytest.mark.parametrize("name", FORMS)
def test_what_was_saved_is_read(name: str, tmp_path: Path) -> None:
    tensors, images = {"a.weight": torch.randn(2, 3), "b": torch.arange(4)}, ((0.5,), (0.25,), (1, 8, 8))
    FORMS[name](tensors, tmp_path / name)
    found = read(tmp_path / name)
    assert same(dict(found.tensors), tensors)
    assert (found.mean, found.std, found.input_size) == (images if name == "x.safetensors" else ((), (), ()))


def test_a_config_of_timm_beside_it_says_how_images_were_normalised(tmp_path: Path) -> None:
    save_file({"a": torch.ones(1)}, tmp_path / "model.safetensors")
    said = {"mean": [0.1], "std": [0.2], "input_size": [1, 28, 28]}
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "x", "pretrained_cfg": said}))
    found = read(tmp_path / "model.safetensors")
    assert (found.mean, found.std, found.input_size) == ((0.1,), (0.2,), (1, 28, 28))


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("gone.pth", None, "No such file"),
        ("x.npz", b"", "its name ends in .safetensors, .pth"),
        ("x.safetensors", b"no", "is not a safetensors file"),
        ("x.pth", b"no", "holds more than tensors, or is not a file of torch"),
        ("code.pth", {"weight": torch.ones(1), "hook": len}, "holds more than tensors"),
        ("list.pth", [torch.ones(1)], "holds no tensors by name"),
        ("mean.safetensors", {"mean": "[0.1, 0.2]", "std": "[1.0]"}, "not those of the same channels"),
        ("word.safetensors", {"mean": '["a"]', "std": "[1.0]"}, "are not lists of numbers"),
        ("text.safetensors", {"mean": "a", "std": "[1.0]"}, "JSON in its metadata"),
        ("zero.safetensors", {"mean": "[0.1]", "std": "[0.0]"}, "not those of the same channels"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_refused_in_one_line(name: str, content: Any, why: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif path.suffix == ".safetensors":
        save_file({"a": torch.ones(1)}, path, content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(InputError, match=why) as error:
        read(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["mlp-8", "resnet8", RESNET, "torchvision:mobilenet_v3_small", "renamed-mlp-8"])
def test_a_model_takes_its_own_weights_back(name: str) -> None:
    m = model(name, CIFAR)
    tensors = drawn(m)
    inside = {n.removeprefix("inside."): t for n, t in tensors.items()}
    found = fits(inside if "renamed" in name else tensors, m)
    assert m.shapes.keys() <= found.keys()
    assert same(found, {n: tensors[n] for n in found})


@pytest.mark.parametrize("name", ["mlp-8", "resnet8", RESNET])
def test_a_classifier_for_other_classes_is_left_out(name: str) -> None:
    m = model(name, CIFAR)
    other = Model(name, CIFAR, 7, "all")
    tensors = drawn(other)
    found = fits(tensors, m)
    left = m.shapes.keys() - found.keys()
    assert {m.shapes[n][0] for n in left} == {10} and len(left) == 2
    assert all(torch.equal(found[n], tensors[n]) for n in found)


def test_timm_fits_the_first_convolution_to_other_channels() -> None:
    """Weights of three channels act on the sum of them: timm adds them up for one channel."""
    tensors = drawn(model(RESNET, CIFAR))
    found = fits(tensors, model(RESNET, (1, 32, 32)), input_size=(3, 160, 160))
    assert torch.allclose(found["conv1.0.weight"], tensors["conv1.0.weight"].sum(1, keepdim=True))
    assert all(torch.equal(found[n], tensors[n]) for n in found if n != "conv1.0.weight")


def test_timm_fits_position_embeddings_to_another_size() -> None:
    small, large = (model("timm:test_vit", (3, side, side)) for side in (32, 64))
    tensors = drawn(large)
    found = fits(tensors, small, input_size=(3, 64, 64))
    assert found["pos_embed"].shape == small.shapes["pos_embed"] != tensors["pos_embed"].shape
    assert torch.equal(found["blocks.0.mlp.fc1.weight"], tensors["blocks.0.mlp.fc1.weight"])


def test_what_timm_saves_is_what_it_computes(tmp_path: Path) -> None:
    """A pretrained network of timm and the module that lthbench makes of its file give the same logits."""
    from lthbench.pruning.lineage import Init
    from lthbench.pruning.state import initial_state, module_of

    torch.manual_seed(0)
    theirs = timm.create_model("test_resnet", num_classes=10).eval()
    save_file(theirs.state_dict(), tmp_path / "model.safetensors")
    m = model(RESNET, CIFAR)
    start = fitted(read(tmp_path / "model.safetensors"), m)
    ours = module_of(m, initial_state(Init(m, "library", 0, 0, "start"), start)).eval()
    images = torch.randn(4, *CIFAR)
    assert torch.equal(ours(images), theirs(images))


def _without(name: str) -> Callable[[dict[str, Tensor]], object]:
    return lambda tensors: tensors.pop(name)


@pytest.mark.parametrize(
    ("name", "change", "why"),
    [
        ("mlp-8", _without("hidden.0.weight"), "it has no hidden.0.weight, which mlp-8 has"),
        ("mlp-8", lambda t: t.update(more=torch.ones(1)), "it has more, which mlp-8 does not have"),
        (
            "mlp-8",
            lambda t: t.update({"hidden.0.weight": torch.ones(8, 9)}),
            r"is \[8, 9\], that of mlp-8 is \[8, 64\]",
        ),
        ("mlp-8", lambda t: t["hidden.0.weight"].fill_(torch.nan), "hidden.0.weight holds NaN"),
        (RESNET, _without("layer1.0.conv1.weight"), "timm cannot load it: .*layer1.0.conv1.weight"),
        (RESNET, lambda t: t.update(more=torch.ones(1)), "timm cannot load it: .*more"),
    ],
)
def test_weights_of_another_model_are_refused_in_one_line(name: str, change: Any, why: str) -> None:
    m = model(name, DIGITS if name == "mlp-8" else CIFAR)
    tensors = {n: t.clone() for n, t in drawn(m).items()}
    change(tensors)
    with pytest.raises(InputError, match=why) as error:
        fits(tensors, m)
    assert "\n" not in str(error.value)


def test_images_of_another_size_are_named_where_a_shape_does_not_fit() -> None:
    with pytest.raises(InputError, match="trained on images of 1x28x28, pack the data with lthbench data add --size"):
        fits(drawn(model("mlp-8", (1, 28, 28))), MLP, input_size=(1, 28, 28))
