"""`egru build`: generated RTL to a bitstream, with resources and clock."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from egru.output import print_json


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
    """Synthesise, place, route and write the bitstream for a board."""
    from egru.place_and_route import build as run
    from hls_gen.board import load_board

    result = run(generated, load_board(board), out, seeds=tuple(seed or (1, 2, 3)), clock_mhz=clock_mhz, jobs=jobs, force=force)
    if json:
        print_json(result.as_dict())
        return
    table = Table("LUT4", "FF", "BRAM", "DSP", "fmax MHz", "target MHz", "timing", "bitstream", title=result.board)
    figures = (result.lut4, result.ff, result.bram, result.dsp, result.fmax_mhz, result.target_mhz)
    table.add_row(
        *map(str, figures), "met" if result.timing_met else "MISSED", f"{out / result.bitstream} ({result.bitstream_bytes} bytes)"
    )
    Console().print(table)
