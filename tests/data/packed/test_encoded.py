"""Images packed as the bytes of their files: the same bytes back, crops of the whole image, the same bits for any threads."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as tv

from lthbench.cli import main
from lthbench.data import DataHome, EncodedExamples, Manifest
from lthbench.data.images.folder import read
from lthbench.errors import InputError
from lthbench.training.augment import AUGMENTATIONS, rectangles
from lthbench.training.feed import EncodedFeed, feed
from lthbench.training.recipe import Recipe
from tests.data.drawn import CLASSES, data, refused

BOTH, CPU = frozenset({"train", "test"}), torch.device("cpu")
SIZE, SHORT = 14, 16


def photograph(path: Path, seed: int) -> None:
    """A JPEG of another size for every seed, with smooth colours; every fourth lies on its side."""
    g = np.random.default_rng(seed)
    width, height = int(g.integers(17, 40)), int(g.integers(17, 40))
    small = Image.fromarray(g.integers(0, 256, (4, 4, 3), dtype=np.uint8))
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = 6 if seed % 4 == 0 else 1
    small.resize((width, height), Image.Resampling.BICUBIC).save(path, quality=90, exif=exif)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("photographs")
    for label, name in enumerate(CLASSES):
        for split, count in (("train", 8), ("val", 3)):
            for number in range(count):
                photograph(found / split / name / f"{number}.jpg", 100 * label + 10 * number + (split == "val"))
    return found


@pytest.fixture(scope="module")
def home(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("home")
    done = data("add", "photographs", root, "--size", SIZE, "--encoded", "--data", found)
    assert done.exit_code == 0 and f"24 train and 9 test images of {SIZE}x{SIZE}x3" in done.output
    return found


def load(home: Path, split: str = "train") -> EncodedExamples:
    found = DataHome(home, BOTH).load("photographs", split)
    assert isinstance(found, EncodedExamples)
    return found


def upright(root: Path, number: int) -> Image.Image:
    images = read(root)
    return ImageOps.exif_transpose(Image.open(images.picture(images.splits["train"][number])))


def feed_of(home: Path, threads: int = 0) -> EncodedFeed:
    return EncodedFeed(load(home), torch.arange(24), Manifest.read(home / "photographs"), CPU, threads)


def test_the_bytes_are_the_files_and_the_index_is_theirs(root: Path, home: Path) -> None:
    images, found = read(root), load(home)
    for number, file in enumerate(images.splits["train"]):
        start, stop = found.offsets[number : number + 2]
        assert found.files[start:stop].tobytes() == images.content(file)
        assert (found.labels[number], *found.sizes[number].tolist()[::-1]) == (file.label, *upright(root, number).size)


def test_evaluation_sees_the_centre_as_torchvision_crops_it(root: Path, home: Path) -> None:
    theirs = v2.Compose([v2.Resize(SHORT), v2.CenterCrop(SIZE)])
    with ThreadPoolExecutor(2) as pool:
        found = load(home).decoded(torch.arange(24), None, pool)
    for number, pixels in enumerate(found):
        assert np.array_equal(pixels, np.asarray(theirs(upright(root, number))))


def test_mean_and_deviation_are_those_of_the_centres(home: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        pixels = load(home).decoded(torch.arange(24), None, pool).double()
    manifest = Manifest.read(home / "photographs")
    assert manifest.mean == pytest.approx(pixels.mean((0, 1, 2)).tolist())
    assert manifest.std == pytest.approx(pixels.std((0, 1, 2), correction=0).tolist())


def test_a_crop_is_torchvisions_of_the_whole_image(root: Path, home: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        found = load(home).decoded(torch.tensor([3, 5]), [(2, 1, 9, 13), (0, 4, 17, 6)], pool)
    for pixels, number, box in zip(found, (3, 5), ((2, 1, 9, 13), (0, 4, 17, 6)), strict=True):
        assert np.array_equal(pixels, np.asarray(tv.resized_crop(upright(root, number), *box, [SIZE, SIZE])))


@given(st.integers(1, 30), st.integers(0, 99))
def test_rectangles_lie_in_their_own_images(count: int, seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    height, width = torch.randint(1, 50, (2, count, 1), generator=g)
    top, left, h, w = rectangles(count, height, width, g)
    assert (top >= 0).all() and (left >= 0).all() and (h >= 1).all() and (w >= 1).all()
    assert (top + h <= height.squeeze(1)).all() and (left + w <= width.squeeze(1)).all()


@pytest.mark.parametrize("augment", ["random-resized-crop-flip", "none", "crop-flip"])
def test_the_number_of_decoders_changes_no_bit(home: Path, augment: str) -> None:
    recipe = Recipe(epochs=2, batch=5, lr=0.1, augment=augment)

    def epochs(threads: int) -> list[torch.Tensor]:
        source = feed_of(home, threads)
        indices = [index for epoch in (0, 1) for index in source.epoch(recipe.clock(24), recipe, 1, 0, epoch)]
        return [source.batch(index)[0] for index in indices]

    one, four = epochs(1), epochs(4)
    assert len(one) == 10 and all(a.equal(b) for a, b in zip(one, four, strict=True))
    source = feed_of(home)
    centres = [source.batch(index)[0] for index in torch.arange(24).split(5)]
    assert {tuple(images.shape) for images in centres} == {(5, 3, SIZE, SIZE), (4, 3, SIZE, SIZE)}
    crops = torch.cat(one[:5]).sum((1, 2, 3)).sort().values
    assert crops.allclose(torch.cat(centres).sum((1, 2, 3)).sort().values) == (augment != "random-resized-crop-flip")


def test_a_batch_does_not_depend_on_what_was_read_before(home: Path) -> None:
    recipe = Recipe(epochs=2, batch=5, lr=0.1, augment="random-resized-crop")
    first, second = feed_of(home), feed_of(home)
    in_order = [first.batch(index)[0] for index in first.epoch(recipe.clock(24), recipe, 1, 0, 1)]
    third = second.epoch(recipe.clock(24), recipe, 1, 0, 1)[2]
    assert second.batch(third)[0].equal(in_order[2]) and second.batch(third)[0].equal(in_order[2])


def test_every_step_and_order_cuts_other_crops(home: Path) -> None:
    recipe = Recipe(epochs=2, batch=6, lr=0.1, augment="random-resized-crop")
    same = EncodedFeed(load(home), torch.full((24,), 3), Manifest.read(home / "photographs"), CPU)  # one image 24 times
    crops = [
        same.batch(index)[0].numpy().tobytes()
        for seed, order, epoch in ((1, 0, 0), (1, 0, 1), (1, 1, 0), (2, 0, 0))
        for index in same.epoch(recipe.clock(24), recipe, seed, order, epoch)
    ]
    assert len(set(crops)) == len(crops) == 16


def test_what_a_crop_leaves_of_an_augmentation() -> None:
    left = AUGMENTATIONS["random-resized-crop-flip"].uncropped
    assert left is not None and left.draw(3, 4, 4, torch.Generator().manual_seed(0)).keys() == {"flip"}
    assert AUGMENTATIONS["crop-flip"].uncropped is None


def test_the_feed_of_encoded_examples_decodes(home: Path) -> None:
    assert isinstance(feed(load(home), torch.arange(4), Manifest.read(home / "photographs"), CPU), EncodedFeed)


def test_a_suite_trains_on_it_from_the_command_line(home: Path, tmp_path: Path) -> None:
    text = """
