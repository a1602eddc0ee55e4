"""The commands for a pruned network outside of lthbench: `export` and `latency`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from lthbench.commands.shared import JSON, print_json, print_rows

PATH = click.Path(path_type=Path)


def of_one_run(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that choose one run of a bundle or run folder."""
    for option in (
        click.option("--seed", type=int, metavar="N"),
        click.option("--sparsity", type=float, metavar="SHARE"),
        click.option("--learning-rate", type=float, metavar="RATE"),
        click.option("--workload", metavar="MODEL/DATASET"),
        click.option("--method", metavar="METHOD", help="Select the run; give as many options as name one run."),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("ticket", type=PATH)
@click.option("--to", type=click.Choice(["torch", "safetensors", "onnx", "prune", "hub"]), required=True)
@click.option("--out", required=True, type=PATH, help="A file; a folder for hub.")
@of_one_run
@click.option("--start", is_flag=True, help="Export the start weights, not the final ones.")
def export(ticket: Path, to: str, out: Path, start: bool, **which: Any) -> None:
    """Write one network of a bundle or run folder for other libraries: torch.export, safetensors, ONNX,
    torch.nn.utils.prune, the Hub.

    The first three have the compact network, without the units that are removed whole; the last two the masked one.

    \b
    lthbench export my-method.zip --to onnx --sparsity 0.9 --learning-rate 0.1 --seed 0 --out my-method.onnx
    """
    from lthbench.deployment.export import export as write

    chosen = _chosen(ticket, which)
    click.echo(f"wrote {write(chosen.at_start if start else chosen, to, out)}")


@click.command()
@click.argument("ticket", type=PATH)
@of_one_run
@click.option("--rounds", type=click.IntRange(min=4), default=11, show_default=True, help="Rounds of timings.")
@click.option("--device", default="cpu", show_default=True, metavar="DEVICE", help="cpu or cuda.")
@JSON
def latency(ticket: Path, rounds: int, device: str, as_json: bool, **which: Any) -> None:
    """Time one network of a bundle or run folder: dense, masked and compact, in PyTorch and in ONNX Runtime.

    Batches of 1 and 64 images, with one thread and with all. On cuda: in fp32 and fp16, and with torch's kernels for 2:4
    where the mask has that pattern. The forms are timed in turn; the ratio to the dense network
    of the same round counts. A run folder keeps the numbers in latency/, with the name of the machine.

    \b
    lthbench run digits-channels --keep finals
    lthbench latency runs/digits-channels --method slimming --sparsity 0.5 --learning-rate 0.1 --seed 0
    """
    from lthbench.deployment import latency as timing
    from lthbench.runs.records.latency import Latencies, TimedRun, write
    from lthbench.training import numerics

    chosen = _chosen(ticket, which)
    where = numerics.chosen_device(device)
    rows = timing.latency(chosen, rounds, where)
    found = Latencies(run=TimedRun(**chosen.about), machine=numerics.environment(where), rows=rows)
    if ticket.is_dir():
        write(ticket, f"{timing.name_of(chosen)}-{where.type}", found)
    if as_json:
        print_json(found.model_dump())
    else:
        print_rows(map(timing.words, rows), timing.HEADERS, False)
        click.echo(f"\n{chosen!r}, on {found.machine['kind']}")


def _chosen(ticket: Path, which: dict[str, Any]) -> Any:
    from lthbench.submission.bundle.ticket import load_ticket

    return load_ticket(ticket, **{name: value for name, value in which.items() if value is not None})
