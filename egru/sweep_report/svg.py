"""The figures as SVG for a paper. The same report gives the same bytes."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from egru.drawing import draw_svg
from egru.sweep_report.figures import DIAMOND, PALETTE, Axis, Bars, Figure, Picture, Plot, Role
from egru.sweep_report.report import Report
from sw_model.output_folder import staged_folder, write_texts

PANEL_WIDTH, PANEL_HEIGHT, BAR_HEIGHT = 4.4, 3.3, 0.17
INK, SOFT = "#1c2026", "#59606a"
SYMBOLS = "oDs^"
#: Of matplotlib.
SETTINGS = {
    **{"font.size": 9, "axes.titlesize": 9, "axes.titlelocation": "left"},
    **{f"axes.spines.{side}": False for side in ("top", "right")},
    # Names are the user's: a dollar sign begins no formula.
    "text.parse_math": False,
}
#: Line, size and filling of the marks.
STYLES: dict[Role, tuple[Any, int, Any]] = {
    "measured": ("-", 5, "full"),
    "estimated": ("none", 7, "none"),
    "law": ("--", 0, "none"),
    "front": (":", 10, "none"),
    "baseline": ("--", 0, "none"),
}


def write_svgs(report: Report, folder: Path, *, force: bool) -> list[str]:
    """Write one file for each figure and, of the sparsest model, its events and weights.

    Returns:
        The files' names.

    Raises:
        UserError: When matplotlib is missing, or ``folder`` holds something and ``force`` is not given.
    """
    texts = {figure.key: _draw(figure.panels, figure) for figure in report.figures}
    for model in report.album.models[:1]:
        texts |= {name: _draw(pictures) for name, pictures in (("events", model.rasters), ("weights", model.masks)) if pictures}
    files = {f"{name}.svg": text for name, text in texts.items()}
    with staged_folder(folder, force=force) as staging:
        write_texts(staging, files)
    return list(files)


def _draw(panels: Sequence[Plot | Bars | Picture], legend: Figure | None = None) -> str:
    """Return an SVG of ``panels``, two in a row."""
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    height = max([PANEL_HEIGHT, *(1 + BAR_HEIGHT * len(panel.labels) for panel in panels if isinstance(panel, Bars))])

    def paint(drawing: Any) -> None:
        grid = drawing.subplots(rows, columns, squeeze=False).flat
        for axes, panel in zip(grid, panels, strict=False):  # an odd one leaves a place empty
            axes.set_title(panel.title)
            if isinstance(panel, Plot):
                _plot(axes, panel)
            elif isinstance(panel, Bars):
                _bars(axes, panel)
            else:
                _picture(axes, panel)
        for axes in grid[len(panels) :]:
            axes.remove()
        if legend is not None:
            drawing.legend(handles=_handles(legend), loc="outside lower center", ncols=3, fontsize="small", frameon=False)

    return draw_svg("--svg", (PANEL_WIDTH * columns, height * rows), paint, SETTINGS)


def _plot(axes: Any, panel: Plot) -> None:
    for series in panel.series:
        color = INK if series.color is None else PALETTE[series.color][0]
        line, size, filling = STYLES[series.role]
        if series.line:
            # A short dash at each point of the law: it is there for a single one too.
            axes.plot(*zip(*series.line, strict=True), line, marker="_" if series.role == "law" else "", color=color, linewidth=1.1)
        if series.marks:
            symbol = "o" if series.role == "front" else SYMBOLS[series.symbol]
            x, y = [mark.x for mark in series.marks], [mark.y for mark in series.marks]
            axes.plot(x, y, symbol, color=color, markersize=size, fillstyle=filling, linestyle="none", clip_on=False)
    _axis(axes.xaxis, axes.set_xscale, panel.x)
    _axis(axes.yaxis, axes.set_yscale, panel.y)
    if panel.y.share:
        axes.set_ylim(bottom=0)
    axes.grid(color="0.92", linewidth=0.6)
    axes.set_axisbelow(True)


def _bars(axes: Any, panel: Bars) -> None:
    places, left = range(len(panel.labels)), [0.0] * len(panel.labels)
    for part in panel.parts:
        axes.barh(places, part.values, 0.75, left=left, color=PALETTE[part.color][0], edgecolor="white", linewidth=0.5)
        left = [start + value for start, value in zip(left, part.values, strict=True)]
    for mark in panel.marks:
        axes.plot(mark.values, places, SYMBOLS[DIAMOND], color=PALETTE[mark.color][0], markeredgecolor="white", linestyle="none")
    axes.set_yticks(places, panel.labels, fontsize="small")
    axes.set_ylim(len(places) - 0.5, -0.5)
    _axis(axes.xaxis, axes.set_xscale, panel.x)


def _picture(axes: Any, picture: Picture) -> None:
    rows, columns = picture.cells.shape
    width = columns * picture.scale[1]
    extent = (0, width, rows * picture.scale[0], 0)
    axes.imshow(picture.cells, cmap="Greys", vmin=0, vmax=255, interpolation="nearest", aspect="auto", extent=extent)
    axes.set(xlabel=picture.x, ylabel=picture.y)
    if picture.parts:
        axes.set_xticks([(part + 0.5) * width / len(picture.parts) for part in range(len(picture.parts))], picture.parts)
        for part in range(1, len(picture.parts)):
            axes.axvline(part * width / len(picture.parts), color=SOFT, linewidth=0.6)


def _axis(axis: Any, set_scale: Callable[[str], None], given: Axis) -> None:
    from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, NullLocator

    low, high = axis.get_data_interval()
    axis.set_label_text(given.title)
    if given.log and high > 5 * low:  # what lies close together needs no logarithm
        set_scale("log")
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_minor_locator(NullLocator())
    if given.share:
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
    elif high >= 1000:
        axis.set_major_formatter(EngFormatter(sep=""))


def _handles(figure: Figure) -> list[Any]:
    """Return what a legend shows: the names by their colour, then what marks and lines mean, in grey."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    if isinstance(figure.panels[0], Bars):
        return [Patch(color=PALETTE[color][0], label=name) for name, color, _ in figure.legend]
    named = [
        Line2D([], [], color=PALETTE[color][0], marker=SYMBOLS[symbol], linestyle="none", markersize=5, label=name)
        for name, color, symbol in figure.legend
    ]
    styles = [(words, *STYLES[role]) for role, words in figure.roles.items()]
    return named + [
        Line2D([], [], color=SOFT, marker="o", linestyle="none" if size == 5 else line, markersize=size, fillstyle=filling, label=words)
        for words, line, size, filling in styles
    ]
