"""`egru generate`: a model to hardware sources."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from egru.commands import hardware_options as options
from egru.output import print_json

if TYPE_CHECKING:
    from hls_gen.hardware_config import HardwareConfig
    from sw_model.quantized_model import QuantizedModel


class Backend(StrEnum):
    """What the sources are written in; each has one function in `WRITERS`."""

    RTL = "rtl"


def generate(
    model: Annotated[Path, typer.Argument(help="Folder that `egru export` wrote.")],
    out: Annotated[Path, typer.Option(help="Output folder.")] = Path("runs/rtl"),
    config: options.ConfigFile = None,
    lanes: options.Lanes = None,
    queue_depth: options.QueueDepth = None,
    lanes_per_update_unit: options.LanesPerUpdateUnit = None,
    stream_depth: options.StreamDepth = None,
    engines: options.Engines = None,
    packing: options.Packing = None,
    entry_format: options.EntryFormat = None,
    board: Annotated[str | None, typer.Option(help="A folder under boards/ that must hold the core.")] = None,
    backend: Annotated[Backend, typer.Option(help="What the sources are written in.")] = Backend.RTL,
    force: Annotated[bool, typer.Option("--force", help="Replace what the output folder holds.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Write the result as JSON.")] = False,
) -> None:
    """Generate the hardware of an exported model."""
    from hls_gen.board import load_board
    from hls_gen.resource_model import check_budget, estimate_resources
    from sw_model.quantized_model import QuantizedModel

    hardware = options.chosen_hardware(
        config,
        lanes=lanes,
        queue_depth=queue_depth,
        lanes_per_update_unit=lanes_per_update_unit,
        stream_depth=stream_depth,
        engines=engines,
        packing=packing,
        entry_format=entry_format,
    )
    loaded = QuantizedModel.load(model)
    if board is not None:
        check_budget(estimate_resources(loaded, hardware), load_board(board))
    report = WRITERS[backend](loaded, hardware, out, force)
    if json:
        print_json(report)
    else:
        Console().print(_table(report))


def _write_rtl(model: "QuantizedModel", hardware: "HardwareConfig", out: Path, force: bool) -> dict[str, Any]:
    from hls_gen.rtl_backend import describe, write

    generated = write(model, hardware, out, force=force)
    description = describe(model, generated.plan)
    blocks = [{name: value for name, value in block.items() if name != "physical_index"} for block in description["blocks"]]
    memory_bits = sum(image.bits * len(image.words) for image in generated.memories)
    figures = {"model_hash": description["model_hash"], "lanes": generated.plan.lanes, "memory_bits": memory_bits, "blocks": blocks}
    return {"out": str(out), "backend": Backend.RTL, **figures}


WRITERS = {Backend.RTL: _write_rtl}


def _table(report: dict[str, Any]) -> Table:
    title = f"{report['out']}: {report['lanes']} lanes, {report['memory_bits'] / 1024:,.0f} kbit of memory"
    table = Table("block", "lanes", "rows per lane", "update units", "accumulator bits", title=title)
    for block in report["blocks"]:
        table.add_row(*(str(block[name]) for name in ("name", "lanes", "rows", "update_units", "acc_bits")))
    return table