name = "photographs"
version = "0.1"
methods = ["lottery-ticket"]
learning_rates = [0.1]
sparsities = [0.5]
seeds = 1
budget = "2T"
validation = 3
[recipe]
epochs = 1
batch = 7
augment = "random-resized-crop-flip"
[[workload]]
model = "mlp-8"
dataset = "photographs"
"""
    (tmp_path / "photographs.toml").write_text(text)
    words = ["run", str(tmp_path / "photographs.toml"), "--data", str(home), "--executor", "serial"]
    done = CliRunner().invoke(main, [*words, "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    result = json.loads((tmp_path / "out/records/lottery-ticket.jsonl").read_text())["result"]
    assert result["status"] == "ok" and result["test"]["of"] == 9


# ---- what is wrong with it


def test_a_size_is_needed(root: Path, home: Path) -> None:
    assert "--encoded needs --size" in refused("add", "other", root, "--encoded", "--data", home)
    assert "other options" in refused("add", "photographs", root, "--size", SIZE, "--data", home)


def test_corrupt_files_are_named_or_left_out(root: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(root, tmp_path / "broken")
    path = broken / "train/dog/2.jpg"
    path.write_bytes(path.read_bytes()[:-200])
    words = ("add", "mine", broken, "--size", SIZE, "--encoded", "--data", tmp_path / "home")
    assert f"{path} is corrupt" in refused(*words)
    assert data(*words, "--skip-corrupt").exit_code == 0
    manifest = Manifest.read(tmp_path / "home/mine")
    assert manifest.skipped == 1 and manifest.counts["train"] == (8, 7, 8)


@pytest.mark.parametrize("name", ["train.files.bin", "train.offsets.npy", "train.sizes.npy", "train.labels.npy"])
def test_damage_is_found_before_anything_is_trained(home: Path, tmp_path: Path, name: str) -> None:
    copy = shutil.copytree(home, tmp_path / "home")
    path = copy / "photographs" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2 if name.endswith("bin") else -8] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="remove the folder to pack it again"):
        load(copy)
    path.write_bytes(content[:-5])
    with pytest.raises(InputError, match="remove the folder to pack it again"):
        load(copy)


def test_a_later_format_is_refused(home: Path, tmp_path: Path) -> None:
    later = replace(Manifest.read(home / "photographs"), format=3)
    later.write(tmp_path)
    with pytest.raises(InputError, match="packed in format 3, this reads 1 and 2"):
        Manifest.read(tmp_path)
