"""What is said of a point in tables: on the page, in the terminal, and as JSON."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from egru.sweep.table import Row
from egru.sweep_report.figures import percent
from egru.sweep_report.reading import Sweep

Value = str | int | float | None


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        key: In JSON.
        title: Above the column.
        path: Where the value is in a `Row`.
        form: Python's format of a number, ``%`` for a share, nothing for a text.
        compared: Whether two sweeps are compared in it.
    """

    key: str
    title: str
    path: str
    form: str = ","
    compared: bool = False

    def value(self, row: Row) -> Value:
        """Return what ``row`` has; None where it has nothing."""
        found: Any = reduce(lambda owner, name: None if owner is None else getattr(owner, name), self.path.split("."), row)
        return "x".join(map(str, found)) if isinstance(found, tuple) else found

    def show(self, value: Value) -> str:
        """Write a value for people."""
        if value is None or isinstance(value, str):
            return value or "-"
        return percent(value) if self.form == "%" else format(value, self.form)


COLUMNS = (
    Column("board", "board", "point.board", ""),
    Column("sparsity", "sparsity", "point.sparsity", "%"),
    Column("quality", "quality", "model.quality", ".3f", compared=True),
    Column("cycles_per_step", "cycles/step", "simulation.cycles_per_step", ",.1f", compared=True),
    Column("predicted_cycles_per_step", "predicted", "simulation.predicted_cycles_per_step", ",.1f"),
    Column("occupancy", "occupancy", "simulation.occupancy", "%", compared=True),
    Column("lut", "LUT", "build.lut", compared=True),
    Column("ff", "FF", "build.ff", compared=True),
    Column("bram", "block RAM", "build.bram", compared=True),
    Column("dsp", "DSP", "build.dsp", compared=True),
    Column("clock_mhz", "MHz", "build.clock_mhz", ".1f", compared=True),
    Column("steps_per_second", "steps/s", "build.steps_per_second", ",.0f", compared=True),
    Column("weight_density", "weight density", "model.weight_density", "%"),
    Column("event_density", "event density", "model.event_density", "%", compared=True),
    Column("macs_per_step", "MACs per step", "model.macs.event_sparse", ",.0f"),
    Column("memory_bits", "memory, bits", "model.memory_bits"),
    Column("values_compared", "values compared", "simulation.values"),
    Column("mismatches", "of them differ", "simulation.mismatches"),
    Column("method", "method", "point.method", ""),
    Column("weight_bits", "weight bits", "point.weight_bits"),
    Column("hidden_sizes", "neurons", "point.hidden_sizes", ""),
    Column("lanes", "lanes", "simulation.lanes"),
    Column("seed", "seed", "point.seed", "d"),
)
COMPARED = tuple(column for column in COLUMNS if column.compared)


@dataclass(frozen=True)
class Change:
    """One figure of two points of the same name; ``relative`` is None where there is nothing to divide by."""

    first: Value
    second: Value
    relative: float | None

    @classmethod
    def between(cls, first: Value, second: Value) -> "Change":
        """Compare two values."""
        if not isinstance(first, int | float) or not isinstance(second, int | float) or not first:
            return cls(first, second, None)
        relative = second / first - 1
        return cls(first, second, relative if math.isfinite(relative) else None)


@dataclass(frozen=True)
class Difference:
    """Two points of the same name, and what changed, by the keys of `COMPARED`."""

    name: str
    changes: dict[str, Change]


def status(row: Row) -> str:
    """Return in words how far a point came."""
    stage = f" in {row.failed_stage}" if row.failed_stage else ""
    return f"{row.status}{stage}: {row.reason}" if row.reason else row.status + stage


def digest(row: Row) -> dict[str, Value]:
    """Return a point as JSON values."""
    said = {"name": row.name, "status": row.status, "failed_stage": row.failed_stage, "reason": row.reason}
    return said | {column.key: column.value(row) for column in COLUMNS}


def differences(first: Sweep, second: Sweep) -> list[Difference]:
    """Compare the points that both sweeps have, by name, in the order of the first."""
    others = {row.name: row for row in second.results.rows}
    return [
        Difference(row.name, {column.key: Change.between(column.value(row), column.value(others[row.name])) for column in COMPARED})
        for row in first.results.rows
        if row.name in others
    ]


def show_change(column: Column, change: Change) -> str:
    """Write what changed for people."""
    if change.first is None and change.second is None:
        return "-"
    if change.first == change.second:
        return column.show(change.first)
    words = f"{column.show(change.first)} → {column.show(change.second)}"
    return words if change.relative is None else f"{words} ({show_relative(change.relative)})"


def show_relative(change: float) -> str:
    """Write a relative change in per cent."""
    return f"{100 * change:+.1f} %"


def totals(rows: Sequence[Row]) -> str:
    """Return in words how many points there are, how far they came, and whether the RTL is exact."""
    counts = [(sum(row.status == name for row in rows), name) for name in ("done", "failed", "waiting")]
    said = f"{len(rows)} {'point' if len(rows) == 1 else 'points'}: {', '.join(f'{count} {name}' for count, name in counts if count)}."
    # Points that differ in the board alone share one simulation.
    simulated = {(row.stages.get("simulate", row.name), row.simulation.values, row.simulation.mismatches) for row in rows if row.simulation}
    if not simulated:
        return said if rows else "No points."
    values, wrong = sum(values for _, values, _ in simulated), sum(mismatches for *_, mismatches in simulated)
    found = f"{wrong:,} differed" if wrong else "every one was equal"
    return f"{said} {values:,} events and logits of the simulated RTL were compared with the reference: {found}."


def best(rows: Sequence[Row]) -> list[tuple[str, str, str]]:
    """Return what is the best of each kind: what it is, how much, and of which point."""
    quality = [(row.model.quality, f"{row.model.quality:.3f}", f"{row.model.metric}, {row.name}") for row in rows if row.model]
    cycles = [(row.simulation.cycles_per_step, f"{row.simulation.cycles_per_step:,.0f}", row.name) for row in rows if row.simulation]
    speed = [
        (-row.build.steps_per_second, f"{row.build.steps_per_second:,.0f}", row.name)
        for row in rows
        if row.build and row.build.steps_per_second
    ]
    kinds = (("best quality", quality), ("fewest cycles per step", cycles), ("most steps per second", speed))
    return [(what, *min(found)[1:]) for what, found in kinds if found]
