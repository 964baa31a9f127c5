"""The report for the terminal."""

from collections.abc import Iterator

from rich.box import SIMPLE_HEAD
from rich.table import Column as Heading
from rich.table import Table

from egru.sweep_report.columns import COLUMNS, Change, Column, best, show_relative, status, totals
from egru.sweep_report.report import Report

#: A terminal is narrower than a page.
SHOWN = ("quality", "cycles_per_step", "lut", "clock_mhz", "steps_per_second")


def summary(report: Report) -> Iterator[Table | str]:
    """Yield what is to be printed, names as they are: print without markup."""
    columns = [column for column in COLUMNS if column.key in SHOWN]
    for sweep in report.sweeps:
        rows = sweep.results.rows
        table = Table("point", *map(_heading, columns), "status", title=sweep.name, box=SIMPLE_HEAD)
        for entry in report.entries:
            if entry.sweep == sweep.letter:
                table.add_row(entry.label, *(column.show(column.value(entry.row)) for column in columns), entry.row.status)
        yield table
        yield from (f"{row.name} {status(row)}" for row in rows if row.status == "failed")
        yield totals(rows)
        for what, amount, name in best(rows):
            yield f"{what}: {amount} ({name})"
    if len(report.sweeps) > 1:
        compared = [column for column in columns if column.compared]
        table = Table(Heading("point", overflow="fold"), *map(_heading, compared), title="from A to B", box=SIMPLE_HEAD)
        for one in report.differences:
            table.add_row(one.name, *(_change(one.changes[column.key]) for column in compared))
        yield table


def _change(change: Change) -> str:
    return "equal" if change.first == change.second is not None else "-" if change.relative is None else show_relative(change.relative)


def _heading(column: Column) -> Heading:
    return Heading(column.title, justify="right")
