"""The page: one HTML file that holds everything it needs, and asks no network for anything."""

import base64
import gzip
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from egru import __version__
from egru.sweep.table import Row
from egru.sweep_report.columns import COLUMNS, COMPARED, best, show_change, status, totals
from egru.sweep_report.figures import PALETTE, Picture, number
from egru.sweep_report.report import Report
from sw_model.errors import UserError

FOLDER = Path(__file__).parent
#: How a page of ours is known: it may be replaced, nothing else may.
MARK = '<meta name="generator" content="egru report">'


def render_page(report: Report) -> str:
    """Return the HTML; the same report gives the same text."""
    plotly, plotly_hash = _plotly()
    script = (FOLDER / "page.js").read_text()
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER), undefined=jinja2.StrictUndefined, autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("page.html.j2").render(
        report=report,
        data=_data(report),
        facts=[(sweep.name, totals(sweep.results.rows), best(sweep.results.rows)) for sweep in report.sweeps],
        columns=COLUMNS,
        compared=COMPARED,
        status=status,
        show_change=show_change,
        number=number,
        stage_names=stage_names,
        indented=lambda value: json.dumps(value, indent=2, ensure_ascii=False),
        palette=PALETTE,
        # Ours, and therefore not escaped.
        style=Markup((FOLDER / "page.css").read_text()),
        script=Markup(script),
        mark=Markup(MARK),
        plotly=plotly,
        script_hashes=[_hash(script), plotly_hash],
        version=__version__,
    )


def require_replaceable(path: Path, *, force: bool) -> None:
    """Refuse a place where a page would replace anything but an earlier page, which is made from the sweep at any time.

    Raises:
        UserError: When it is a folder, or another file and ``force`` is not given.
    """
    if path.is_dir():
        raise UserError(f"--out {path}", "is a folder", "give a file, e.g. report.html in it")
    if path.exists() and not force:
        with path.open("rb") as file:
            if MARK.encode() not in file.read(1024):
                raise UserError(
                    f"--out {path}", "is a file that this command did not write", "give another --out, or --force to replace it"
                )


def stage_names(rows: Sequence[Row]) -> list[str]:
    """Return the stages that took time, each once, in the order in which they ran."""
    return list(dict.fromkeys(stage for row in rows for stage in row.seconds))


def _data(report: Report) -> dict[str, Any]:
    return {
        "figures": [[asdict(panel) for panel in figure.panels] for figure in report.figures],
        "models": [
            {"rasters": [_picture(one) for one in model.rasters], "masks": [_picture(one) for one in model.masks]}
            for model in report.album.models
        ],
    }


def _picture(picture: Picture) -> dict[str, Any]:
    rows, columns = picture.cells.shape
    words = {name: getattr(picture, name) for name in ("title", "x", "y", "scale", "parts", "description")}
    return words | {"rows": rows, "columns": columns, "cells": _packed(picture.cells.tobytes())}


@cache
def _plotly() -> tuple[str, str]:
    """Return Plotly's JavaScript, packed, and its hash."""
    from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]  # the wheel publishes no types

    script = get_plotlyjs()
    return _packed(script.encode()), _hash(script)


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _packed(data: bytes) -> str:
    return base64.b64encode(gzip.compress(data, 9, mtime=0)).decode()
