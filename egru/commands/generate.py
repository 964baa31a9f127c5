"""`egru generate`: a model to hardware sources."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from egru.commands import hardware_options as options
from egru.output import print_json
from sw_model.errors import UserError

if TYPE_CHECKING:
    from hls_gen.board import Board
    from hls_gen.hardware_config import HardwareConfig
    from sw_model.quantized_model import QuantizedModel


FIT_SEED = 1  # of random tokens, for models that know no text


class Backend(StrEnum):
    """What the sources are written in; each has one function in `WRITERS`."""

    RTL = "rtl"


def generate(
    model: Annotated[Path, typer.Argument(help="Folder that `egru export` wrote.")],
    out: Annotated[Path, typer.Option(help="Output folder.")] = Path("runs/rtl"),
    config: options.ConfigFile = None,
    lanes: options.Lanes = None,
    queue_depth: options.QueueDepth = None,
    event_queue_depth: options.EventQueueDepth = None,
    lanes_per_update_unit: options.LanesPerUpdateUnit = None,
    stream_depth: options.StreamDepth = None,
    engines: options.Engines = None,
    packing: options.Packing = None,
    entry_format: options.EntryFormat = None,
    weights: options.Weights = None,
    weight_capacity: options.WeightCapacity = None,
    fit: options.Fit = False,
    board: Annotated[str | None, typer.Option(help="A board that must hold the core: with all that a bitstream for it needs.")] = None,
    clock_mhz: Annotated[float | None, typer.Option(help="Clock of the core on that board; the board's default if not given.")] = None,
    backend: Annotated[Backend, typer.Option(help="What the sources are written in.")] = Backend.RTL,
    force: Annotated[bool, typer.Option("--force", help="Replace what the output folder holds.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Write the result as JSON.")] = False,
) -> None:
    """Generate the hardware of an exported model."""
    from egru.fitting import fit_report
    from hls_gen.board import load_board
    from hls_gen.resource_model import check_budget, estimate_on_board
    from sw_model.quantized_model import QuantizedModel

    hardware = options.chosen_hardware(
        config,
        lanes=lanes,
        queue_depth=queue_depth,
        event_queue_depth=event_queue_depth,
        lanes_per_update_unit=lanes_per_update_unit,
        stream_depth=stream_depth,
        engines=engines,
        packing=packing,
        entry_format=entry_format,
        weights=weights,
        weight_capacity=weight_capacity,
    )
    loaded = QuantizedModel.load(model)
    target = None if board is None else load_board(board)
    fitted = options.fit_to_board(loaded, hardware, target, None, FIT_SEED) if fit else None
    hardware = fitted.config if fitted else hardware
    if target is not None:
        check_budget(estimate_on_board(loaded, hardware, target), target)
    elif clock_mhz is not None:
        raise UserError(f"--clock-mhz {clock_mhz:g}", "has no meaning without --board", "name the board")
    report = WRITERS[backend](loaded, hardware, out, target, clock_mhz, force)
    if fitted:
        report["fit"] = fit_report(fitted)
    if json:
        print_json(report)
        return
    console = Console()
    console.print(_table(report))
    if fitted:
        options.print_fit(console, report["fit"])


def _write_rtl(
    model: "QuantizedModel", hardware: "HardwareConfig", out: Path, board: "Board | None", clock_mhz: float | None, force: bool
) -> dict[str, Any]:
    from egru.artifacts import choose_stimulus
    from hls_gen.project import write_project
    from hls_gen.rtl_backend import describe

    project = write_project(model, hardware, out, board=board, clock_mhz=clock_mhz, stimulus=choose_stimulus(model), force=force)
    generated, manifest = project.generated, project.manifest
    description = describe(model, generated)
    blocks = [{name: value for name, value in block.items() if name != "physical_index"} for block in description["blocks"]]
    memory_bits = sum(image.bits * len(image.words) for image in generated.memories)
    figures = {"model_hash": description["model_hash"], "lanes": generated.plan.lanes, "memory_bits": memory_bits, "blocks": blocks}
    target = {"board": manifest.board, "core_mhz": manifest.core_mhz, "stimulus": manifest.stimulus}
    return {"out": str(out), "backend": Backend.RTL, **figures, **target}


WRITERS = {Backend.RTL: _write_rtl}


def _table(report: dict[str, Any]) -> Table:
    title = f"{report['out']}: {report['lanes']} lanes, {report['memory_bits'] / 1024:,.0f} kbit of memory"
    table = Table("block", "lanes", "rows per lane", "update units", "accumulator bits", title=title)
    for block in report["blocks"]:
        table.add_row(*(str(block[name]) for name in ("name", "lanes", "rows", "update_units", "acc_bits")))
    return table
