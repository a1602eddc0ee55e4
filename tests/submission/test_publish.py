"""From a bundle to the board and back; and the levels on the way."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lthbench.cli import main
from lthbench.errors import InputError
from lthbench.runs.records import record as records
from lthbench.runs.records import trust
from lthbench.submission import copied
from lthbench.submission import publish as publishing
from lthbench.submission.bundle import source_rules
from lthbench.submission.verification.chance import equivalence
from lthbench.submission.verification.jail import landlock, seccomp
from lthbench.submission.verification.retrained import Retrain
from lthbench.submission.verification.verify import Options, verify
from tests.submission.forge import Forgery
from tests.submission.verification.test_hostile import everything

confines = pytest.mark.skipif(
    not (landlock.abi() >= landlock.LEAST and seccomp.available()), reason="the kernel offers no Landlock or no seccomp"
)


def typed(*words: object) -> Result:
    return CliRunner().invoke(main, list(map(str, words)))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_published_and_taken_back(good: Path, leaderboard: Path, data_folder: Path) -> None:
    publishing.build(leaderboard)
    before = contents(leaderboard)
    options = ("--data", data_folder, "--leaderboard", leaderboard)
    table = typed("publish", good, *options, "--dry-run")
    assert table.exit_code == 0, table.output
    assert "| 80 %" in table.output and "of 2" in table.output
    assert contents(leaderboard) == before
    done = typed("publish", good, *options)
    assert done.output == "mine: re-evaluated, published on smoke\n"
    rows = records.in_folder(leaderboard / "results/smoke")
    assert {r.result.method for r in rows} == {"mine", "rewound"}
    rows = trust.read(leaderboard / "results/smoke")
    assert trust.level_of(rows, "mine") == "re-evaluated"
    assert trust.level_of(rows, "rewound") == "claimed"
    assert "mine" in (leaderboard / "tables/smoke/README.md").read_text()
    again = typed("publish", good, *options)
    assert again.exit_code == 2
    assert "has a row of 'mine' already" in again.output
    assert typed("publish", good, *options, "--undo").exit_code == 0
    assert contents(leaderboard) == before


def test_what_others_found_stands_beside_and_a_replaced_row_comes_back(
    good: Path, leaderboard: Path, data_folder: Path, tmp_path: Path
) -> None:
    forgery = Forgery.of(good)
    forgery.manifest["authors"] = ["Somebody Else"]
    other = forgery.zip(tmp_path / "other.zip")
    options = ("--data", data_folder, "--leaderboard", leaderboard)
    assert typed("publish", other, *options, "--beside").exit_code == 2
    assert typed("publish", good, *options).exit_code == 0
    first = contents(leaderboard)
    assert typed("publish", other, *options, "--beside").exit_code == 0
    row = trust.read(leaderboard / "results/smoke")["mine"]
    assert (row.authors, [beside.authors for beside in row.beside]) == (("A. Author",), [("Somebody Else",)])
    assert len(records.read((leaderboard / "results/smoke/beside").iterdir())) == 4
    shutil.rmtree(leaderboard / "results/smoke/beside")
    for name, content in first.items():
        (leaderboard / name).write_bytes(content)
    assert typed("publish", other, *options, "--replace").exit_code == 0
    assert trust.read(leaderboard / "results/smoke")["mine"].authors == ("Somebody Else",)
    assert typed("publish", other, *options, "--undo").exit_code == 0
    assert contents(leaderboard) == first


@pytest.mark.parametrize(
    "words",
    [
        ("publish", "--undo", "--dry-run"),
        ("publish", "--undo", "--replace"),
        ("publish", "--undo", "--retrain 3"),
        ("publish", "--beside", "--replace"),
        ("publish", "--claimed", "--retrain 3"),
        ("verify", "--claimed", "--retrain 3"),
    ],
)
def test_no_option_is_ignored(words: tuple[str, str, str], good: Path, leaderboard: Path, data_folder: Path) -> None:
    command, one, other = words
    where = ("--leaderboard", leaderboard) if command == "publish" else ()
    assert typed("publish", good, "--claimed", "--leaderboard", leaderboard).exit_code == 0
    before = contents(leaderboard)
    done = typed(command, good, "--data", data_folder, *where, *one.split(), *other.split())
    assert done.exit_code == 2
    assert f"{one} and {other.split()[0]} do not go together; leave one of them out" in " ".join(done.output.split())
    assert contents(leaderboard) == before


def _by(author: str, good: Path, out: Path) -> Path:
    forgery = Forgery.of(good)
    forgery.manifest["authors"] = [author]
    return forgery.write(out)


def test_a_row_of_one_bundle_is_raised_and_the_row_before_it_stays(
    good: Path, leaderboard: Path, data_folder: Path, tmp_path: Path
) -> None:
    first, second = _by("First", good, tmp_path / "first"), _by("Second", good, tmp_path / "second")
    third = _by("Third", good, tmp_path / "third")
    options = ("--leaderboard", leaderboard)
    assert typed("publish", first, "--claimed", *options).exit_code == 0
    before = contents(leaderboard)
    assert typed("publish", second, "--claimed", "--replace", *options).exit_code == 0
    assert typed("publish", third, "--claimed", "--beside", *options).exit_code == 0
    assert typed("publish", second, "--data", data_folder, "--replace", *options).exit_code == 0
    row = trust.read(leaderboard / "results/smoke")["mine"]
    assert (row.level, row.authors) == ("re-evaluated", ("Second",))
    assert row.replaced and row.replaced.authors == ("First",)
    assert [beside.authors for beside in row.beside] == [("Third",)]
    assert typed("publish", second, "--undo", *options).exit_code == 0
    assert contents(leaderboard) == before


def test_a_bundle_below_another_row_is_not_published_again(good: Path, leaderboard: Path, tmp_path: Path) -> None:
    bundles = [_by(name, good, tmp_path / name) for name in ("a", "b", "c")]
    options = ("--claimed", "--replace", "--leaderboard", leaderboard)
    for bundle in bundles:
        assert typed("publish", bundle, *options).exit_code == 0
    before = contents(leaderboard)
    done = typed("publish", bundles[1], *options)
    assert done.exit_code == 2
    assert "was published before and then replaced; first take" in done.output
    assert contents(leaderboard) == before


def test_a_row_names_a_model_that_is_not_the_workloads(good: Path, leaderboard: Path, tmp_path: Path) -> None:
    forgery = Forgery.of(good)
    forgery.manifest["tickets"][0]["model"]["name"] = "mlp-64"
    forgery.manifest["tickets"][1]["model"]["width"] = 1.5
    assert typed("publish", good, "--claimed", "--leaderboard", leaderboard).exit_code == 0
    assert trust.words(trust.read(leaderboard / "results/smoke"), "mine") == "claimed"
    other = forgery.write(tmp_path / "other")
    done = typed("publish", other, "--claimed", "--replace", "--leaderboard", leaderboard)
    assert done.exit_code == 0, done.output
    said = "claimed, mlp-32-w1.5, mlp-64 for mlp-32/digits"
    assert trust.words(trust.read(leaderboard / "results/smoke"), "mine") == said
    assert said in (leaderboard / "site/smoke.html").read_text()


def test_nothing_unverified_is_published(good: Path, leaderboard: Path, data_folder: Path, tmp_path: Path) -> None:
    forgery = Forgery.of(good)
    forgery.result(budget=10**9)
    forgery.rehash()
    bad, before = forgery.write(tmp_path / "bad"), everything(leaderboard)
    assert typed("publish", bad, "--data", data_folder, "--leaderboard", leaderboard).exit_code == 1
    report = verify(bad, Options(data=data_folder))
    with pytest.raises(InputError, match="is not verified: budget: "):
        publishing.publish(bad, leaderboard, report)
    honest = verify(good, Options(data=data_folder))
    with pytest.raises(InputError, match="changed since it was verified"):
        publishing.publish(bad, leaderboard, honest)
    assert everything(leaderboard) == before


def test_only_a_failure_of_the_disk_is_called_one(
    good: Path, leaderboard: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise FileNotFoundError(2, "No such file or directory", "a template")

    words = ("publish", good, "--claimed", "--leaderboard", leaderboard)
    with monkeypatch.context() as patch:
        patch.setattr(publishing, "build", fails)
        done = typed(*words)
        assert done.exit_code == 2
        assert "a template" in done.output and "cannot write" not in done.output
    monkeypatch.setattr(copied, "_move", fails)
    said = " ".join(typed(*words).output.split())
    assert said.startswith(f"lthbench: cannot write {leaderboard}: ")
    assert said.endswith("free some disk space or choose another place")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("not JSON", "file: Invalid JSON"),
        ("[]", "file: Input should be an object"),
        ('{"rows": 1}', "rows: Input should be"),
    ],
)
def test_levels_that_cannot_be_read_are_one_line(leaderboard: Path, text: str, said: str) -> None:
    (leaderboard / "results/smoke/levels.json").write_text(text)
    with pytest.raises(InputError, match=rf"levels\.json: not the levels of a board's rows: {said}"):
        trust.read(leaderboard / "results/smoke")


@confines
def test_all_three_levels_on_tickets_with_their_own_starts(rewound: Path, data_folder: Path) -> None:
    done = typed("verify", rewound, "--data", data_folder, "--retrain", 2, "--seed", 5, "--json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.output)
    assert report["level"] == "re-trained"
    assert (report["notes"]["seed"], len(report["notes"]["drawn"])) == (5, 2)
    found = {f["check"]: f["found"] for level in report["levels"] for f in level["findings"]}
    assert found["networks"] == "2 networks, bit for bit"
    assert found["start"] == "4 rewound or trained, as declared (--retrain checks it)"


@confines
def test_a_network_that_its_source_does_not_give_is_found(
    good: Path, rewound: Path, author: Path, data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The source of another method under the name of this one, and a call that the rules of a source would refuse."""
    monkeypatch.setattr(source_rules, "REACHING", set())
    forgery = Forgery.of(good)
    text = (author / "mine.py").read_text().replace('order=1)', 'order=0)').replace("import Network", "import Network, Steps")  # fmt: skip
    forgery.method(text + "\nimport torch\n\ntry:\n    torch.load('/etc/passwd')\nexcept OSError:\n    pass\n")
    forgery.rehash()
    report = verify(forgery.write(tmp_path / "bundle"), Options(retrain=Retrain(4, seed=1), data=data_folder))
    assert report.level == "re-evaluated"
    failed = {check: found for _, check, passed, found in report.rows if passed == "FAILED"}
    assert failed.keys() == {"attempts", "networks", "starts", "records"}
    assert "gives another network than the one handed in (and 3 more)" in failed["networks"]
    assert failed["attempts"] == "the method tried to read /etc/passwd"


@pytest.mark.parametrize(
    ("gaps", "passed"),
    [([0.0, 0.0], True), ([0.1, -0.1, 0.05], True), ([0.1], False), ([2.0, 2.1, 1.9], False), ([-3.0, 3.0], False)],
)
def test_equivalence(gaps: list[float], passed: bool) -> None:
    assert equivalence(gaps).passed is passed
