"""Reports: their statements about artificial records with a known truth, and the statements that they must never make."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from lthbench.cli import main
from lthbench.errors import InputError
from lthbench.methods.registry import Method
from lthbench.report import equal
from lthbench.report.build import SECTIONS, beside, build, differences, incomplete, last_look, written
from lthbench.report.measured import Measured, Section
from lthbench.report.papers import early_bird, elastic, liu2021, ma2021, malach2020, wolfe2021
from lthbench.report.published import FOLDER, Number, Paper, names, paper
from lthbench.report.table import CELL, summary
from lthbench.runs.records.record import Result
from lthbench.suite import Cell, Suite
from tests.report.synthetic import Accuracy, records


def measured(suite: str, accuracy: Accuracy, **changes: object) -> Measured:
    small = Suite.read(suite).model_copy(update=changes)
    return Measured(small, records(small, accuracy))


CLAIMS: dict[str, Callable[[Measured], Section]] = {
    "liu2021": liu2021.claim,
    "ma2021": lambda found: ma2021.claim(ma2021.verdicts_of(found)),
    "wolfe2021": wolfe2021.claim,
    "elastic": elastic.claim,
    "malach2020": malach2020.claim,
}


@pytest.mark.parametrize("name", SECTIONS)
def test_every_page_is_whole(name: str) -> None:
    found = measured(f"{name}-digits", lambda m, c: 95 - 9 * c.sparsity, seeds=3)
    text, charts = written(found, paper(name), SECTIONS[name](found))
    assert charts and re.findall(r"\]\((.+)\.svg\)", text) == [*charts]
    assert all(svg.startswith("<svg") and "<text" in svg for svg in charts.values())
    assert not re.search(r"\bnan\b", text)


def claim(suite: str, accuracy: Accuracy, **changes: object) -> str:
    """Return a report's statement about a paper's claim."""
    section = CLAIMS[suite.partition("-")[0]](measured(suite, accuracy, **changes))
    assert section.title == "Does the claim hold here"
    return section.text


def without(found: Measured, diverged: Callable[[Result], bool]) -> Measured:
    """Return what was measured where some of the runs diverged."""
    told = {True: {"status": "diverged", "test": None, "train": None}, False: {}}
    records = [
        r.model_copy(update={"result": r.result.model_copy(update=told[diverged(r.result)])}) for r in found.records
    ]
    return Measured(found.suite, tuple(records))


DIVERGED: dict[str, Callable[[Result], bool]] = {
    "liu2021": lambda r: r.method == "dense" and r.learning_rate > 0.05,
    "ma2021": lambda r: r.method == "dense" and r.learning_rate > 0.05,
    "wolfe2021": lambda r: r.method in ("greedy-forward[pretrain=2,examples=256]", "dense-few[examples=512]"),
}


@pytest.mark.parametrize("name", DIVERGED)
def test_what_diverged_is_a_gap_of_the_page(name: str) -> None:
    accuracy = wolfe(lambda m: 8) if name == "wolfe2021" else lambda m, c: 95.0
    found = without(measured(f"{name}-digits", accuracy, seeds=2), DIVERGED[name])
    assert incomplete(found) == ""  # a diverged run is done
    text, _ = written(found, paper(name), SECTIONS[name](found))
    assert not re.search(r"\bnan\b", text)
    told = {"wolfe2021": "the threshold is not known at 256 and 512 examples, where runs have no result"}
    assert told.get(name, "| no result ") in text


def test_one_seed_has_no_deviation_and_no_interval() -> None:
    found = measured("liu2021-digits", lambda m, c: 90.0, seeds=1)
    assert summary(found.table, [*CELL, "label"], "test")[["sd", "low", "high"]].isna().all(axis=None)
    text, _ = written(found, paper("liu2021"), SECTIONS["liu2021"](found))
    assert "nan" not in text
    assert "±" not in text.replace("mean ± standard deviation", "")


def liu(gap_low: float, gap_high: float, tuned: float) -> Callable[[Method, Cell], float]:
    def accuracy(method: Method, cell: Cell) -> float:
        start = method.defaults.get("start")
        gap = gap_low if cell.learning_rate < 0.05 else gap_high
        return 95 - gap * (start == "reinit") + tuned * (start == "trained")

    return accuracy


def test_liu_holds() -> None:
    text = claim("liu2021-digits", liu(3, 0, 2))
    assert "more cells at the small learning rate" in text and "the first half of the claim holds" in text
    assert "prune-finetune is never behind and sometimes ahead" in text


def test_liu_fails() -> None:
    text = claim("liu2021-digits", liu(3, 3, -2))
    assert "as many cells" in text and "does not hold as stated" in text
    assert re.search(r"prune-finetune is ahead in 0 cells and behind in \d+", text)


@pytest.mark.parametrize(("small", "verdict"), [(-3, "jackpot"), (0, "neither")])
def test_ma_says_what_the_conditions_say(small: float, verdict: str) -> None:
    def accuracy(method: Method, cell: Cell) -> float:
        reinit = method.defaults.get("start") == "reinit"
        return 95 - 3 * reinit + (small if method.name == "small-dense" else 0)

    text = claim("ma2021-digits", accuracy, learning_rates=(0.1,), sparsities=(0.9,), methods=MA)
    jackpots = int(re.search(r"(\d+) are a jackpot", text).group(1))  # type: ignore[union-attr]
    assert jackpots == (4 if verdict == "jackpot" else 0)  # two tickets, two readings


MA = (
    *("dense", "small-dense"),
    *(f"imp-mask[start={s},pretrain_lr={rate}]" for s in ("init", "reinit", "2") for rate in (0.01, 0.1)),
)


def wolfe(threshold: Callable[[int], float]) -> Accuracy:
    def accuracy(method: Method, cell: Cell) -> float:
        own = method.defaults
        return 95.0 if method.name == "dense-few" or own["pretrain"] >= threshold(own["examples"]) else 80.0

    return accuracy


def test_wolfe_sees_growth_and_its_absence() -> None:
    growing = claim("wolfe2021-digits", wolfe(lambda m: m / 8))
    assert "the threshold grows with m" in growing
    assert "the threshold is 8 steps at every m, so no growth is seen" in claim("wolfe2021-digits", wolfe(lambda m: 8))
    assert "4 of 4 numbers of examples have no threshold" in claim("wolfe2021-digits", wolfe(lambda m: 9999))


@pytest.mark.parametrize(
    ("gap", "said"),
    [(0, "shown to be behind the target's own IMP ticket in no cell"), (5, "behind the target's own IMP ticket in 6")],
)
def test_elastic_against_its_own(gap: float, said: str) -> None:
    def accuracy(method: Method, cell: Cell) -> float:
        source = method.defaults.get("source")
        return 95 - gap * (method.name == "elastic" and source != cell.workload.model) - 9 * (method.name == "snip")

    text = claim("elastic-digits", accuracy)
    assert said in text and "ahead of SNIP" in text
    table = [row.split("|") for row in text.splitlines() if row.startswith("| from ")]
    assert len(table) == 3 and all(len(row) == 7 for row in table)
    for _, _, own, reinit, snip, _, _ in table:
        assert "the elastic ticket ahead by" in snip and "mean of 2 cells" in snip
        assert ("the target's own IMP ticket ahead by" in own) == (gap > 0) and ("tie" in own) == (gap == 0)
        assert ("re-initialised ahead" in reinit) == (gap > 0)


@pytest.mark.parametrize(("neurons", "ahead"), [(60, "random features"), (94, "subnetworks of neurons")])
def test_malach_sets_neurons_against_random_features(neurons: int, ahead: str) -> None:
    def accuracy(method: Method, cell: Cell) -> float:
        return {"edge-popup": 95, "random-features": 91}.get(method.label, neurons)

    text = claim("malach2020-digits", accuracy)
    assert (
        f"subnetworks of neurons against random features at the same sparsity: {ahead} ahead in 12 of 12 cells" in text
    )
    assert (
        "subnetworks of weights against random features at the same sparsity: subnetworks of weights ahead in 12"
        in text
    )


def shelf(folder: Path, *suites: str) -> Path:
    """Write records of some suites side by side, as under leaderboard/results."""
    for name in suites:
        found = measured(name, lambda m, c: 95 - 4 * (m.label == "imp"))
        (folder / name).mkdir(parents=True)
        (folder / name / "all.jsonl").write_text("".join(r.line() + "\n" for r in found.records))
    return folder


class TestEqualBudgets:
    def test_every_paper_suite_on_digits_has_its_comparison(self) -> None:
        for name in SECTIONS:
            suite = Suite.read(f"{name}-digits")
            assert (suite.budget == "none") == (suite.name in equal.BESIDE)

    @pytest.mark.parametrize("name", sorted({name for names in equal.BESIDE.values() for name in names}))
    def test_those_beside_have_a_budget_and_duels(self, name: str) -> None:
        assert Suite.read(name).budget != "none" and Suite.read(name).duels

    def test_the_overall_statement_of_every_duel(self, tmp_path: Path) -> None:
        folder = shelf(tmp_path, "ma2021-digits", "ma2021-digits-equal")
        text = equal.section(Measured.read(Suite.read("ma2021-digits"), folder / "ma2021-digits")).text
        assert text.count("\n| ma2021-digits-equal | 2T ") == len(Suite.read("ma2021-digits-equal").duels)
        assert re.search(
            r"\| imp against imp-finetune +\| imp-finetune ahead by [34]\.\d pp [^|]*mean of 4 cells[^|]*\| imp-finetune 4 ",
            text,
        )

    def test_without_records_it_says_so(self, tmp_path: Path) -> None:
        folder = shelf(tmp_path, "elastic-digits")
        text = equal.section(Measured.read(Suite.read("elastic-digits"), folder / "elastic-digits")).text
        assert "no records of `elastic-digits-equal` yet" in text and "|" not in text

    def test_a_suite_with_a_budget_is_its_own(self, tmp_path: Path) -> None:
        folder = shelf(tmp_path, "generalized-digits")
        text = equal.section(Measured.read(Suite.read("generalized-digits"), folder / "generalized-digits")).text
        assert "may spend 2T epochs" in text and text.count("| generalized-digits |") == 7

    def test_a_twin_has_no_report_of_its_own(self) -> None:
        with pytest.raises(
            InputError, match="ma2021-digits-equal stands in that of ma2021-digits; type lthbench report"
        ):
            build("ma2021-digits-equal")


def test_early_birds_stand_in_wolfes_report_where_there_are_records(tmp_path: Path) -> None:
    folder = shelf(tmp_path, "wolfe2021-digits")
    wolfe2021_digits = Measured.read(Suite.read("wolfe2021-digits"), folder / "wolfe2021-digits")
    assert early_bird.sections(wolfe2021_digits) == []
    shelf(tmp_path, "digits-channels")
    (section,) = early_bird.sections(wolfe2021_digits)
    assert "It is drawn between epochs 5 and 9 of 30" in section.text
    assert "Against slimming, which pre-trains to the end: tie: within 1 pp" in section.text
    assert section.text.count("| vgg11-w0.125/digits |") == 2
    assert ">tolerance</text>" in section.charts["early-bird"]


class TestPublished:
    def test_every_file_is_read_and_belongs_to_a_report(self) -> None:
        assert {*names()} == {*SECTIONS}
        assert all(paper(name).citation and paper(name).claim for name in names())

    def test_a_recalled_number_is_never_printed(self) -> None:
        numbers = [
            Number(what="kept", value=12.345, tag="read"),
            Number(what="hearsay", value=23.456, tag="second-hand"),
            Number(what="memory", value=34.567, tag="recalled"),
        ]
        found = measured("liu2021-digits", lambda m, c: 90.0, methods=("dense",))
        source = Paper(citation="c", claim="d", number=numbers)
        text = written(found, source, [])[0]
        assert "12.345" in text and "23.456" in text and "second-hand" in text
        assert "34.567" not in text and "memory" not in text and "recalled" not in text
        assert "No number" in beside(found, Paper(citation="c", claim="d", number=numbers[2:])).text

    @pytest.mark.parametrize("name", names())
    def test_none_of_ours_is_recalled_into_a_page(self, name: str) -> None:
        source = paper(name)
        found = measured("liu2021-digits", lambda m, c: 90.0, methods=("dense",))
        shown = beside(found, source).text
        for number in source.number:
            assert (f"| {number.value:g} {number.unit}" in shown) or number.tag == "recalled"

    def test_the_measured_number_stands_beside_its_own_cell(self) -> None:
        number = Number(
            what="dense", value=1.0, tag="read", workload="mlp-300-100/digits", learning_rate=0.1, method="dense"
        )
        found = measured("liu2021-digits", lambda m, c: 90.0 if c.learning_rate == 0.1 else 50.0, methods=("dense",))
        text = beside(found, Paper(citation="c", claim="d", number=[number])).text
        assert re.search(r"\| (89|90)\.\d ± 0\.\d", text) and "not run here" not in text
        other = number.model_copy(update={"learning_rate": 0.2})
        assert "not run here" in beside(found, Paper(citation="c", claim="d", number=[other])).text

    def test_differences_are_those_that_differ(self) -> None:
        found = measured("liu2021-digits", lambda m, c: 90.0, methods=("dense",))
        text = differences(
            found, Paper(citation="c", claim="d", protocol={"epochs": 40, "batch": 128, "allocation": "uniform"})
        ).text
        assert "batch" in text and "epochs" not in text and "allocation" not in text

    def test_a_suite_is_held_against_the_protocol_of_its_own_workloads(self) -> None:
        source = Paper(citation="c", claim="d", protocol={"epochs": 40}, protocol_of={"liu2021-digits": {"batch": 7}})
        found = measured("liu2021-digits", lambda m, c: 90.0, methods=("dense",))
        other = measured("ma2021-digits", lambda m, c: 90.0, methods=("dense",))
        assert "| batch     | 7       | 64     |" in differences(found, source).text
        assert "batch" not in differences(other, source).text

    def test_nothing_is_the_papers_where_nothing_is_known(self) -> None:
        found = measured("liu2021-digits", lambda m, c: 90.0, methods=("dense",))
        alike = "Every setting that is noted is the paper's"
        assert alike in differences(found, Paper(citation="c", claim="d", protocol={"epochs": 40})).text
        assert differences(found, Paper(citation="c", claim="d", differs=["All."])).text == "- All."

    def test_published_files_lie_where_they_are_looked_for(self) -> None:
        assert FOLDER.is_dir() and len(names()) >= 4


def run_folder(folder: Path, suite: str = "elastic-digits") -> Path:
    found = measured(suite, lambda m, c: 90.0)
    (folder / "records").mkdir(parents=True)
    (folder / "suite.json").write_text(found.suite.model_dump_json())
    (folder / "records" / "all.jsonl").write_text("".join(r.line() + "\n" for r in found.records))
    return folder


def test_command_writes_page_and_charts(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run")
    result = CliRunner().invoke(main, ["report", str(folder)])
    assert result.exit_code == 0, result.output
    text = (folder / "report" / "elastic-digits.md").read_text()
    for image in re.findall(r"\]\((.+\.svg)\)", text):
        assert (folder / "report" / image).read_text().startswith("<svg")
    assert "| resnet14-w0.25 " in text
    page, missing = build(str(folder))
    assert (page.read_text(), missing) == (text, "")  # the same bytes again


def test_records_of_another_text_of_the_suite_are_refused(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run")
    changed = measured("elastic-digits", lambda m, c: 90.0).suite.model_copy(update={"seeds": 3})
    (folder / "suite.json").write_text(changed.model_dump_json())
    said = {words: CliRunner().invoke(main, [*words, str(folder)]) for words in [("report",), ("score",)]}
    assert [done.exit_code for done in said.values()] == [2, 2]
    for done in said.values():
        assert "all.jsonl:1: the record was made with a definition of suite elastic-digits" in done.output
    assert "--skip-broken" not in said["report",].output  # the command has no such option
    skipped = CliRunner().invoke(main, ["score", str(folder), "--skip-broken"])
    assert skipped.exit_code == 0 and "left out: " in skipped.output


def test_without_the_extra_a_report_is_one_line_and_a_board_has_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = run_folder(tmp_path / "run")
    monkeypatch.setitem(sys.modules, "vl_convert", None)  # as where it is not installed
    done = {word: CliRunner().invoke(main, [word, str(folder)]) for word in ("report", "board")}
    assert (done["report"].exit_code, done["board"].exit_code) == (2, 0), done["board"].output
    assert done["report"].output == "lthbench: charts need vl_convert; type: pip install 'lthbench[board]'\n"
    assert (folder / "board/scores.csv").is_file() and not [*(folder / "board").glob("*.html")]


def test_a_report_stands_on_the_last_complete_look() -> None:
    whole = measured("liu2021-digits", lambda m, c: 90.0, seeds=(2, 3))
    seen = [r for r in whole.records if r.result.seed < 2 or r.result.method == "dense"]
    partly = Measured(whole.suite, tuple(seen))
    assert incomplete(partly) == "" and {r.result.seed for r in last_look(partly).records} == {0, 1}
    assert last_look(whole).records == whole.records
    fewer = Measured(whole.suite, tuple(r for r in seen if r.result.seed != 1 or r.result.method == "dense"))
    assert incomplete(fewer).startswith("incomplete: 100 of 196 runs (missing: one-shot-mask[start=init] 8,")
    assert last_look(fewer).records == fewer.records


@pytest.mark.parametrize("asked", ["no-such-suite", "smoke", "digits", "liu2021-digits"])
def test_what_cannot_be_reported_is_one_line(asked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # no leaderboard here
    result = CliRunner().invoke(main, ["report", asked])
    assert result.exit_code == 2 and result.output.count("\n") == 1, result.output
