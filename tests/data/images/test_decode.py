"""Image files as arrays: whole or refused by name, in one mode, resized as torchvision does."""

import resource
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageOps
from torchvision.transforms import v2

from lthbench.data.images import decode
from lthbench.data.images.decode import CorruptImage, Form, look
from lthbench.errors import InputError
from tests.data.drawn import draw, pixels

RGB, GREY = Form("RGB"), Form("L")


@pytest.mark.parametrize(("form", "channels"), [(RGB, 3), (GREY, 1)])
def test_a_png_comes_back_as_it_was(tmp_path: Path, form: Form, channels: int) -> None:
    found = form.decode(draw(tmp_path / "a.png", 1, channels=channels))
    assert found.dtype == np.uint8
    assert np.array_equal(found, pixels(1, channels=channels).reshape(6, 8, channels))


def test_a_jpeg_is_what_pillow_says(tmp_path: Path) -> None:
    path = draw(tmp_path / "a.jpg")
    assert np.array_equal(RGB.decode(path), np.asarray(Image.open(path)))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
def test_every_mode_becomes_the_one_that_is_asked_for(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    Image.fromarray(pixels(0)).convert(mode).save(path)
    assert RGB.decode(path).shape == (6, 8, 3)
    assert GREY.decode(path).shape == (6, 8, 1)


def test_grey_in_colour_has_three_equal_channels(tmp_path: Path) -> None:
    found = RGB.decode(draw(tmp_path / "a.png", channels=1))
    assert (found == found[..., :1]).all()


def test_a_palette_with_a_transparent_colour_needs_no_warning(tmp_path: Path) -> None:
    image = Image.fromarray(pixels(0)).convert("P")
    image.save(tmp_path / "a.png", transparency=b"\x00\x80\xff")
    assert RGB.decode(tmp_path / "a.png").shape == (6, 8, 3)


def test_more_than_eight_bits_are_refused_by_name(tmp_path: Path) -> None:
    Image.fromarray(np.full((6, 8), 40_000, dtype=np.uint16)).save(tmp_path / "deep.png")
    for read in (look, GREY.decode):
        with pytest.raises(InputError, match=r"deep\.png has more than eight bits") as refusal:
            read(tmp_path / "deep.png")
        assert not isinstance(refusal.value, CorruptImage)


@pytest.mark.parametrize("size", [(8, 8), (20, 9), (9, 20), (5, 7), (64, 48), (7, 7)])
def test_resizing_is_torchvisions_resize_and_centre_crop(tmp_path: Path, size: tuple[int, int]) -> None:
    path = draw(tmp_path / "a.png", size=size)
    theirs = v2.Compose([v2.Resize(7), v2.CenterCrop(7)])(Image.open(path))
    assert np.array_equal(Form("RGB", 7).decode(path), np.asarray(theirs))


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("orientation", range(10))
def test_an_image_is_turned_as_its_orientation_says(tmp_path: Path, suffix: str, orientation: int) -> None:
    path, image = tmp_path / f"a.{suffix}", Image.open(draw(tmp_path / "plain.png", size=(16, 9)))
    exif = image.getexif()
    exif[ExifTags.Base.Orientation] = orientation
    image.save(path, exif=exif)
    upright = ImageOps.exif_transpose(Image.open(path))
    assert np.array_equal(RGB.decode(path), np.asarray(upright))
    assert look(path)[1] == upright.size


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("exif", [b"", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*" + bytes(40)])
def test_orientation_that_cannot_be_read_leaves_an_image_as_it_is(tmp_path: Path, exif: bytes) -> None:
    Image.fromarray(pixels(0)).save(tmp_path / "a.jpg", exif=exif)
    assert np.array_equal(RGB.decode(tmp_path / "a.jpg"), np.asarray(Image.open(tmp_path / "a.jpg")))


@pytest.mark.parametrize("size", [(200_000, 1), (1, 200_000), (9000, 2)])
def test_an_image_of_extreme_proportions_is_resized_in_little_memory(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("RGB", size, "red").save(tmp_path / "a.png")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert (Form("RGB", 224).decode(tmp_path / "a.png") == (255, 0, 0)).all()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 600_000  # kB


@pytest.mark.parametrize("size", [(640, 9), (9, 640), (64, 48), (300, 1)])
def test_the_centre_resized_alone_is_that_of_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    path = draw(tmp_path / "a.png", size=size)
    whole = Form("RGB", 7).decode(path).astype(int)
    monkeypatch.setattr(decode, "MOST", 0)
    assert abs(Form("RGB", 7).decode(path) - whole).max() <= 1


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
@pytest.mark.parametrize("keep", [0.0, 0.02, 0.3, 0.6])
def test_a_truncated_file_is_named(tmp_path: Path, name: str, keep: float) -> None:
    path = draw(tmp_path / name, size=(64, 64))
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    with pytest.raises(CorruptImage, match=rf"{name} is corrupt \(.+\); .*--skip-corrupt") as refusal:
        RGB.decode(path)
    assert "\n" not in str(refusal.value)


def test_text_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("not an image")
    with pytest.raises(CorruptImage, match=r"a\.png is corrupt \(cannot identify image file\)"):
        look(tmp_path / "a.png")


def test_a_file_that_is_not_there_is_not_corrupt(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read .*a\.png: No such file") as refusal:
        RGB.decode(tmp_path / "a.png")
    assert not isinstance(refusal.value, CorruptImage)


@pytest.mark.filterwarnings("ignore")  # Pillow warns of some of this damage
@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
@given(data=st.data())
def test_damage_gives_an_image_or_a_refusal_and_nothing_else(tmp_path: Path, name: str, data: st.DataObject) -> None:
    content = bytearray(draw(tmp_path / f"whole-{name}", size=(20, 20)).read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / name).write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        assert Form("RGB", 20).decode(tmp_path / name).shape == (20, 20, 3)
    except InputError as refusal:
        assert name in str(refusal)
