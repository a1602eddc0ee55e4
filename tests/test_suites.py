"""The suites that come with lthbench: they plan without their data, and the lite ones cost what they say."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from lthbench import suite
from lthbench.budget import rounds
from lthbench.cli import main
from lthbench.data import DataHome
from lthbench.errors import InputError
from lthbench.methods import registry
from lthbench.methods.internals.setting import settings
from lthbench.runs.driver.job import Job
from lthbench.runs.plan.plan import plan
from lthbench.runs.plan.totals import union
from lthbench.suite import Suite
from tests.helpers import same_sums

LITE = [name for name in suite.names() if name.endswith("-lite")]
SMALL = [name for name in suite.names() if name.startswith("smoke") or "digits" in name]
MAIN = [
    name
    for name in suite.names()
    if name.startswith(("cifar", "tiny-imagenet")) and not name.endswith(("-lite", "-cpu"))
]
PAPERS = ("frankle2019", "liu2021", "ma2021", "malach2020", "generalized", "wolfe2021", "elastic")
GPU = [name for name in suite.names() if name.startswith(PAPERS) and "digits" not in name]


@pytest.mark.parametrize("name", GPU)
def test_a_papers_suite_plans_without_its_data(name: str, tmp_path: Path) -> None:
    whole = Suite.read(name)
    data = settings(whole, DataHome(tmp_path), planning=True)
    least = {"learning_rates": whole.learning_rates[:1], "sparsities": whole.sparsities[:1], "seeds": 1}
    one = whole.model_copy(update=least | {"workload": whole.workload[-1:]})
    registry.load_all()
    planned = plan(one, [registry.find(label) for label in one.methods], data)
    assert len(planned.runs) == len(one.methods)
    assert all(run.charge > 0 for run in planned.runs if run.complete)


@pytest.mark.parametrize(
    ("name", "warmup", "rewind"),  # epochs, by Ma et al. 2021
    [("ma2021", 0, 8), ("ma2021-vgg16", 75, 8), ("ma2021-tiny-imagenet", 20, 8), ("ma2021-imagenet", 8, 5)],
)
def test_ma_warms_up_and_rewinds_as_the_paper_says(name: str, warmup: int, rewind: int) -> None:
    own = Suite.read(name)
    assert own.recipe.warmup * own.recipe.epochs == pytest.approx(warmup)
    assert sum(f"start={rewind}," in label for label in own.methods) == 4


@pytest.mark.parametrize("name", LITE)
def test_a_lite_suite_trains_as_many_epochs_as_its_first_line_says(name: str, tmp_path: Path) -> None:
    whole = Suite.read(name)
    one = whole.model_copy(update={"learning_rates": whole.learning_rates[:1], "seeds": 1})
    registry.load_all()
    methods = [registry.METHODS[method] for method in whole.methods]
    trained = plan(one, methods, settings(one, DataHome(tmp_path), planning=True)).computed
    epochs = trained * len(whole.learning_rates) * max(whole.looks)
    said = re.match(r"# (\d+) trainings x (\d+) epochs = ([\d,]+) ", (suite.FOLDER / f"{name}.toml").read_text())
    assert said and int(said[1]) * int(said[2]) == int(said[3].replace(",", "")) == epochs
    assert whole.recipe.epochs == int(said[2])


@pytest.mark.parametrize("name", MAIN)
def test_a_main_suite_has_three_rates_five_seeds_and_the_sparsities_of_imp(name: str) -> None:
    main = Suite.read(name)
    assert main.learning_rates == (0.01, 0.05, 0.1) and main.looks == (5,)
    assert main.budget == ("(n+1)T" if name.endswith("-iterative") else "2T")
    assert main.sparsities == tuple(rounds(0.96)[k - 1] for k in (3, 6, 9, 11, 14))
    assert [main.budget_epochs(s) for s in main.sparsities[-1:]] == [15 * 160 if "iterative" in name else 320]


@pytest.mark.parametrize("name", [*MAIN, *LITE])
def test_a_tenth_is_held_out_and_the_recipe_fits(name: str, tmp_path: Path) -> None:
    own = Suite.read(name)
    for manifest in settings(own, DataHome(tmp_path), planning=True).values():
        assert own.validation == manifest.sizes["train"] // 10


@pytest.mark.parametrize("name", SMALL)
def test_a_plan_adds_up_from_one_seed(name: str, data_folder: Path) -> None:
    own = Suite.read(name).model_copy(update={"seeds": 2})
    registry.load_all()
    same_sums(own, list(map(registry.find, own.methods)), settings(own, DataHome(data_folder)))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({*suite.names()} - {*SMALL}))
def test_a_plan_of_images_adds_up_from_one_seed(name: str, tmp_path: Path) -> None:
    whole = Suite.read(name)
    small = {"learning_rates": whole.learning_rates[:1], "sparsities": whole.sparsities[:1], "control_sparsities": ()}
    own = whole.model_copy(update=small | {"seeds": 2, "workload": whole.workload[:2]})
    registry.load_all()
    same_sums(own, list(map(registry.find, own.methods)), settings(own, DataHome(tmp_path), planning=True))


def test_what_can_be_planned_without_its_data_cannot_be_run_without_it(tmp_path: Path) -> None:
    planned = Job.make(Suite.read("cifar10-lite"), ["dense"], tmp_path, only=True, planning=True)
    assert len(planned.plan.runs) == 15
    with pytest.raises(InputError, match="type: lthbench data get cifar10"):
        Job.make(Suite.read("cifar10-lite"), ["dense"], tmp_path, only=True)


OWN = """
name = "own"
version = "0.1"
methods = ["dense", "prune-finetune"]
learning_rates = [0.1]
sparsities = [0.8]
seeds = 1
budget = "2T"
validation = {validation}
recipe = {{ epochs = 1, batch = 16, examples = {examples} }}

