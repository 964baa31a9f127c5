"""`egru report`: what Vitis HLS said of a core."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from egru.output import print_json


def report(
    path: Annotated[Path, typer.Argument(help="csynth.xml of Vitis HLS, or a folder with it: generated, of a project or a solution.")],
    json: Annotated[bool, typer.Option("--json", help="Write the result as JSON.")] = False,
) -> None:
    """Show the synthesis report of Vitis HLS: clock, latency, and resources, of the core and of each module."""
    from egru.csynth_report import find_report, read_report

    found = read_report(find_report(path))
    if json:
        print_json(found)
        return
    console = Console()
    console.print(_summary(found))
    if found["modules"]:
        console.print(_modules(found))


def _summary(found: dict[str, Any]) -> Table:
    clock, latency, interval = found["clock"], found["latency"], found["interval"]
    table = Table("what", "Vitis HLS", title=escape(f"{found['file']}: {found['top']} for {found['part']}"))
    table.add_row("version", escape(found["version"] or "?"))
    table.add_row("clock, target", f"{_number(clock['target_ns'])} ns, uncertainty {_number(clock['uncertainty_ns'])} ns")
    table.add_row("clock, estimated", f"{_number(clock['estimated_ns'])} ns, {_number(clock['estimated_mhz'])} MHz")
    table.add_row("latency, cycles", ", ".join(f"{name} {_number(latency[name])}" for name in ("min", "avg", "max")))
    table.add_row("interval, cycles", ", ".join(f"{name} {_number(interval[name])}" for name in ("min", "max")))
    for name, amount in found["resources"].items():
        table.add_row(name.upper(), f"{_number(amount['used'])} of {_number(amount['available'])}")
    return table


def _modules(found: dict[str, Any]) -> Table:
    names = list(found["resources"])
    table = Table(
        Column("module", no_wrap=True), "latency", "interval", *(name.upper() for name in names), title=f"{len(found['modules'])} modules"
    )
    for module in found["modules"]:
        latency = module["latency"]
        cycles = f"{_number(latency['min'])} to {_number(latency['max'])}"
        table.add_row(escape(module["name"] or "?"), cycles, _number(module["interval"]), *(_number(module[name]) for name in names))
    return table


def _number(value: float | None) -> str:
    return "?" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"
