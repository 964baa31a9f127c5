"""`egru swap`: other weights in a finished bitstream."""

from pathlib import Path
from typing import Annotated

import typer

from egru.output import print_json


def swap(
    build: Annotated[Path, typer.Argument(help="Folder that `egru build` made of a design generated with --weights swappable.")],
    model: Annotated[Path, typer.Argument(help="Folder that `egru export` wrote: a model of the same shape.")],
    out: Annotated[Path, typer.Option(help="Output folder.")] = Path("runs/swapped"),
    force: Annotated[bool, typer.Option("--force", help="Replace what the output folder holds.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Write the result as JSON.")] = False,
) -> None:
    """Put another model's weights in a bitstream, without placing and routing."""
    from egru.weight_swap import swap as run
    from sw_model.quantized_model import QuantizedModel

    result = run(build, QuantizedModel.load(model), out, force=force)
    if json:
        print_json(result.as_dict())
    else:
        typer.echo(f"{out / result.bitstream}: model {result.model_hash[:12]}, {result.memories} memory images swapped and read back")
