"""What a report shows, whatever shows it."""

from collections.abc import Sequence
from dataclasses import dataclass

from egru.sweep_report.charts import figures
from egru.sweep_report.columns import Difference, differences
from egru.sweep_report.entries import Entry, entries
from egru.sweep_report.figures import Figure
from egru.sweep_report.pictures import Album, album
from egru.sweep_report.reading import Sweep


@dataclass(frozen=True)
class Report:
    """All that a report shows.

    Attributes:
        sweeps: One, or two that are compared.
        entries: All their points.
        figures: What was measured.
        album: Pictures of the models.
        differences: Of two sweeps, the points that both have.
    """

    sweeps: tuple[Sweep, ...]
    entries: list[Entry]
    figures: list[Figure]
    album: Album
    differences: list[Difference]


def collect(sweeps: Sequence[Sweep]) -> Report:
    """Make the report of one sweep, or of two side by side."""
    points = entries(sweeps)
    return Report(
        sweeps=tuple(sweeps),
        entries=points,
        figures=figures(points),
        album=album(sweeps, points),
        differences=differences(sweeps[0], sweeps[1]) if len(sweeps) == 2 else [],
    )