[[workload]]
model = "{model}"
dataset = "digits"
prunable = "all"
"""


@pytest.mark.parametrize("command", ["plan", "run"])
def test_a_last_batch_of_one_image_is_refused_before_any_work_where_the_model_needs_two(
    command: str, data_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "own.toml").write_text(OWN.format(model="resnet18", validation=0, examples=1297))
    words = [command, str(tmp_path / "own.toml"), "--data", str(data_folder)]
    done = CliRunner().invoke(main, words + ["--out", str(tmp_path / "r")] * (command == "run"))
    assert done.exit_code == 2 and len(done.stderr.splitlines()) == 1
    assert (
        "resnet18/digits: 1297 training examples in batches of 16 end in a batch or shard of one image" in done.stderr
    )
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("model", "validation", "examples"),
    [("mlp-8", 0, 1297), ("resnet8", 0, 1297), ("resnet18", 1, 1296), ("resnet18", 0, 1290)],
)
def test_a_last_batch_that_the_model_can_be_trained_on_is_planned(
    model: str, validation: int, examples: int, data_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "own.toml").write_text(OWN.format(model=model, validation=validation, examples=examples))
    assert settings(Suite.read(tmp_path / "own.toml"), DataHome(data_folder))


def test_a_suite_without_the_default_tickets_can_be_run_again_and_looked_at(data_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(OWN.format(model="mlp-8", validation=0, examples=64))
    run = ["run", str(tmp_path / "own.toml"), "--out", str(tmp_path / "r"), "--data", str(data_folder), "--serial"]
    for words in (run, run, ["status", str(tmp_path / "r")], ["score", str(tmp_path / "r")]):
        done = CliRunner().invoke(main, words)
        assert done.exit_code == 0, done.output
    assert "duels" not in (tmp_path / "r/suite.json").read_text()


def test_plan_says_which_share_of_the_parameters_is_prunable(data_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(OWN.format(model="resnet8", validation=0, examples=64))
    words = ["plan", str(tmp_path / "own.toml"), "--data", str(data_folder), "--json"]
    [row] = json.loads(CliRunner().invoke(main, words).output)["parameters"]
    model = Suite.read(tmp_path / "own.toml").workload[0].build((1, 8, 8), 10)
    assert row["prunable"] == f"{100 * model.prunable_count / row['parameters']:.3g} %"
    assert row["stays dense"] == f"{row['parameters'] - model.prunable_count - 10:,} normalisation, 10 biases"


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30))))
def test_the_steps_of_spans_are_counted_once(spans: list[tuple[int, int]]) -> None:
    assert union(spans) == len({step for start, stop in spans for step in range(start, stop)})
