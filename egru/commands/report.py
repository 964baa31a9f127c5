"""`egru report`: a sweep as a page, or what Vitis HLS said of a core."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from egru.output import print_json, working
from sw_model.errors import UserError


def report(
    path: Annotated[
        Path | None,
        typer.Argument(help="Folder of a sweep; or csynth.xml of Vitis HLS, or a folder with it: generated, of a project or a solution."),
    ] = None,
    compare: Annotated[tuple[Path, Path] | None, typer.Option(help="Two sweeps on one page.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="The page; report.html in the sweep's folder, or compare.html in the first one's, if not given.")
    ] = None,
    svg: Annotated[Path | None, typer.Option(help="Also write the figures as SVG, for a paper, into this folder.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an --out that is no earlier report, and what the --svg folder holds.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Write the result as JSON.")] = False,
) -> None:
    """Make the page of a sweep, or show what Vitis HLS says of a core: clock, latency, and resources, of the whole and of each module."""
    if (path is None) == (compare is None):
        raise UserError(
            "egru report", "takes one folder, or --compare with two", "give the folder of a sweep, or the csynth.xml of Vitis HLS"
        )
    if path is None or _is_sweep(path):
        _report_sweeps(path, compare, out, svg, force=force, as_json=json)
        return
    if out is not None or svg is not None or force:
        raise UserError(f"{path}", "is no sweep, and only the report of one takes --out, --svg and --force", "give the folder of a sweep")
    _report_synthesis(path, as_json=json)


def _is_sweep(path: Path) -> bool:
    from egru.sweep.table import SWEEP_FILE

    return (path / SWEEP_FILE).is_file()


def _report_sweeps(
    path: Path | None, pair: tuple[Path, Path] | None, out: Path | None, svg: Path | None, *, force: bool, as_json: bool
) -> None:
    from egru.sweep_report.columns import digest
    from egru.sweep_report.page import render_page, require_replaceable
    from egru.sweep_report.reading import read_sweep
    from egru.sweep_report.report import collect
    from egru.sweep_report.svg import write_svgs
    from egru.sweep_report.terminal import summary
    from sw_model.output_folder import require_free, write_whole

    if path is not None:
        sweeps, page = [read_sweep(path)], out or path / "report.html"
    else:
        assert pair is not None  # the command takes one or the other
        sweeps, page = [read_sweep(pair[0], "A"), read_sweep(pair[1], "B")], out or pair[0] / "compare.html"
    require_replaceable(page, force=force)
    if svg is not None:
        require_free(svg, force=force)
    with working("drawing"):
        report = collect(sweeps)
        drawn = [] if svg is None else write_svgs(report, svg, force=force)
        write_whole(page, render_page(report))
    if as_json:
        tables = [{"title": sweep.name, "rows": [digest(row) for row in sweep.results.rows]} for sweep in report.sweeps]
        changes = [asdict(one) for one in report.differences]
        print_json({"page": str(page), "svg": drawn, "remarks": report.album.remarks, "sweeps": tables, "differences": changes})
        return
    console = Console(markup=False)
    for said in summary(report):
        console.print(said)
    console.print(f"page: {page}", soft_wrap=True)


def _report_synthesis(path: Path, *, as_json: bool) -> None:
    from egru.csynth_report import find_report, read_report

    found = read_report(find_report(path))
    if as_json:
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
