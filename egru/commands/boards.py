"""`egru boards`: what can be built for, and which of it holds a model."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from egru.output import print_json, working
from sw_model.errors import UserError


def boards(
    model: Annotated[
        Path | None, typer.Argument(help="Folder that `egru export` wrote: which boards hold it, and how fast it is there.")
    ] = None,
    data: Annotated[str | None, typer.Option(help="Text whose held-out part is shown; the embedded one if the model knows it.")] = None,
    seed: Annotated[int, typer.Option(help="Of random tokens.", min=0)] = 1,
    json: Annotated[bool, typer.Option("--json", help="Write the boards as JSON.")] = False,
) -> None:
    """List the boards: part, toolchain, clock, link to the host, and what the part holds; with a model, what `--fit` makes of each."""
    from hls_gen.board import known_boards, load_board

    if model is None:
        if data is not None:
            raise UserError(f"--data {data}", "has no meaning without a model", "name the folder that egru export wrote")
        rows = [load_board(name).model_dump(mode="json", exclude={"folder"}) for name in known_boards()]
        table = Table("board", "part", "toolchain", "MHz", "link", "LUT", "FF", "block RAM", "DSP", "SPRAM")
        cells = [_cells(row) for row in rows]
    else:
        rows = _fit(model, data, seed)
        table = Table("board", "lanes", "cycles per step", "µs", "LUT", "block RAM", "DSP")
        cells = [_fit_cells(row) for row in rows]
    if json:
        print_json({"boards": rows})
        return
    for line in cells:
        table.add_row(*line)
    console = Console(markup=False)
    console.print(table)
    for row in rows if model else ():
        console.print(f"{row['board']}: {row['reason']}", soft_wrap=True, highlight=False)


def _fit(model: Path, data: str | None, seed: int) -> list[dict[str, Any]]:
    from egru.fitting import fit_all_boards
    from sw_model.quantized_model import QuantizedModel

    loaded = QuantizedModel.load(model)
    with working("fitting to every board"):
        return fit_all_boards(loaded, data=data, seed=seed)


def _cells(row: dict[str, Any]) -> list[str]:
    budget = [f"{row['budget'][name]:,}" if row["budget"][name] else "" for name in ("lut", "ff", "bram", "dsp", "spram")]
    return [row["name"], row["part"], row["toolchain"], f"{row['clock']['core_mhz']:g}", row["link"]["kind"], *budget]


def _fit_cells(row: dict[str, Any]) -> list[str]:
    if not row["fits"]:
        return [row["board"], "none", "", "", "", "", ""]
    shares = [f"{row['resources'][name]['share']:.0%}" for name in ("lut", "bram", "dsp")]
    lanes = ",".join(map(str, row["lanes"]))
    return [row["board"], lanes, f"{row['cycles_per_step']:,.1f}", f"{row['us_per_step']:,.2f}", *shares]
