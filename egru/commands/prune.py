"""`egru prune`: global magnitude pruning with fine-tuning."""

from pathlib import Path
from typing import Annotated

import typer

from egru.output import print_json


def prune(
    checkpoint: Annotated[Path, typer.Argument(help="Folder that `egru train` wrote.")],
    sparsity: Annotated[float | None, typer.Option(help="Share of zero weights at the end; 0.85 by the demo recipe.")] = None,
    one_shot: Annotated[bool, typer.Option("--one-shot", help="Prune everything at the first step, not gradually.")] = False,
    config: Annotated[Path | None, typer.Option(help="TOML file; its tables [data] and [prune] are read.")] = None,
    data: Annotated[str | None, typer.Option(help="The text that the network was trained on; pydoc-topics if not given.")] = None,
    steps: Annotated[int | None, typer.Option(help="Optimiser steps; the first half of them prunes, all fine-tune.")] = None,
    seed: Annotated[int | None, typer.Option(help="Fixes data order and dropout.")] = None,
    out: Annotated[Path, typer.Option(help="Output folder.")] = Path("runs/prune"),
    resume: Annotated[bool, typer.Option("--resume", help="Go on from where the same command was stopped.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace what the output folder holds.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Write the result as JSON.")] = False,
) -> None:
    """Prune the smallest weights of all layers together and fine-tune the rest."""
    from egru.flow_config import load_flow_config
    from egru.training import run_training, show_metrics

    overrides = {"prune.pruning.sparsity": sparsity, "prune.steps": steps, "prune.seed": seed, "data.source": data}
    overrides["prune.pruning.schedule"] = "one-shot" if one_shot else None
    overrides["prune.pruning.end_step"] = None if steps is None else steps // 2
    settings = load_flow_config(config, overrides)
    metrics = run_training(settings.prune, settings.data, out, checkpoint, resume=resume, force=force)
    if json:
        print_json({"checkpoint": str(out), **metrics})
    else:
        show_metrics("pruned", out, metrics)
