"""`egru export`: a quantised checkpoint to the integers of a model."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from egru.output import print_json


def export(
    checkpoint: Annotated[Path, typer.Argument(help="Folder that `egru train --quantise` wrote.")],
    out: Annotated[Path, typer.Option(help="Output folder.")] = Path("runs/model"),
    force: Annotated[bool, typer.Option("--force", help="Replace what the output folder holds.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Write the result as JSON.")] = False,
) -> None:
    """Export a quantised network as the artifact that everything downstream reads."""
    from egru.measure import parameter_count
    from sw_model.export import export_checkpoint
    from sw_model.macs import weight_density
    from sw_model.output_folder import require_free

    require_free(out, force=force)
    model = export_checkpoint(checkpoint)
    model.save(out, force=force)
    layers = [layer.neurons for layer in model.layers]
    bits, density = model.layers[0].weight_bits, weight_density(model)
    if json:
        inputs = {"channels": model.channels} if model.channels else {"tokens": model.tokens}
        figures = {"layers": layers, **inputs, "weight_bits": bits, "weight_density": density}
        print_json({"model": str(out), "hash": model.content_hash(), "parameters": parameter_count(model), **figures})
        return
    table = Table(
        "layers",
        "channels" if model.channels else "symbols",
        "weight bits",
        "weight density",
        "parameters",
        "hash",
        title=f"exported: {out}",
    )
    sizes = (" + ".join(map(str, layers)), str(model.channels or model.tokens), str(bits))
    table.add_row(*sizes, f"{density:.3f}", f"{parameter_count(model):,}", model.content_hash()[:12])
    Console(markup=False).print(table)
