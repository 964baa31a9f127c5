"""What `egru train` and `egru prune` share."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from egru.artifacts import TextInfo, load_matching_text
from egru.output import words_to_stderr
from sw_model import checkpoint
from sw_model.datasets import load_text
from sw_model.train import run_phase
from sw_model.train_config import DataConfig, TrainConfig


def run_training(
    settings: TrainConfig, data: DataConfig, out: Path, start_from: Path | None, *, resume: bool, force: bool
) -> dict[str, Any]:
    """Run a phase; see `sw_model.train.run_phase`. A network that is gone on with keeps its unit and vocabulary.

    Raises:
        UserError: When a folder, the text or the configuration will not do.
    """
    if start_from is None:
        dataset = load_text(data.source, data.unit, max_vocabulary=data.max_vocabulary)
    else:
        known = checkpoint.load(start_from).manifest.data
        dataset = load_matching_text(TextInfo(known.name, known.unit, known.vocabulary), data.source)
    with words_to_stderr():
        return run_phase(settings, dataset, out, start_from, resume=resume, force=force)


def show_metrics(done: str, out: Path, metrics: dict[str, Any]) -> None:
    """Print what a phase measured."""
    table = Table("steps", "best step", "validation bits", "event density", "weight density", "seconds", title=f"{done}: {out}")
    counts = (metrics["steps"], metrics["best_step"])
    figures = (f"{metrics[name]:.3f}" for name in ("validation_bits", "event_density", "weight_density"))
    table.add_row(*map(str, counts), *figures, f"{metrics['seconds']:.1f}")
    Console().print(table)
