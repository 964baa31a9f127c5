"""What a figure is: described once in numbers and words. The page (page.js) and `svg` draw it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

import numpy as np

#: What marks and a line mean, which is also how they are drawn: ``measured`` filled and joined; ``estimated`` hollow; ``law`` a dashed
#: line; ``front`` a ring, and steps between the points that no other one beats in both respects; ``baseline`` a level line.
Role = Literal["measured", "estimated", "law", "front", "baseline"]

#: Each colour on a light and on a dark ground, with a contrast of at least 3 on both. More series than colours share them.
PALETTE = (
    ("#2a62ad", "#86b4f5"),
    ("#bb4a12", "#f2a071"),
    ("#1c7a5a", "#62c9a2"),
    ("#864a9b", "#cfa2e0"),
    ("#8d6708", "#d9b44a"),
    ("#b13560", "#f08caf"),
    ("#127a8a", "#5fc6d6"),
    ("#747a82", "#8b929b"),
    ("#5c7414", "#a9c765"),
    ("#7d5138", "#cfa68f"),
)
COLORS, SYMBOLS = len(PALETTE), 4
DIAMOND, SQUARE = 1, 2
#: More bars than this cannot be told apart.
MAX_BARS = 40

Item = TypeVar("Item")


@dataclass(frozen=True)
class Axis:
    """An axis.

    Attributes:
        title: What is on it, with the unit.
        log: Logarithmic.
        share: Numbers are shares of 1 and shown in per cent.
    """

    title: str
    log: bool = False
    share: bool = False


@dataclass(frozen=True)
class Mark:
    """One point; ``text`` is all that there is to say of it, in lines."""

    x: float
    y: float
    text: str


@dataclass(frozen=True)
class Series:
    """Marks and a line that belong together.

    Attributes:
        name: What they are, e.g. a board.
        role: See `Role`.
        color: Which colour; None for that of text.
        symbol: Which symbol.
        marks: The points.
        line: Corners of a line.
    """

    name: str
    role: Role
    color: int | None = None
    symbol: int = 0
    marks: tuple[Mark, ...] = ()
    line: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Plot:
    """Series over two axes."""

    title: str
    x: Axis
    y: Axis
    series: tuple[Series, ...]
    kind: Literal["plot"] = "plot"

    @property
    def description(self) -> str:
        """Return in words what is drawn: where each series begins and ends."""
        parts = []
        for one in self.series:
            ends = [(mark.x, mark.y) for mark in sorted(one.marks, key=lambda mark: mark.x)] or list(one.line)
            (x0, y0), (x1, y1) = ends[0], ends[-1]
            first = f"{one.name} ({one.role}): {number(y0, self.y)} at {number(x0, self.x)}"
            parts.append(first if len(ends) == 1 else f"{first}, {number(y1, self.y)} at {number(x1, self.x)}, {len(ends)} points")
        return f"{self.title}: {self.y.title} against {self.x.title}. {'; '.join(parts)}."


@dataclass(frozen=True)
class Part:
    """What stands in one colour in all bars; one value for each bar."""

    name: str
    color: int
    values: tuple[float, ...]


@dataclass(frozen=True)
class Bars:
    """Bars lying one below the other, each of parts end to end; on each stand marks, which are no part of its length."""

    title: str
    x: Axis
    labels: tuple[str, ...]
    parts: tuple[Part, ...]
    marks: tuple[Part, ...] = ()
    kind: Literal["bars"] = "bars"

    @property
    def description(self) -> str:
        """Return in words what is drawn."""
        parts = (*self.parts, *self.marks)
        spans = [f"{part.name} {number(min(part.values), self.x)} to {number(max(part.values), self.x)}" for part in parts]
        return f"{self.title}: {self.x.title} of {len(self.labels)} points. {'; '.join(spans)}."


@dataclass(frozen=True)
class Figure:
    """Plots or bars on one matter.

    Attributes:
        key: Names files and places in the page.
        title: The matter.
        reading: How to read it, in a sentence or two.
        panels: Side by side; at least one.
        roles: What each role that occurs means here.
    """

    key: str
    title: str
    reading: str
    panels: tuple[Plot | Bars, ...]
    roles: dict[Role, str] = field(default_factory=dict)

    @property
    def legend(self) -> list[tuple[str, int, int]]:
        """Return name, colour and symbol of what is drawn in colour, each once."""
        named: dict[str, tuple[str, int, int]] = {}
        for panel in self.panels:
            if isinstance(panel, Bars):
                named |= {part.name: (part.name, part.color, SQUARE) for part in panel.parts}
                named |= {part.name: (part.name, part.color, DIAMOND) for part in panel.marks}
            else:
                named |= {one.name: (one.name, one.color, one.symbol) for one in panel.series if one.color is not None}
        return list(named.values())


@dataclass(frozen=True)
class Picture:
    """A matrix as an image.

    Attributes:
        title: What it is.
        x: What is from left to right.
        y: What is from top to bottom.
        cells: uint8, shape (rows, columns): 0 for nothing, 255 for all that a cell stands for, by the root of the share, so that little is
            seen as well.
        scale: Rows and columns of the matrix that a cell stands for.
        parts: What stands side by side in equal widths; empty for one thing.
        description: What is to be seen.
    """

    title: str
    x: str
    y: str
    cells: np.ndarray
    scale: tuple[int, int]
    parts: tuple[str, ...]
    description: str


@dataclass(frozen=True)
class ModelPictures:
    """The pictures of one model.

    Attributes:
        name: Of the model: the first point that has it.
        rasters: The events of each layer.
        masks: The non-zero weights of each matrix.
    """

    name: str
    rasters: tuple[Picture, ...]
    masks: tuple[Picture, ...]


def percent(share: float) -> str:
    """Write a share of 1 in per cent."""
    return f"{100 * share:.3g} %"


def number(value: float, axis: Axis) -> str:
    """Write a value on ``axis``."""
    return percent(value) if axis.share else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def spread(items: Sequence[Item], limit: int) -> list[Item]:
    """Return at most ``limit`` of ``items``, evenly from the first to the last."""
    if len(items) <= limit:
        return list(items)
    return [items[round(index * (len(items) - 1) / (limit - 1))] for index in range(limit)]


def shortened(count: int) -> str:
    """Return the remark that not all of ``count`` bars are there, if so."""
    return f" {MAX_BARS} of {count} points are shown." if count > MAX_BARS else ""
