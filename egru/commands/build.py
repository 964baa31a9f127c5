"""`egru build`: generated RTL to a bitstream, with resources and clock; for boards of Vivado to an estimate of the resources."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from egru.output import print_json
from sw_model.errors import UserError

if TYPE_CHECKING:
    from egru.xilinx_estimate import XilinxEstimate


def build(
    generated: Annotated[Path, typer.Argument(help="Folder that `egru generate` wrote.")],
    board: Annotated[str, typer.Option(help="A folder under boards/.")] = "ulx3s_85f",
    out: Annotated[Path, typer.Option(help="Output folder.")] = Path("runs/build"),
    clock_mhz: Annotated[float | None, typer.Option(help="Clock of the core; the board's default if not given.")] = None,
    seed: Annotated[list[int] | None, typer.Option(help="Seed of the placer, repeatable; 1, 2 and 3 if not given.")] = None,
    jobs: Annotated[int, typer.Option(help="Seeds routed at the same time.")] = 2,
    force: Annotated[bool, typer.Option("--force", help="Replace what the output folder holds.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Write the result as JSON.")] = False,
) -> None:
    """Synthesise, place, route and write the bitstream for a board; where only Vivado can, synthesise and count."""
    from egru.place_and_route import build as run
    from egru.xilinx_estimate import estimate
    from hls_gen.board import Toolchain, load_board

    target = load_board(board)
    if target.toolchain is Toolchain.VIVADO:
        if clock_mhz is not None or seed:
            raise UserError("--clock-mhz and --seed", f"have no meaning for board {board}", "leave them out: yosys estimates no clock")
        _show_estimate(estimate(generated, target, out, force=force), as_json=json)
        return
    result = run(generated, target, out, seeds=tuple(seed or (1, 2, 3)), clock_mhz=clock_mhz, jobs=jobs, force=force)
    if json:
        print_json(result.as_dict())
        return
    table = Table("LUT", "FF", "BRAM", "DSP", "fmax MHz", "target MHz", "timing", "bitstream", title=result.board)
    figures = (result.lut, result.ff, result.bram, result.dsp, result.fmax_mhz, result.target_mhz)
    table.add_row(
        *map(str, figures), "met" if result.timing_met else "MISSED", f"{out / result.bitstream} ({result.bitstream_bytes} bytes)"
    )
    Console().print(table)


def _show_estimate(result: "XilinxEstimate", *, as_json: bool) -> None:
    if as_json:
        print_json(result.as_dict())
        return
    table = Table("", "LUT", "FF", "BRAM", "DSP", title=f"{result.board}: {result.source}")
    table.add_row(result.top, *(str(value) for value in (result.lut, result.ff, result.bram, result.dsp)))
    table.add_row("the part has", *(str(result.available[name]) for name in ("lut", "ff", "bram", "dsp")))
    Console().print(table)
    Console().print("No bitstream without Vivado: run make bitstream in the generated folder.")
    if result.exceeded:
        Console().print(f"More than the part has: {', '.join(result.exceeded)}.")
