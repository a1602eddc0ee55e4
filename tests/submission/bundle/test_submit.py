"""Complete or refused, and the same bytes for the same results."""

import json
import shutil
from pathlib import Path

import pytest

from lthbench.errors import InputError
from lthbench.submission.bundle import bundle as bundles
from lthbench.submission.bundle.submit import submit


@pytest.fixture
def mine(author: Path, tmp_path: Path) -> Path:
    """A copy of the author's folder, to be changed."""
    shutil.copytree(author / "runs", tmp_path / "runs")
    own = f"# {tmp_path}: no other test has loaded it before\n"
    (tmp_path / "mine.py").write_text(own + (author / "mine.py").read_text())
    return tmp_path


def handed_in(folder: Path, out: str, method: str = "mine", **changes: object) -> Path:
    given = {"authors": ["A. Author"], "paper": "", "license": "MIT"} | changes
    submit(folder / "runs/smoke", f"{folder / 'mine.py'}:{method}", out=folder / out, **given)  # type: ignore[arg-type]
    return folder / out


def test_the_zip_is_the_same_bytes_each_time(mine: Path) -> None:
    assert handed_in(mine, "a.zip").read_bytes() == handed_in(mine, "b.zip").read_bytes()


def test_folder_and_zip_hold_the_same(mine: Path) -> None:
    with bundles.opened(handed_in(mine, "a.zip")) as a, bundles.opened(handed_in(mine, "a")) as b:
        assert (a.manifest, a.records, a.digest) == (b.manifest, b.records, b.digest)
        assert {c: a.container.sizes[c] for c in sorted(a.container.sizes)} == dict(sorted(b.container.sizes.items()))


def test_start_weights_are_left_out_where_the_seed_gives_them(good: Path, rewound: Path) -> None:
    for path, kind in ((good, "init"), (rewound, "trained")):
        with bundles.opened(path) as bundle:
            assert {ticket.origin.kind for ticket in bundle.manifest.tickets} == {kind}
            final = bundle.final(bundle.manifest.tickets[0])
            assert any(name.startswith("start/") for name in final.tensors) == (kind == "trained")


def _drop(folder: Path) -> None:
    path = folder / "runs/smoke/records/mine.jsonl"
    path.write_text("".join(line + "\n" for line in path.read_text().splitlines()[:-2]))


def _fail(folder: Path) -> None:
    path = folder / "runs/smoke/records/mine.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[0]["result"] |= {"status": "failed", "reason": "no idea"}
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def _edit(folder: Path) -> None:
    path = folder / "mine.py"
    path.write_text(path.read_text().replace("order=1", "order=2"))


def _lose(folder: Path) -> None:
    for path in (folder / "runs/smoke/store").glob("*/finals"):
        shutil.rmtree(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_drop, "mine is not complete: 2 of 4 runs are missing: mlp-32/digits lr 0.1 sparsity 0.95 seed 0"),
        (_fail, "1 runs of mine failed (no idea)"),
        (_edit, "the records were made by other code than its file holds now"),
        (_lose, "keeps no final values of this run; type: lthbench run SUITE --method … --keep finals"),
    ],
)
def test_what_is_not_complete_is_refused(mine: Path, change: object, said: str) -> None:
    change(mine)  # type: ignore[operator]
    with pytest.raises(InputError) as error:
        handed_in(mine, "out.zip")
    assert said in str(error.value)
    assert not (mine / "out.zip").exists()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "from lthbench",
            "import statistics\nfrom lthbench",
            "mine.py:4 imports statistics: a method imports lthbench",
        ),
        (
            '@method("mine"',
            'NAME = "mine"\n\n\n@method(NAME',
            "mine.py has no @method('mine', …) with its name written out",
        ),
    ],
)
def test_a_source_that_verify_refuses_is_not_packed(mine: Path, old: str, new: str, said: str) -> None:
    path = mine / "mine.py"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(InputError) as error:
        handed_in(mine, "out.zip")
    assert said in str(error.value)
    assert not (mine / "out.zip").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"authors": ["<b>"]}, "authors"), ({"license": "my own words"}, "license"), ({"paper": "a|b"}, "paper")],
)
def test_what_the_author_says_is_looked_at(mine: Path, changes: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=f"manifest.json: {said}"):
        handed_in(mine, "out.zip", **changes)


def test_nothing_is_written_over(mine: Path) -> None:
    (mine / "out.zip").write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        handed_in(mine, "out.zip")
    assert (mine / "out.zip").read_text() == "mine"
