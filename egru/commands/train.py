"""`egru train`: one phase of training, dense in float or quantisation-aware."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from sw_model.datasets import Unit
from sw_model.errors import UserError

Device = Annotated[
    Literal["cpu", "cuda"] | None,
    typer.Option(help="cuda trains with fused kernels on a GPU, under torchrun on several; what the configuration says if not given."),
]


def train(
    config: Annotated[Path | None, typer.Option(help="TOML file; its tables [data] and [dense], or [qat], are read.")] = None,
    data: Annotated[
        str | None, typer.Option(help="Text: pydoc-topics, a file, a folder of splits. Features: generated, a folder of `egru data`.")
    ] = None,
    unit: Annotated[Unit | None, typer.Option(help="What one symbol is, for a new network; characters if not given.")] = None,
    start_from: Annotated[Path | None, typer.Option("--from", help="Checkpoint to go on from; a new network if not given.")] = None,
    quantise: Annotated[bool, typer.Option("--quantise", help="Train quantisation-aware, by the table [qat]; needs --from.")] = False,
    weight_bits: Annotated[int | None, typer.Option(help="Bits of all weights, 2 to 8; needs --quantise.")] = None,
    steps: Annotated[int | None, typer.Option(help="Optimiser steps.")] = None,
    seed: Annotated[int | None, typer.Option(help="Fixes initial weights, data order and dropout.")] = None,
    device: Device = None,
    out: Annotated[Path, typer.Option(help="Output folder.")] = Path("runs/train"),
    resume: Annotated[bool, typer.Option("--resume", help="Go on from where the same command was stopped.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace what the output folder holds.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Write the result as JSON.")] = False,
) -> None:
    """Train a network on a text, or on feature streams."""
    from egru.flow_config import load_flow_config
    from egru.training import report_training, run_training

    if quantise and start_from is None:
        raise UserError("--quantise", "needs a trained network", "give --from CHECKPOINT")
    if weight_bits is not None and not quantise:
        raise UserError(f"--weight-bits {weight_bits}", "has no meaning for float weights", "give --quantise too")
    phase = "qat" if quantise else "dense"
    overrides = {f"{phase}.steps": steps, f"{phase}.seed": seed, f"{phase}.device": device, "data.source": data, "data.unit": unit}
    overrides |= {"qat.quantization.weight_bits": weight_bits, "qat.quantization.decoder_bits": weight_bits}
    settings = load_flow_config(config, overrides)
    if quantise and settings.qat.quantization is None:
        raise UserError(f"table [qat] in {config}", "has no quantization", "add quantization = { weight_bits = 8 }, or give --weight-bits")
    metrics = run_training(settings.qat if quantise else settings.dense, settings.data, out, start_from, resume=resume, force=force)
    report_training("trained", out, metrics, as_json=json)
