"""The points of one or two sweeps as the figures name them."""

from collections.abc import Sequence
from dataclasses import dataclass

from egru.sweep.table import Point, Row
from egru.sweep_report.figures import COLORS, SYMBOLS, percent
from egru.sweep_report.reading import Sweep

#: A name is the user's; more of it would push everything else out of a figure.
MAX_NAME = 60


@dataclass(frozen=True)
class Entry:
    """A point and its names.

    Attributes:
        sweep: Its sweep's letter; empty where there is one only.
        row: What was measured.
        name: The point's, with its sweep's.
        series: What it shares with the others on its line: the board, and whatever else but sparsity and seed differs between points.
        label: What is its own: sparsity, and whatever differs.
        color: Of its series; the same in both sweeps.
        symbol: Of its sweep, or of its series where there are more series than colours.
    """

    sweep: str
    row: Row
    name: str
    series: str
    label: str
    color: int
    symbol: int


def entries(sweeps: Sequence[Sweep]) -> list[Entry]:
    """Name all points of one sweep or two."""
    words = [_words(row.point) for sweep in sweeps for row in sweep.results.rows]
    varied = [key for key in (words[0] if words else ()) if key != "sparsity" and len({one[key] for one in words}) > 1]
    found: list[Entry] = []
    kinds: dict[str, int] = {}
    for number, sweep in enumerate(sweeps):
        for row in sweep.results.rows:
            word = _words(row.point)
            kind = ", ".join([word["board"], *(word[key] for key in varied if key not in ("board", "seed"))])[:MAX_NAME]
            label = ", ".join([word["sparsity"], *(word[key] for key in varied)])[:MAX_NAME]
            index = kinds.setdefault(kind, len(kinds))
            found.append(
                Entry(
                    sweep=sweep.letter,
                    row=row,
                    name=_join(sweep, row.name[:MAX_NAME]),
                    series=_join(sweep, kind),
                    label=_join(sweep, label),
                    color=index % COLORS,
                    symbol=(number if sweep.letter else index // COLORS) % SYMBOLS,
                )
            )
    return found


def _join(sweep: Sweep, name: str) -> str:
    return f"{sweep.letter}: {name}" if sweep.letter else name


def _words(point: Point) -> dict[str, str]:
    return {
        "sparsity": percent(point.sparsity),
        "board": point.board,
        "method": point.method,
        "weight_bits": f"{point.weight_bits} bits",
        "hidden_sizes": "x".join(map(str, point.hidden_sizes)),
        "lanes": "fitted lanes" if point.lanes is None else f"lanes {', '.join(map(str, point.lanes))}",
        "seed": f"seed {point.seed}",
    }
