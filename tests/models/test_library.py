"""Models of timm and torchvision: the right sizes, no network, one line where it cannot be."""

import socket
from typing import Any

import pytest
import torch

from lthbench.errors import InputError
from lthbench.models import library
from tests.models.zoo import DIGITS, leaves_generators_alone, model, trained


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("somebody opens a socket")

    monkeypatch.setattr(socket, "socket", refuse)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("timm:resnet10t", DIGITS),
        ("timm:vit_tiny_patch16_224", (1, 32, 32)),
        ("timm:convnext_atto", (5, 64, 48)),
        ("timm:swin_tiny_patch4_window7_224", (3, 64, 64)),
        ("torchvision:regnet_y_400mf", (1, 32, 32)),
        ("torchvision:vit_b_32", (1, 64, 64)),
        ("torchvision:googlenet", (3, 64, 64)),
        ("torchvision:inception_v3", (1, 96, 96)),
        ("torchvision:maxvit_t", (3, 224, 224)),
        ("torchvision:squeezenet1_1", (2, 64, 64)),
    ],
)
def test_channels_classes_and_sizes(name: str, shape: tuple[int, int, int]) -> None:
    module = model(name, shape).module()
    assert module(torch.empty(2, *shape, device="meta")).shape == (2, 10)
    assert all(parameter.is_meta and parameter.dtype == torch.float32 for parameter in module.parameters())


@pytest.mark.parametrize(
    ("name", "shape", "stem", "scheme"),
    [
        ("timm:resnet10t", (3, 16, 16), "cifar", "library"),
        ("timm:test_vit", (3, 32, 32), "", "signed-constant"),  # position embeddings
        ("timm:swin_tiny_patch4_window7_224", (3, 32, 32), "", "kaiming-normal"),  # buffers that are indices
        ("torchvision:regnet_x_400mf", (1, 32, 32), "", "library"),  # cannot be built on the meta device
        ("torchvision:mobilenet_v3_small", (3, 32, 32), "", "kaiming-normal"),  # dropout
    ],
)
def test_two_steps_of_training(name: str, shape: tuple[int, int, int], stem: str, scheme: str) -> None:
    m = model(name, shape, stem=stem)
    before, after = trained(m, scheme)
    assert all(t.isfinite().all() for t in (*after.params.values(), *after.buffers.values()))
    assert sum(not torch.equal(before.params[n], after.params[n]) for n in m.shapes) > len(m.shapes) / 2


@pytest.mark.parametrize("name", ["torchvision:regnet_y_400mf", "timm:resnet10t", "timm:test_vit"])
def test_building_on_either_device_leaves_the_generators_alone(name: str) -> None:
    m = model(name)
    assert leaves_generators_alone(m.module)
    assert leaves_generators_alone(lambda: m.build("cpu"))
    assert not any(parameter.is_meta for parameter in m.build("cpu").parameters())


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("timm:resnet188", "timm has no model 'resnet188'. Did you mean resnet18"),
        ("timm:resnet18.a1_in1k", "Did you mean resnet18"),
        ("timm:hf-hub:someone/something", "timm has no model 'hf-hub:someone/something'"),
        ("torchvision:resnet19", "torchvision has no model 'resnet19'. Did you mean resnet"),
        ("torchvision:fasterrcnn_resnet50_fpn", "torchvision has no model"),
        ("torchvision:QQ", "list_models"),
        ("torchvision:inception_v3", "cannot take images of 3x32x32: .*[Kk]ernel"),
        ("torchvision:maxvit_t", "cannot take images of 3x32x32"),
        ("timm:deepseek_vit_412m", "divisible by patch size"),
        ("timm:resnet10t-w2", "comes in one width"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(name: str, why: str) -> None:
    with pytest.raises(InputError, match=why) as error:
        _ = model(name).shapes
    assert "\n" not in str(error.value)


def test_library_models_cannot_be_narrowed() -> None:
    with pytest.raises(InputError, match="comes in one width"):
        model("timm:resnet10t").narrowed(0.5)
    assert model("timm:resnet10t").narrowed(1.0) == model("timm:resnet10t")


@pytest.mark.parametrize("name", ["timm:resnet10t", "torchvision:mobilenet_v3_small"])
def test_another_version_of_the_library_is_another_model(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = model(name, (3, 32, 32)).identity, model("resnet20", (3, 32, 32)).identity
    monkeypatch.setattr(library, "version", lambda package: "99.0")
    library.release.cache_clear()
    after = model(name, (3, 32, 32)).identity, model("resnet20", (3, 32, 32)).identity
    library.release.cache_clear()
    assert before[0] != after[0] == before[0] | {"library": f"{name.partition(':')[0]} 99.0"}
    assert before[1] == after[1]
