"""Results in scripts and notebooks: tables and statistics of one folder or several, as on the board."""

import logging
import shutil
from pathlib import Path

import pytest

import lthbench
from lthbench import InputError, Results, load_results
from lthbench.board.build import analysis_of

ROOT = Path(__file__).parent.parent
PUBLISHED = ROOT / "leaderboard/results"


@pytest.fixture(scope="module")
def mnist() -> Results:
    return load_results(PUBLISHED / "mnist")


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """A leaderboard of two suites."""
    folder = tmp_path_factory.mktemp("leaderboard")
    for name in ("mnist", "digits-2of4"):
        shutil.copytree(PUBLISHED / name, folder / "results" / name)
    return load_results(folder)


def test_statistics_are_those_of_the_board(mnist: Results) -> None:
    analysis = analysis_of(PUBLISHED / "mnist")
    duel = mnist.duel("lottery-ticket", "prune-finetune")
    assert duel.cells.equals(analysis.duel("lottery-ticket", "prune-finetune").cells)
    assert duel.said["overall"].startswith("prune-finetune ahead by 0.10 pp (0.06 to 0.13)")
    assert len(duel.table) == len(duel.cells) == 10
    assert mnist.duel().a == "lottery-ticket"
    assert mnist.verdicts().equals(analysis.verdicts("lottery-ticket"))
    assert mnist.ranking().equals(analysis.rankings["all learning rates"])
    assert mnist.ranking(at_best_learning_rate=True)["method"].tolist()[0] == "prune-finetune"
    assert mnist.scores().drop(columns="suite").equals(analysis.scores)


def test_a_leaderboard_is_taken_apart_by_suite(several: Results, mnist: Results) -> None:
    assert several.names == ["digits-2of4", "mnist"]
    assert several["mnist"].duel().cells.equals(mnist.duel().cells)
    assert len(several.scores()) == sum(len(several[name].scores()) for name in several.names)
    for said, act in (("choose one", several.duel), ("Did you mean 'mnist'", lambda: several["mnits"])):
        with pytest.raises(InputError, match=said):
            act()


def test_my_method_meets_the_published_ones(tmp_path: Path, mnist: Results, caplog: pytest.LogCaptureFixture) -> None:
    """Two folders are one: a method of the first meets those of the second, seed by seed. A run of both is the first's."""
    (tmp_path / "results/mnist").mkdir(parents=True)
    for name in ("dense", "lottery-ticket"):
        lines = (PUBLISHED / f"mnist/{name}.jsonl").read_text()
        (tmp_path / f"results/mnist/{name}.jsonl").write_text(lines.replace('"torch": "2.14.1', '"torch": "mine '))
    with caplog.at_level(logging.WARNING):
        both = load_results([tmp_path / "results/mnist", PUBLISHED / "mnist"])
    assert [line.split(" are ")[0] for line in caplog.messages] == [f"60 runs of {PUBLISHED / 'mnist'}"]
    assert len(both.runs) == len(mnist.runs)
    mine = both.runs["torch"].str.startswith("mine")
    assert set(both.runs.loc[mine, "method"]) == {"dense", "lottery-ticket"} and mine.sum() == 60
    assert both.duel("lottery-ticket", "random-reinit").cells.equals(
        mnist.duel("lottery-ticket", "random-reinit").cells
    )


def test_another_text_of_a_suite_is_not_mixed_in(tmp_path: Path) -> None:
    shutil.copytree(PUBLISHED / "digits-2of4", tmp_path / "records")
    suite = lthbench.load_results(PUBLISHED / "digits-2of4").suites["digits-2of4"]
    (tmp_path / "suite.json").write_text(suite.model_copy(update={"seeds": 2}).as_json())
    with pytest.raises(InputError, match="another text of suite digits-2of4"):
        load_results([PUBLISHED / "digits-2of4", tmp_path])


def test_each_is_one_line_and_a_table(mnist: Results, several: Results) -> None:
    assert repr(mnist) == "<Results: 210 runs of 5 methods in mnist>"
    assert repr(mnist.duel()).startswith("<lottery-ticket against prune-finetune: prune-finetune ahead by 0.10 pp")
    for shown in (mnist, several, mnist.duel()):
        assert shown._repr_html_().count("<table") == 1


def test_accuracy_is_drawn_for_the_methods_that_are_named(mnist: Results) -> None:
    shown = mnist.plot_accuracy("dense", "lottery-ticket").to_dict()
    assert {row["method"] for rows in shown["datasets"].values() for row in rows} == {"dense", "lottery-ticket"}


def test_a_misspelt_method_is_one_line(mnist: Results) -> None:
    for act in (mnist.verdicts, mnist.plot_accuracy, lambda name: mnist.duel("dense", name)):
        with pytest.raises(InputError, match=r"no method with runs here .*Did you mean 'lottery-ticket'\?"):
            act("lottery-tiket")


def test_a_file_without_a_suite_has_scores_and_no_duel(tmp_path: Path) -> None:
    shutil.copy(PUBLISHED / "mnist/dense.jsonl", tmp_path / "some.jsonl")
    some = load_results(tmp_path / "some.jsonl")
    assert some.scores()["n"].tolist() == [5, 5]
    with pytest.raises(InputError, match="the text of suite mnist is not known here"):
        some.duel()
