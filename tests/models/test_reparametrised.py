"""Models that change their weights before they compute with them: a mask on those would make nothing sparse."""

from collections.abc import Callable

import pytest
import timm.layers
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from lthbench.errors import InputError
from lthbench.models.reparametrised import changed
from tests.models.zoo import LIBRARY, OWN, model


class Standardised(nn.Module):
    """Weight standardisation as a parametrisation."""

    def forward(self, weight: Tensor) -> Tensor:
        return (weight - weight.mean((1, 2, 3), keepdim=True)) / weight.std((1, 2, 3), keepdim=True)


class Doubled(nn.Module):
    """A parametrisation that keeps zeros."""

    def forward(self, weight: Tensor) -> Tensor:
        return 2 * weight


class Half(nn.Conv2d):
    """Computes with a view of its weight."""

    def forward(self, images: Tensor) -> Tensor:
        return nn.functional.conv2d(images, self.weight.view(4, 3, 3, 3)[:2], padding=1)


def parametrised(how: nn.Module) -> nn.Module:
    layer = nn.Conv2d(3, 4, 3, padding=1)
    parametrize.register_parametrization(layer, "weight", how)
    return layer


LAYERS: dict[str, Callable[[], nn.Module]] = {
    "plain": lambda: nn.Conv2d(3, 4, 3, padding=1),
    "a view": lambda: Half(3, 4, 3),
    **{
        name: lambda name=name: getattr(timm.layers, name)(3, 4, 3)
        for name in ("StdConv2d", "StdConv2dSame", "ScaledStdConv2d", "ScaledStdConv2dSame")
    },
    "standardised": lambda: parametrised(Standardised()),
    "doubled": lambda: parametrised(Doubled()),
    "weight norm": lambda: parametrizations.weight_norm(nn.Conv2d(3, 4, 3, padding=1)),
    "spectral norm": lambda: parametrizations.spectral_norm(nn.Conv2d(3, 4, 3, padding=1)),
}
LOSES_ZEROS = {"StdConv2d", "StdConv2dSame", "ScaledStdConv2d", "ScaledStdConv2dSame", "standardised"}


def share_of_zeros(layer: nn.Module, images: Tensor, monkeypatch: pytest.MonkeyPatch) -> float:
    """The share of zeros in the kernels that a layer computes with, half of whose weights are 0."""
    seen: list[Tensor] = []
    real = torch.conv2d
    monkeypatch.setattr(nn.functional, "conv2d", lambda x, w, *a, **k: (seen.append(w), real(x, w, *a, **k))[1])
    for parameter in layer.parameters():
        if parameter.numel() > 4:  # and not the gain
            parameter.data.mul_(torch.arange(parameter.numel()).view(parameter.shape) % 2)
    layer.eval()(images)
    monkeypatch.undo()
    return float((seen[0] == 0).float().mean())


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_that_loses_zeros_is_known(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.ones(2, 3, 8, 8)
    found = changed(LAYERS[name](), lambda layer: layer(images))
    zeros = share_of_zeros(LAYERS[name](), images, monkeypatch)
    assert (zeros < 0.4) == (name in LOSES_ZEROS)
    assert any("weight" in parameter for parameter in found) == (name in LOSES_ZEROS)


def test_the_layers_of_timm_that_standardise_are_all_tried() -> None:
    assert {name for name in dir(timm.layers) if "StdConv" in name} <= LAYERS.keys()


@pytest.mark.parametrize(
    ("name", "prunable", "dense"),
    [("timm:test_nfnet", "all", ()), ("timm:resnetv2_50x1_bit", "all", ()),
     ("timm:test_nfnet", ("*weight",), ("*bias", "*gain", "*skipinit*"))],
)  # fmt: skip
def test_a_model_that_standardises_its_weights_is_refused_in_one_line(
    name: str, prunable: str, dense: tuple[str, ...]
) -> None:
    with pytest.raises(InputError, match=rf"model {name} .*before it computes with them") as error:
        _ = model(name, prunable=prunable, dense=dense).shapes
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", [*OWN, *LIBRARY, "timm:convnext_atto", "torchvision:vit_b_32"])
def test_other_models_compute_with_their_weights(name: str) -> None:
    assert model(name, (3, 64, 64)).prunable_count
