"""`egru build`: generated sources to a bitstream, with resources and clock; for boards of Vivado to an estimate of the resources."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from egru.output import print_json
from hls_gen.backend import Backend
from sw_model.errors import UserError

if TYPE_CHECKING:
    from egru.place_and_route import BuildResult
    from egru.xilinx_estimate import XilinxEstimate


class HlsCompiler(StrEnum):
    """What makes hardware of HLS C++."""

    BAMBU = "bambu"


def build(
    generated: Annotated[Path, typer.Argument(help="Folder that `egru generate` wrote.")],
    board: Annotated[str, typer.Option(help="A folder under boards/.")] = "ulx3s_85f",
    out: Annotated[Path, typer.Option(help="Output folder.")] = Path("runs/build"),
    clock_mhz: Annotated[float | None, typer.Option(help="Clock of the core; the board's default if not given.")] = None,
    seed: Annotated[list[int] | None, typer.Option(help="Seed of the placer, repeatable; 1, 2 and 3 if not given.")] = None,
    jobs: Annotated[int, typer.Option(help="Seeds routed at the same time.")] = 2,
    backend: Annotated[Backend | None, typer.Option(help="What the folder holds; seen from the folder if not given.")] = None,
    compiler: Annotated[HlsCompiler | None, typer.Option(help="What makes hardware of HLS C++; bambu if not given.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what the output folder holds.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Write the result as JSON.")] = False,
) -> None:
    """Synthesise, place, route and write the bitstream for a board; where only Vivado can, synthesise and count.

    HLS C++ goes through Bambu first, and what comes out is compared with the reference.
    """
    from egru.artifacts import read_generated
    from egru.hls_build import BUILD_FOLDER, build_hls
    from egru.place_and_route import build as run
    from egru.xilinx_estimate import estimate
    from hls_gen.board import Toolchain, load_board
    from hls_gen.hls_backend import HLS_FOLDER

    target = load_board(board)
    if backend is not None:
        read_generated(generated, backend)
    seeds = tuple(seed or (1, 2, 3))
    if (generated / HLS_FOLDER).is_dir():
        found = build_hls(generated, target, out, seeds=seeds, clock_mhz=clock_mhz, jobs=jobs, force=force)
        if json:
            print_json(found.as_dict())
            return
        same = found.equivalence
        _show_build(found.build, out / BUILD_FOLDER, f"{target.name}, {found.compiler}")
        words = f"{same.steps} steps, {same.values} values, {same.mismatches} mismatches, {same.cycles_per_step:.1f} cycles per step"
        Console(markup=False).print(f"The modules in simulation: {words}.", highlight=False)
        return
    if compiler is not None:
        raise UserError(f"--compiler {compiler}", f"has no meaning for {generated}, which holds no HLS C++", "leave it out")
    if target.toolchain is Toolchain.VIVADO:
        if clock_mhz is not None or seed:
            raise UserError("--clock-mhz and --seed", f"have no meaning for board {board}", "leave them out: yosys estimates no clock")
        _show_estimate(estimate(generated, target, out, force=force), as_json=json)
        return
    result = run(generated, target, out, seeds=seeds, clock_mhz=clock_mhz, jobs=jobs, force=force)
    if json:
        print_json(result.as_dict())
        return
    _show_build(result, out, target.name)


def _show_build(result: "BuildResult", out: Path, title: str) -> None:
    large = {"SPRAM": result.spram} if result.spram else {}
    used = {"LUT": result.lut, "FF": result.ff, "BRAM": result.bram, "DSP": result.dsp, **large}
    table = Table(*used, "fmax MHz", "target MHz", "timing", "bitstream", title=title)
    figures = (*used.values(), result.fmax_mhz, result.target_mhz)
    table.add_row(
        *map(str, figures), "met" if result.timing_met else "MISSED", f"{out / result.bitstream} ({result.bitstream_bytes} bytes)"
    )
    Console(markup=False).print(table)


def _show_estimate(result: "XilinxEstimate", *, as_json: bool) -> None:
    if as_json:
        print_json(result.as_dict())
        return
    table = Table("", "LUT", "FF", "BRAM", "DSP", title=f"{result.board}: {result.source}")
    table.add_row(result.top, *(str(value) for value in (result.lut, result.ff, result.bram, result.dsp)))
    table.add_row("the part has", *(str(result.available[name]) for name in ("lut", "ff", "bram", "dsp")))
    Console(markup=False).print(table)
    Console(markup=False).print("No bitstream without Vivado: run make bitstream in the generated folder.")
    if result.exceeded:
        Console(markup=False).print(f"More than the part has: {', '.join(result.exceeded)}.")
