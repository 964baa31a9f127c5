"""`egru prune`: magnitude pruning with fine-tuning."""

from pathlib import Path
from typing import Annotated, Any

import typer

from egru.commands.hardware_options import parse_numbers
from egru.commands.train import Device
from sw_model.errors import UserError
from sw_model.pruning_config import Method


def prune(
    checkpoint: Annotated[Path, typer.Argument(help="Folder that `egru train` wrote.")],
    sparsity: Annotated[float | None, typer.Option(help="Share of zero weights at the end; 0.85 by the demo recipe.")] = None,
    method: Annotated[Method | None, typer.Option(help="Which weights compete for being kept; global if not given.")] = None,
    lanes: Annotated[str | None, typer.Option(help="For column-balanced: of every block, or per layer and decoder as in 8,16,4.")] = None,
    n_of_m: Annotated[str | None, typer.Option(help="For n-m, as in 1:8; the sparsity follows from it.")] = None,
    one_shot: Annotated[bool, typer.Option("--one-shot", help="Prune everything at the first step, not gradually.")] = False,
    config: Annotated[Path | None, typer.Option(help="TOML file; its tables [data] and [prune] are read.")] = None,
    data: Annotated[str | None, typer.Option(help="What the network was trained on; the embedded one if not given.")] = None,
    steps: Annotated[int | None, typer.Option(help="Optimiser steps; the first half of them prunes, all fine-tune.")] = None,
    seed: Annotated[int | None, typer.Option(help="Fixes data order and dropout.")] = None,
    device: Device = None,
    out: Annotated[Path, typer.Option(help="Output folder.")] = Path("runs/prune"),
    resume: Annotated[bool, typer.Option("--resume", help="Go on from where the same command was stopped.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace what the output folder holds.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Write the result as JSON.")] = False,
) -> None:
    """Prune the smallest weights and fine-tune the rest."""
    from egru.flow_config import load_flow_config
    from egru.training import report_training, run_training

    block = None if n_of_m is None else _parse_n_of_m(n_of_m)
    if sparsity is None and block is not None and 0 < block[0] < block[1]:
        # Else the recipe's sparsity would stand against what was asked for.
        sparsity = 1.0 - block[0] / block[1]
    overrides: dict[str, Any] = {"prune.pruning.sparsity": sparsity, "prune.steps": steps, "prune.seed": seed, "data.source": data}
    overrides |= {"prune.device": device, "prune.pruning.method": method, "prune.pruning.n_of_m": block}
    overrides["prune.pruning.lanes"] = None if lanes is None else parse_numbers("--lanes", lanes)
    overrides["prune.pruning.schedule"] = "one-shot" if one_shot else None
    overrides["prune.pruning.end_step"] = None if steps is None else steps // 2
    settings = load_flow_config(config, overrides)
    metrics = run_training(settings.prune, settings.data, out, checkpoint, resume=resume, force=force)
    report_training("pruned", out, metrics, as_json=json)


def _parse_n_of_m(text: str) -> list[int]:
    try:
        n, m = map(int, text.split(":"))
    except ValueError:
        raise UserError(f"--n-of-m {text}", "is not two numbers with a colon", "give e.g. 1:8") from None
    return [n, m]
