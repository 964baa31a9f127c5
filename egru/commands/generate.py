"""`egru generate`: a model to hardware sources."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from egru.output import print_json
from sw_model.errors import UserError

if TYPE_CHECKING:
    from hls_gen.hardware_config import HardwareConfig
    from sw_model.quantized_model import QuantizedModel


class Backend(StrEnum):
    """What the sources are written in; each has one function in `WRITERS`."""

    RTL = "rtl"


def generate(
    model: Annotated[Path, typer.Argument(help="Folder that `egru export` wrote.")],
    out: Annotated[Path, typer.Option(help="Output folder.")] = Path("runs/rtl"),
    config: Annotated[Path | None, typer.Option(help="TOML file; its table [hardware] is read.")] = None,
    lanes: Annotated[str | None, typer.Option(help="Of every block, or per engine and decoder as in 8,16,4; 16 if not given.")] = None,
    queue_depth: Annotated[int | None, typer.Option(help="Places in the queue of each lane; 16 if not given.")] = None,
    lanes_per_update_unit: Annotated[int | None, typer.Option(help="Most lanes that share an update unit; 4 if not given.")] = None,
    stream_depth: Annotated[int | None, typer.Option(help="Events that wait between two layers; 8 if not given.")] = None,
    engines: Annotated[
        str | None, typer.Option(help="per-layer (if not given): lanes for each layer; shared: all layers on the same lanes.")
    ] = None,
    packing: Annotated[str | None, typer.Option(help="How rows are dealt to lanes: load (if not given) or interleaved.")] = None,
    entry_format: Annotated[
        str | None, typer.Option(help="single (if not given): an index per weight; gate-group: one for three gates.")
    ] = None,
    board: Annotated[str | None, typer.Option(help="A folder under boards/ that must hold the core.")] = None,
    backend: Annotated[Backend, typer.Option(help="What the sources are written in.")] = Backend.RTL,
    force: Annotated[bool, typer.Option("--force", help="Replace what the output folder holds.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Write the result as JSON.")] = False,
) -> None:
    """Generate the hardware of an exported model."""
    from egru.flow_config import load_flow_config
    from hls_gen.board import load_board
    from hls_gen.hardware_config import HardwareConfig
    from hls_gen.resource_model import check_budget, estimate_resources
    from sw_model.quantized_model import QuantizedModel

    overrides: dict[str, Any] = {"queue_depth": queue_depth, "lanes_per_update_unit": lanes_per_update_unit, "stream_depth": stream_depth}
    overrides |= {"engines": engines, "packing": packing, "entry_format": entry_format}
    overrides |= {"lanes": None if lanes is None else parse_lanes(lanes)}
    settings = load_flow_config(config, {f"hardware.{name}": value for name, value in overrides.items()})
    loaded, hardware = QuantizedModel.load(model), settings.hardware or HardwareConfig()
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


def parse_lanes(text: str) -> int | list[int]:
    """Read ``--lanes``: one number, or one for each layer and then the decoder.

    Raises:
        UserError: When it is neither.
    """
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        raise UserError(f"--lanes {text}", "is neither a number nor numbers with commas", "give e.g. 16 or 8,16,4") from None
    return numbers[0] if len(numbers) == 1 else numbers


def _table(report: dict[str, Any]) -> Table:
    title = f"{report['out']}: {report['lanes']} lanes, {report['memory_bits'] / 1024:,.0f} kbit of memory"
    table = Table("block", "lanes", "rows per lane", "update units", "accumulator bits", title=title)
    for block in report["blocks"]:
        table.add_row(*(str(block[name]) for name in ("name", "lanes", "rows", "update_units", "acc_bits")))
    return table
