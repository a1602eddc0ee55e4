"""Image folders: the layouts that are read, and one line for each thing that is wrong with one."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lthbench.data.images.files import CLUTTER, described
from lthbench.data.images.folder import read
from lthbench.errors import InputError
from tests.data.drawn import CLASSES, draw, folder, refused


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return folder(tmp_path / "images")


def tiny_imagenet(root: Path) -> Path:
    """As published: images/ and box files in class folders, annotated validation images, a test split without labels."""
    names = ("n01", "n02")
    for label, name in enumerate(names):
        for number in range(3):
            draw(root / f"train/{name}/images/{name}_{number}.JPEG", 10 * label + number)
        (root / f"train/{name}/{name}_boxes.txt").write_text("n01_0.JPEG\t0\t0\t7\t5\n")
    lines = [f"val_{number}.JPEG\t{names[number % 2]}\t0\t0\t7\t5\n" for number in range(4)]
    for number in range(4):
        draw(root / f"val/images/val_{number}.JPEG", 100 + number)
        draw(root / f"test/images/test_{number}.JPEG", 200 + number)
    (root / "val/val_annotations.txt").write_text("".join(lines))
    return root


def test_classes_are_in_the_order_of_their_names_and_images_in_that_of_their_paths(root: Path) -> None:
    found = read(root)
    assert found.names == CLASSES
    assert [file.label for file in found.splits["train"]] == [0] * 5 + [1] * 5 + [2] * 5
    paths = [file.path for file in found.splits["test"]]
    assert paths == sorted(paths) and len(paths) == 9


def test_the_order_in_which_the_disk_lists_does_not_matter(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, scandir = read(root), os.scandir

    class Backwards(list):  # type: ignore[type-arg]
        __enter__ = lambda self: self  # noqa: E731
        __exit__ = lambda self, *error: None  # noqa: E731

    monkeypatch.setattr(os, "scandir", lambda path: Backwards(list(scandir(path))[::-1]))
    assert read(root) == before


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".png", ".JPEG", ".PNG"])
def test_suffixes(tmp_path: Path, suffix: str) -> None:
    assert len(read(folder(tmp_path, suffix=suffix)).splits["train"]) == 15


def test_val_serves_where_there_is_no_test(tmp_path: Path) -> None:
    found = read(folder(tmp_path, part="val"))
    assert (found.test, len(found.splits["test"])) == ("val", 9)


def test_test_comes_before_val(root: Path) -> None:
    folder(root, part="val", test=1)
    assert (read(root).test, len(read(root).splits["test"])) == ("test", 9)


def test_imagenets_unlabelled_test_images_give_way_to_val(tmp_path: Path) -> None:
    folder(tmp_path, part="val", suffix=".JPEG")
    draw(tmp_path / "test/ILSVRC2012_test_00000001.JPEG")
    assert read(tmp_path).test == "val"


def test_tiny_imagenet_as_published(tmp_path: Path) -> None:
    found = read(tiny_imagenet(tmp_path))
    assert found.names == ("n01", "n02")
    assert [file.label for file in found.splits["train"]] == [0, 0, 0, 1, 1, 1]
    assert [(file.path, file.label) for file in found.splits["test"]] == [
        (f"val/images/val_{number}.JPEG", number % 2) for number in range(4)
    ]


def test_what_begins_with_a_dot_is_skipped(root: Path) -> None:
    before = read(root)
    draw(root / "train/.thumbnails/a.png")
    draw(root / "train/cat/.hidden.png")
    draw(root / "train/cat/.checkpoints/a.png")
    assert read(root) == before


def test_folders_inside_a_class_belong_to_it(root: Path) -> None:
    draw(root / "train/cat/deep/deeper/a.png")
    assert len(read(root).splits["train"]) == 16


def test_links_to_classes_and_images_are_followed(root: Path) -> None:
    before = [(file.path, file.label, file.size) for file in read(root).splits["train"]]
    shutil.move(root / "train/cat", root / "elsewhere")
    (root / "train/cat").symlink_to(root / "elsewhere")
    shutil.move(root / "train/dog/000.png", root / "one.png")
    (root / "train/dog/000.png").symlink_to(root / "one.png")
    assert [(file.path, file.label, file.size) for file in read(root).splits["train"]] == before


def test_links_inside_a_class_are_followed(root: Path) -> None:
    before = [(file.label, file.size) for file in read(root).splits["train"]]
    shutil.move(root / "train/cat", root / "elsewhere")
    (root / "train/cat").mkdir()
    (root / "train/cat/more").symlink_to(root / "elsewhere")
    assert [(file.label, file.size) for file in read(root).splits["train"]] == before


@pytest.mark.parametrize("target", ["train/cat", "train", "."])
def test_a_link_to_a_folder_that_holds_it_is_one_line(root: Path, tmp_path: Path, target: str) -> None:
    (root / "train/cat/again").symlink_to(root / target)
    assert "is a link to a folder that holds it" in refused("add", "mine", root, "--data", tmp_path / "home")


def test_what_is_passed_over_is_counted(root: Path) -> None:
    for number in range(4):
        shutil.copy(root / "train/cat/000.png", root / f"train/cat/{number}.webp")
    (root / "test/dog/notes").write_text("")
    draw(root / "train/lost.png")
    assert read(root).passed == {".webp": 4, "without a suffix": 1, ".png beside the class folders": 1}


@pytest.mark.parametrize("name", CLUTTER)
def test_the_clutter_of_systems_is_passed_over_and_counted(root: Path, name: str) -> None:
    before = read(root).splits
    draw(root / "train" / name / "000.png")
    draw(root / "test/eel" / name / "000.png")
    found = read(root)
    assert (found.splits, found.passed) == (before, {f"{name}/": 2})


@given(
    st.dictionaries(st.sampled_from([".webp", ".tif", "@eaDir/", "__MACOSX/", ".txt", ".a", ".b"]), st.integers(1, 9))
)
def test_the_words_for_what_is_passed_over_have_every_count_or_say_that_there_are_more(passed: dict[str, int]) -> None:
    words = described(passed)
    shown = [what for what in passed if what.strip("/") in words]
    assert len(shown) == min(5, len(passed)) and ("other kinds" in words) == (len(passed) > 5)
    assert all(f"{count}" in words for what, count in passed.items() if what in shown)


def test_a_data_set_one_folder_down_is_named(root: Path, tmp_path: Path) -> None:
    said = refused("add", "mine", root.parent, "--data", tmp_path / "home")
    assert f"did you mean {root}?" in said


def test_a_class_of_other_files_says_which(root: Path, tmp_path: Path) -> None:
    _empty_test_class(root)
    assert "but 3 .gif" in refused("add", "mine", root, "--data", tmp_path / "home")


def test_the_key_is_of_all_files_and_options(root: Path) -> None:
    keys = [read(root).key(None), read(root).key(None), read(root).key(32)]
    os.utime(root / "test/eel/000.png", ns=(1, 1))
    keys.append(read(root).key(None))
    draw(root / "train/cat/new.png")
    keys.append(read(root).key(None))
    (root / "train/dog").rename(root / "train/doe")
    (root / "test/dog").rename(root / "test/doe")
    keys.append(read(root).key(None))
    assert keys[0] == keys[1] and len(set(keys)) == 5


def test_the_key_is_that_of_a_copy_elsewhere(root: Path, tmp_path: Path) -> None:
    assert read(Path(shutil.copytree(root, tmp_path / "copy"))).key(None) == read(root).key(None)


def test_a_name_that_is_no_text_is_read(root: Path) -> None:
    (root / "train/cat/000.png").rename(os.fsdecode(os.fsencode(root / "train/cat") + b"/\xff.png"))
    assert len(read(root).splits["train"]) == 15
    assert read(root).key(None)


def _without_train(root: Path) -> None:
    shutil.rmtree(root / "train")


def _without_test(root: Path) -> None:
    shutil.rmtree(root / "test")


def _flat_train(root: Path) -> None:
    _without_train(root)
    draw(root / "train/a.png")


def _one_class(root: Path) -> None:
    for name in ("dog", "eel"):
        shutil.rmtree(root / "train" / name)


def _empty_class(root: Path) -> None:
    shutil.rmtree(root / "train/dog")
    (root / "train/dog").mkdir()


def _empty_test_class(root: Path) -> None:
    for path in (root / "test/dog").iterdir():
        path.rename(path.with_suffix(".gif"))


def _class_in_train_alone(root: Path) -> None:
    shutil.rmtree(root / "test/eel")


def _class_in_test_alone(root: Path) -> None:
    draw(root / "test/fox/a.png")


def _many_differ(root: Path) -> None:
    for number in range(5):
        draw(root / f"train/more{number}/a.png")


WRONG: list[tuple[Callable[[Path], None], str]] = [
    (shutil.rmtree, "there is no folder {root}"),
    (_without_train, "{root}/train holds no class folders (in {root}: test)"),
    (_flat_train, "{root}/train holds no class folders"),
    (_without_test, "{root} holds no class folders in test/ or val/"),
    (_one_class, "{root}/train holds one class, cat: too few"),
    (_empty_class, "{root}/train/dog holds no image (.jpg, .jpeg, .png)"),
    (_empty_test_class, "{root}/test/dog holds no image"),
    (_class_in_train_alone, "differ (only in train/: eel)"),
    (_class_in_test_alone, "differ (only in test/: fox)"),
    (_many_differ, "only in train/: more0, more1, more2 and 2 more"),
]


@pytest.mark.parametrize(("spoil", "said"), WRONG, ids=lambda value: getattr(value, "__name__", ""))
def test_what_is_wrong_is_said_in_one_line_and_nothing_is_packed(
    root: Path, tmp_path: Path, spoil: Callable[[Path], None], said: str
) -> None:
    spoil(root)
    assert said.format(root=root) in refused("add", "mine", root, "--data", tmp_path / "home")
    assert not (tmp_path / "home/mine").exists()


@pytest.mark.parametrize(
    ("line", "said"),
    [("val_9.JPEG\tn09\t0\n", "only in val/: n09"), ("val_0.JPEG\n", "is not a line of file, tab, class"),
     ("val_9.JPEG\tn01\t0\n", "cannot read .*val_9.JPEG: No such file")],
)  # fmt: skip
def test_wrong_annotations_are_named(tmp_path: Path, line: str, said: str) -> None:
    root = tiny_imagenet(tmp_path)
    with (root / "val/val_annotations.txt").open("a") as file:
        file.write(line)
    with pytest.raises(InputError, match=said):
        read(root)


def test_tiny_imagenet_that_somebody_sorted_is_read_by_its_folders(tmp_path: Path) -> None:
    root = tiny_imagenet(tmp_path)
    for number in range(4):
        draw(root / f"val/n0{number % 2 + 1}/val_{number}.JPEG")
    shutil.rmtree(root / "val/images")
    shutil.rmtree(root / "test")
    assert [file.label for file in read(root).splits["test"]] == [0, 0, 1, 1]
