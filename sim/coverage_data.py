"""Coverage that Verilator counted (``EGRU_COVERAGE``, see `sim.runner`), read and merged: one point for all shapes of a module.

Points of a library module are told apart by their place in the source. A generated module counts under its template's name; since its lines
move from model to model, their text takes the place of the number.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sim.runner import COVERAGE_POINTS, LIBRARY

LINE, BRANCH, TOGGLE, COVER = KINDS = ("line", "branch", "toggle", "cover")
#: Which template made a generated file.
TEMPLATES = (
    (re.compile(r"egru_layer(s|\d+)"), "engine.sv.j2"),
    (re.compile(r"egru_decoder"), "decoder.sv.j2"),
    (re.compile(r"egru_top"), "top.sv.j2"),
    (re.compile(r"egru_uart_core"), "uart_core.sv.j2"),
)
# The words of a memory are data: whether they move says nothing that its ports do not say.
_MEMORY = re.compile(r"(^|\.)(state_)?mem\[")
_RECORD = re.compile(r"C '(?P<keys>.*)' (?P<count>\d+)")
_COVER = re.compile(r"^\s*(\w+):\s*cover\b", re.MULTILINE)


@dataclass(frozen=True, order=True)
class Point:
    """Something that can be covered.

    Attributes:
        module: The library module, or the template of a generated one.
        kind: One of `KINDS`: a source line, one way out of a choice, one direction of a bit, a labelled case of functional coverage.
        place: The line with its number (library) or without (generated); of a choice also the column and which way; the bit; the label.
    """

    module: str
    kind: str
    place: str


def cover_points() -> list[Point]:
    """Return all points of functional coverage, whether or not a bench holds their module."""
    files = sorted(COVERAGE_POINTS.glob("*_coverage.sv"))
    return [Point(_counted_as(path.stem), COVER, label) for path in files for label in _COVER.findall(path.read_text())]


def read_coverage(folder: Path) -> Counter[Point]:
    """Return what the runs that left their data in ``folder`` hit, and how often; a point that none of them hit has a 0."""
    found: Counter[Point] = Counter()
    for data in sorted(Path(folder).glob("*/coverage.dat")):
        texts = {path.name: path.read_text().splitlines() for path in data.parent.glob("*.sv")}
        for record in _RECORD.finditer(data.read_text()):
            keys = dict(item.split("\x02", 1) for item in record["keys"].split("\x01")[1:])
            for point in _points(keys, texts[Path(keys["f"]).name]):
                found[point] += int(record["count"])
    return found


def _counted_as(stem: str) -> str:
    """Return the name that a source file counts under; empty when it does not count."""
    stem = stem.removesuffix("_coverage")
    if (LIBRARY / f"{stem}.sv").is_file():
        return stem
    return next((name for pattern, name in TEMPLATES if pattern.fullmatch(stem)), "")


def _points(keys: dict[str, str], lines: list[str]) -> Iterator[Point]:
    """Yield the points that one record counts: a block or a branch counts its lines and, when it is one, the way taken."""
    stem, kind, what = Path(keys["f"]).stem, keys["t"], keys["o"]
    module = _counted_as(stem)
    if not module or (stem.endswith("_coverage") and kind != "user"):
        return
    if kind == "user":
        yield Point(module, COVER, what)
    elif kind == "toggle":
        if not _MEMORY.search(what):
            yield Point(module, TOGGLE, what)
    else:

        def text(number: int) -> str:
            return (f"{number}: " if not module.endswith(".j2") else "") + lines[number - 1].strip()

        if kind == "branch":
            yield Point(module, BRANCH, f"{text(int(keys['l']))} [{keys['n']} {what}]")
        for part in filter(None, keys.get("S", "").split(",")):
            first, _, last = part.partition("-")
            for number in range(int(first), int(last or first) + 1):
                yield Point(module, LINE, text(number))
