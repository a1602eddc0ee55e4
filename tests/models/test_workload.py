"""A workload's model: its stem and its prunable weights as a suite writes them."""

from typing import Any

import pytest
from pydantic import ValidationError

from lthbench.errors import InputError
from lthbench.suite.workload import Workload
from tests.models.zoo import CIFAR


def workload(**fields: Any) -> Workload:
    return Workload(**{"model": "resnet18", "dataset": "cifar10", "prunable": "ma2021", "stem": "cifar"} | fields)


def test_it_builds_what_it_says() -> None:
    built = workload().build(CIFAR, 10)
    assert (built.stem, built.prunable, built.dense) == ("cifar", "ma2021", ())
    assert built.prunable_count == 11_157_504


def test_patterns_still_do() -> None:
    w = Workload(model="vgg11", dataset="cifar10", prunable=("*.conv.weight",), dense=("*.bn.*", "fc.*"))
    assert w.build(CIFAR, 10).prunable_shapes.keys() == {
        name for name in w.build(CIFAR, 10).shapes if name.endswith("conv.weight")
    }


def test_a_suite_without_stems_is_hashed_as_before_there_were_any() -> None:
    plain = {"model": "mlp-32", "dataset": "digits"}
    assert Workload(**plain).model_dump(mode="json", exclude_defaults=True) == plain
    written = workload().model_dump(mode="json", exclude_defaults=True)
    assert written == {"model": "resnet18", "dataset": "cifar10", "prunable": "ma2021", "stem": "cifar"}


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"prunable": "ma2020"}, "Did you mean 'ma2021'"),
        ({"prunable": "*.weight"}, "Known: all, chen2021, liu2021, ma2021"),
        ({"dense": ("out.*",)}, "leave dense out"),
        ({"stem": "cifr"}, "Did you mean 'cifar'"),
        ({"init": "libary"}, "Did you mean 'library'"),
    ],
)
def test_a_wrong_word_is_refused_when_the_suite_is_read(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        workload(**fields)


def test_a_set_that_is_empty_for_a_model_is_refused() -> None:
    with pytest.raises(InputError, match="prunable = 'ma2021' matches no parameter"):
        workload(model="mlp-32", stem="").build(CIFAR, 10)


def test_the_usual_patterns_are_refused_for_networks_with_batch_norm() -> None:
    with pytest.raises(InputError, match="belongs to a normalisation"):
        Workload(model="resnet20", dataset="cifar10").build(CIFAR, 10)


def test_another_model_of_the_family_keeps_stem_and_set() -> None:
    other = workload().model_copy(update={"model": "resnet34"}).build(CIFAR, 10)
    assert (other.stem, other.prunable) == ("cifar", "ma2021")
    assert other.identity["name"] == "resnet34"
