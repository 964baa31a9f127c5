"""`egru generate`: a model to hardware sources."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from egru.commands import hardware_options as options
from egru.output import print_json
from hls_gen.backend import Backend
from sw_model.errors import UserError

if TYPE_CHECKING:
    from hls_gen.board import Board
    from hls_gen.hardware_config import HardwareConfig, HardwarePlan
    from hls_gen.hls_project import HlsProject
    from hls_gen.manifest import Manifest
    from hls_gen.testbench import Stimulus
    from sw_model.quantized_model import QuantizedModel


FIT_SEED = 1  # of random tokens, for models that know no text
OUTPUT_FOLDERS = {Backend.RTL: Path("runs/rtl"), Backend.HLS: Path("runs/hls")}
#: What the figures that come with HLS C++ are; no HLS compiler has been asked.
ESTIMATE = "estimate: the RTL of the same configuration, by its cycle and resource models"
#: Of the estimate, what is shown.
ESTIMATED = ("family", "cycles_per_step", "us_per_step", "lut", "ff", "bram", "dsp")


def generate(
    model: Annotated[Path, typer.Argument(help="Folder that `egru export` wrote.")],
    out: Annotated[Path | None, typer.Option(help="Output folder; runs/rtl or runs/hls if not given.")] = None,
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
    part: Annotated[str | None, typer.Option(help="Part of AMD's that HLS is to build for, instead of a board.")] = None,
    clock_mhz: Annotated[float | None, typer.Option(help="Clock of the core on that board or part; its default if not given.")] = None,
    backend: Annotated[Backend, typer.Option(help="What the sources are written in.")] = Backend.RTL,
    force: Annotated[bool, typer.Option("--force", help="Replace what the output folder holds.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Write the result as JSON.")] = False,
) -> None:
    """Generate the hardware of an exported model."""
    from egru.fitting import fit_report
    from egru.stimulus import choose_stimulus
    from hls_gen.board import load_board
    from hls_gen.hls_project import write_hls_project
    from hls_gen.memory_image import total_bits
    from hls_gen.project import write_project
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
    hardware = _prepare(backend, hardware, target, part, clock_mhz)
    fitted = options.fit_to_board(loaded, hardware, target, None, FIT_SEED) if fit else None
    hardware = fitted.config if fitted else hardware
    if target is not None:
        check_budget(estimate_on_board(loaded, hardware, target), target)
    out, stimulus = out or OUTPUT_FOLDERS[backend], choose_stimulus(loaded)
    if backend is Backend.HLS:
        hls = write_hls_project(loaded, hardware, out, board=target, part=part, clock_mhz=clock_mhz, stimulus=stimulus, force=force)
        report = _describe_hls(loaded, hardware, hls, stimulus)
    else:
        rtl = write_project(loaded, hardware, out, board=target, clock_mhz=clock_mhz, stimulus=stimulus, force=force)
        report = _describe(loaded, rtl.generated.plan, total_bits(rtl.generated.memories), rtl.manifest)
    report = {"out": str(out), "backend": backend, **report}
    if fitted:
        report["fit"] = fit_report(fitted)
    if json:
        print_json(report)
        return
    console = Console(markup=False)
    console.print(_table(report))
    if "estimate" in report:
        console.print(_estimate_table(report))
    if fitted:
        options.print_fit(console, report["fit"])


def _prepare(
    backend: Backend, hardware: "HardwareConfig", board: "Board | None", part: str | None, clock_mhz: float | None
) -> "HardwareConfig":
    """Refuse what the backend cannot build for, before any work is spent on it; return the hardware that `--fit` may choose from."""
    from hls_gen.hls_project import choose_target

    if backend is Backend.HLS:
        choose_target(board, part, clock_mhz)
        # Layers that share lanes cannot be said in HLS: unless they are asked for, which is refused, they are no choice.
        return hardware if "engines" in hardware.model_fields_set else hardware.model_copy(update={"engines": "per-layer"})
    if part is not None:
        raise UserError(f"--part {part}", "has no meaning for RTL", "name a board, or give --backend hls")
    if board is None and clock_mhz is not None:
        raise UserError(f"--clock-mhz {clock_mhz:g}", "has no meaning without --board", "name the board")
    return hardware


def _describe_hls(model: "QuantizedModel", hardware: "HardwareConfig", project: "HlsProject", stimulus: "Stimulus") -> dict[str, Any]:
    from egru.estimation import estimate

    target = project.target
    found = estimate(model, hardware, stimulus.sequences, family=target.family, clock_mhz=target.clock_mhz)
    return {
        **_describe(model, project.generated.plan, project.generated.memory_bits, project.manifest),
        "part": target.part,
        "estimate": {"of": ESTIMATE, **{name: found[name] for name in ESTIMATED}},
    }


def _describe(model: "QuantizedModel", plan: "HardwarePlan", memory_bits: int, manifest: "Manifest") -> dict[str, Any]:
    """Return what is said of a core in any language."""
    from hls_gen.rtl_backend import describe_blocks

    description = describe_blocks(model, plan)
    blocks = [{name: value for name, value in block.items() if name != "physical_index"} for block in description["blocks"]]
    figures = {"model_hash": description["model_hash"], "lanes": plan.lanes, "memory_bits": memory_bits, "blocks": blocks}
    return {**figures, "board": manifest.board, "core_mhz": manifest.core_mhz, "stimulus": manifest.stimulus}


def _table(report: dict[str, Any]) -> Table:
    title = f"{report['out']}: {report['lanes']} lanes, {report['memory_bits'] / 1024:,.0f} kbit of memory"
    table = Table("block", "lanes", "rows per lane", "update units", "accumulator bits", title=title)
    for block in report["blocks"]:
        table.add_row(*(str(block[name]) for name in ("name", "lanes", "rows", "update_units", "acc_bits")))
    return table


def _estimate_table(report: dict[str, Any]) -> Table:
    found = report["estimate"]
    table = Table("cycles per step", "µs per step", "LUT", "FF", "block RAM", "DSP", title=f"{found['of']}; {report['part']}")
    figures = (f"{found['cycles_per_step']:,.1f}", f"{found['us_per_step']:,.2f}")
    table.add_row(*figures, *(f"{found[name]:,}" for name in ("lut", "ff", "bram", "dsp")))
    return table
