"""The commands for data sets: `list`, `get`, `add`, `remove`."""

import sys
from pathlib import Path
from typing import Any

import click

from lthbench.commands.shared import DATA, JSON, Commands, print_rows


@click.group("data", cls=Commands)
def data_() -> None:
    """List, download, pack and remove data sets.

    A workload of a suite may also name a folder of images: dataset = "imagefolder:PATH".
    """


@data_.command("list")
@DATA
@JSON
def data_list(data: Path | None, as_json: bool) -> None:
    """List the packed data sets, with shape, classes, sizes and disk, and the commands that get the others.

    \b
    lthbench data list
    """
    from lthbench.commands.printing import listing

    print_rows(*listing.data(data), as_json)


@data_.command("get")
@click.argument("name")
@DATA
def data_get(name: str, data: Path | None) -> None:
    """Download a data set with torchvision, check it, and pack it, or the weights of a start. Nothing is downloaded twice.

    \b
    lthbench data get cifar10
    lthbench data get timm:resnet18.a1_in1k
    """
    from lthbench.data import DataHome, default_folder, prepare
    from lthbench.data.published import PUBLISHED, get
    from lthbench.pruning import starts

    folder = data or default_folder()
    if name.startswith(starts.PREFIX):
        click.echo(f"{name} is ready in {starts.fetched(name, folder)}")
        return
    _packed(folder, get(folder, name) if name in PUBLISHED else prepare(DataHome(folder), name))


@data_.command("add")
@click.argument("name")
@click.argument("path")
@click.option(
    "--size", type=click.IntRange(1), metavar="N", help="Resize the shorter side to N pixels, crop the centre."
)
@click.option(
    "--test-share",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="X",
    help="Make this share of every class the test split, where there is none.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Choose another draw of --test-share.")
@click.option("--encoded", is_flag=True, help="Pack the files' own bytes; training decodes them. Needs --size.")
@click.option("--skip-corrupt", is_flag=True, help="Leave corrupt images out and count them.")
@DATA
def data_add(
    name: str,
    path: str,
    size: int | None,
    test_share: float | None,
    seed: int,
    encoded: bool,
    skip_corrupt: bool,
    data: Path | None,
) -> None:
    """Pack images of your own: a folder, an .npz file, a saved Hugging Face data set, or hf:NAME.

    A folder holds train/<class>/*.jpg|png with test/ or val/, or <class>/*.jpg|png alone with --test-share. ImageNet and
    Tiny-ImageNet are read as published. Images are turned by their EXIF orientation. Links are followed. Skipped files are
    counted.

    --encoded is for ImageNet: trainings crop the whole image, evaluation resizes to 8/7 of the size and crops the centre.

    \b
    lthbench data add cifar10-jpeg ~/images/cifar10-jpeg
    lthbench data add flowers ~/images/flowers --test-share 0.2 --size 64
    lthbench data add mine arrays.npz
    lthbench data add imagenet ~/images/imagenet --size 224 --encoded
    """
    from lthbench.data import default_folder
    from lthbench.data.add import Options, add
    from lthbench.data.split import TestShare

    folder, share = data or default_folder(), None if test_share is None else TestShare(test_share, seed)
    _packed(folder, add(folder, name, path, Options(size, skip_corrupt, encoded, _counted), share))


@data_.command("remove")
@click.argument("name")
@click.option("--raw", is_flag=True, help="Also remove its downloaded files.")
@DATA
def data_remove(name: str, raw: bool, data: Path | None) -> None:
    """Remove a packed data set. Its original images stay.

    \b
    lthbench data remove cifar10-jpeg
    """
    from lthbench.commands.printing.console import size
    from lthbench.data import default_folder
    from lthbench.data.overview import remove

    freed = remove(data or default_folder(), name, raw)
    click.echo(f"removed {name}: {size(freed)} freed")


def _packed(folder: Path, manifest: Any) -> None:
    """Say that a data set is ready, and which files are left out of it."""
    from lthbench.data.overview import left_out

    channels, height, width = manifest.shape
    sizes = " and ".join(f"{count:,} {split}" for split, count in manifest.sizes.items())
    click.echo(f"{manifest.name} is ready in {folder / manifest.name}: {sizes} images of {height}x{width}x{channels}, "
               f"{manifest.classes} classes")  # fmt: skip
    for line in left_out(manifest):
        click.echo(line)


def _counted(done: int, of: int) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r{done:,} of {of:,} images", nl=done == of, err=True)
