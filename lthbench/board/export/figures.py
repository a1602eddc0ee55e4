"""The charts of a suite as files: SVG, PDF and PNG."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lthbench.board.analysis import Analysis
from lthbench.board.curves import curve_rows
from lthbench.board.grids import duel_grids
from lthbench.board.page import shown_methods
from lthbench.errors import InputError
from lthbench.runs.records.run_id import file_name
from lthbench.runs.store.files import write_whole

KINDS = ("svg", "pdf", "png")
SCALE = 3.0  # pixels of a PNG for each point of the chart: 216 to the inch
FONT = "Roboto, Helvetica, Arial, sans-serif"
PADDING = {"left": 5, "top": 5, "right": 30, "bottom": 5}  # another font may be wider


def check_extra() -> None:
    """Raise InputError if the extra `board` is not installed."""
    try:
        import altair  # noqa: F401
        import vl_convert  # noqa: F401
    except ImportError as error:
        raise InputError(f"charts need {error.name}; type: pip install 'lthbench[board]'") from None


def write(analysis: Analysis, folder: Path) -> list[Path]:
    """Write every chart of a suite to a folder, in all KINDS. Returns the files. Needs the extra `board`."""
    written = []
    for name, chart in figures(analysis):
        for kind in KINDS:
            written.append(folder / f"{file_name(name)}.{kind}")
            write_whole(written[-1], drawn(chart, kind))
    return written


def figures(analysis: Analysis) -> Iterator[tuple[str, Any]]:
    """Yield names and Altair charts: accuracy, learning curves where there are any, duels by workload, rankings."""
    from lthbench.board import charts

    yield "accuracy", charts.accuracy_panels(analysis, shown_methods(analysis))
    if len(rows := curve_rows(analysis)):
        yield "curves", charts.curve_panels(rows)
    for duel in analysis.duels:
        for grid in duel_grids(analysis, duel):
            workload = f".{grid.workload}" if len(analysis.meta) > 1 else ""
            yield f"duel.{duel.a}.{duel.b}{workload}", charts.duel_grid(grid, duel.a, duel.b)
    for name, table in analysis.rankings.items():
        yield f"ranking.{name.replace(' ', '-')}", charts.ranks(table).properties(width=360)


def drawn(chart: Any, kind: str) -> bytes:
    """Return an Altair chart as the content of a file of one of KINDS, black on white."""
    import vl_convert

    chart = chart.configure(font=FONT, background="white", padding=PADDING).configure_view(stroke=None)
    chart = chart.configure_axis(grid=True, gridColor="#eeeeee", labelFontSize=12, titleFontSize=12)
    spec: str = chart.configure_legend(labelFontSize=12).to_json()
    if kind == "png":
        return vl_convert.vegalite_to_png(spec, scale=SCALE)
    return vl_convert.vegalite_to_pdf(spec) if kind == "pdf" else vl_convert.vegalite_to_svg(spec).encode()
