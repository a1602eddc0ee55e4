"""Parameter counts against the papers': all that is trained, with batch-norm and the classifier's bias."""

import pytest

from lthbench.models import Model
from tests.models.zoo import CIFAR, MNIST


@pytest.mark.parametrize(
    ("name", "stem", "classes", "count", "paper"),
    [
        ("resnet20", "", 10, 272_474, "0.27"),  # Ma et al. 2021
        ("resnet32-w2", "", 10, 1_860_522, "1.86"),  # Ma et al. 2021
        ("mobilenet-v1", "", 10, 3_217_226, "3.21"),  # Ma et al. 2021, who cut the third digit off
        ("resnet18", "cifar", 100, 11_220_132, "11.22"),  # Ma et al. 2021; 11.17 for the ten classes of CIFAR-10
        ("vgg16", "", 10, 14_724_042, "14.72"),  # Ma et al. 2021
        ("mobilenet-v2", "", 10, 2_236_682, "2.23"),  # torchvision's, with ten classes
        ("resnet18", "", 1000, 11_689_512, "11.69"),  # torchvision's
        ("resnet50", "", 1000, 25_557_032, "25.55"),  # torchvision's
    ],
)
def test_all_parameters(name: str, stem: str, classes: int, count: int, paper: str) -> None:
    model = Model(name, CIFAR, classes, "all", stem=stem)
    assert sum(shape.numel() for shape in model.shapes.values()) == count
    assert f"{count / 1e6:.3f}".startswith(paper)


@pytest.mark.parametrize(
    ("name", "torchvision"),  # its published counts, with ImageNet's stem and its thousand classes
    [("resnet18", 11_689_512), ("resnet50", 25_557_032)],
)
def test_resnets_for_tiny_imagenet_differ_in_stem_and_classifier(name: str, torchvision: int) -> None:
    model = Model(name, (3, 64, 64), 200, "all", stem="tiny-imagenet")
    stem = 3 * 64 * (7 * 7 - 3 * 3)
    features = 2048 if name == "resnet50" else 512
    assert sum(s.numel() for s in model.shapes.values()) == torchvision - stem - (1000 - 200) * (features + 1)


@pytest.mark.parametrize(
    ("name", "count"),  # Zhou et al., NeurIPS 2019: weights without biases
    [("conv2", 4_300_992), ("conv4", 2_425_024), ("conv6", 2_261_184), ("mlp-300-100", 266_200)],
)
def test_weights(name: str, count: int) -> None:
    assert Model(name, MNIST if "mlp" in name else CIFAR, 10, "all").prunable_count == count


def test_lenet5() -> None:
    counts = [shape.numel() for shape in Model("lenet5", MNIST, 10, "all").shapes.values()]
    assert counts == [150, 6, 2400, 16, 48_000, 120, 10_080, 84, 840, 10]
    assert Model("lenet5", (1, 32, 32), 10, "all").shapes == Model("lenet5", MNIST, 10, "all").shapes


def test_a_double_width_has_almost_four_times_the_weights() -> None:
    plain, double = (Model(name, CIFAR, 10, "ma2021").prunable_count for name in ("resnet32", "resnet32-w2"))
    assert double == 4 * plain
