"""Drawings by matplotlib as SVG for a page or a paper."""

import io
from collections.abc import Callable, Mapping
from typing import Any

from sw_model.errors import UserError


def draw_svg(what: str, size: tuple[float, float], paint: Callable[[Any], None], style: Mapping[str, Any] | None = None) -> str:
    """Return a drawing as SVG, its words as text; the same drawing gives the same SVG.

    Args:
        what: What needs matplotlib, for the error message.
        size: Width and height in inches.
        paint: Draws on an empty `matplotlib.figure.Figure`.
        style: Settings of matplotlib.

    Raises:
        UserError: When matplotlib is missing.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        raise UserError(what, "needs matplotlib", "pip install 'egru-fpga[bench]'") from None
    settings: Any = {"svg.hashsalt": "egru", "svg.fonttype": "none", **(style or {})}
    with matplotlib.rc_context(settings):
        # Its own white ground: a page may be dark, and text is black.
        figure = Figure(figsize=size, layout="constrained", facecolor="white")
        paint(figure)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines()) + "\n"
