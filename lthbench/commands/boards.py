"""What came out: scores and boards."""

from pathlib import Path

import click

from lthbench.commands.shared import FOLDER, JSON, print_rows


@click.command()
@click.argument("folder", type=FOLDER)
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@JSON
def score(folder: Path, as_csv: bool, as_json: bool) -> None:
    """n, mean, deviation and 95 % interval of every method in every cell.

    \b
    lthbench score runs/digits
    """
    from lthbench.board.scores import scores
    from lthbench.runs import records

    table = scores(records.frame(records.in_folder(folder)))
    if as_csv:
        click.echo(table.to_csv(index=False), nl=False)
    else:
        print_rows(table.itertuples(index=False), list(table.columns), as_json)


@click.command()
@click.argument("folder", type=FOLDER, default="leaderboard")
def board(folder: Path) -> None:
    """Build the tables of a run folder (into FOLDER/board), or those of the published leaderboard.

    \b
    lthbench board runs/digits
    """
    from lthbench.board.build import build

    page, words = build(folder)
    click.echo(words)
    click.echo(f"\nThe board lies in {page}")
