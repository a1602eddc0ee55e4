"""The command `speed`: the training speed of this machine."""

from pathlib import Path
from typing import Any

import click

from lthbench.commands.shared import DATA, JSON, print_rows


@click.command()
@click.argument("workload", default="resnet20/synthetic")
@click.option("--lanes", type=click.IntRange(1), multiple=True, help="N trainings side by side; may be given "
              "several times (default: 1, 2, 4, 8, 16 on a GPU, as far as the cores on a CPU).")  # fmt: skip
@click.option("--batch", type=click.IntRange(1), default=128, show_default=True)
@click.option("--precision", type=click.Choice(["fp32", "tf32", "bf16"]), help="Default: bf16 on a GPU, else fp32.")
@click.option("--stem", type=click.Choice(["cifar", "tiny-imagenet"]), default=None, help="Stem of an ImageNet model.")
@click.option("--augment", default="crop-flip", show_default=True, metavar="NAME", help="Augmentation of each image.")
@click.option("--seconds", "least", type=click.FloatRange(0, min_open=True), default=4.0, show_default=True,
              help="Least seconds of each training.")  # fmt: skip
@click.option("--device", default="", metavar="DEVICE", help="cpu, cuda, … (default: cuda where there is one).")
@DATA
@JSON
def speed(
    workload: str,
    lanes: tuple[int, ...],
    precision: str | None,
    stem: str | None,
    device: str,
    data: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Time trainings of MODEL/DATASET against the device's floor and a plain PyTorch loop; `plan` then shows hours.

    \b
    lthbench speed                             random 32x32 images, no data needed
    lthbench speed resnet20/cifar10-jpeg
    """
    from lthbench.bench.measure import measure
    from lthbench.bench.measurement import keep
    from lthbench.bench.table import HEADERS, rows, words
    from lthbench.data import default_folder
    from lthbench.training.numerics import chosen_device

    where = chosen_device(device)
    precision = precision or ("bf16" if where.type == "cuda" else "fp32")
    folder = data or default_folder()
    for found in measure(workload, folder, where, precision, stem=stem or "", lanes=lanes, say=_said, **options):
        path = keep(folder, found)  # a measurement that is cut keeps what it has found
    if as_json:
        click.echo(found.model_dump_json())
        return
    print_rows(rows(found), HEADERS, False)
    click.echo(f"\n{words(found)}\nKept for lthbench plan in {path}")


def _said(line: str) -> None:
    click.echo(f"timing {line}", err=True)
