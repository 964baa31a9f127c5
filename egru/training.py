"""What `egru train` and `egru prune` share: where a phase is trained, by how many processes, and what is shown of it.

Under ``torchrun`` every process trains its own streams on its own GPU; the first one writes and reports.
"""

import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from rich.console import Console
from rich.table import Table

from egru.artifacts import TextInfo, is_feature_source, load_matching_features, load_matching_text
from egru.output import print_json, words_to_stderr
from sw_model import checkpoint
from sw_model.datasets import TextDataset, load_text
from sw_model.errors import UserError
from sw_model.feature_dataset import FeatureDataset
from sw_model.feature_sources import load_features
from sw_model.stepper import STREAM_TILE
from sw_model.train import run_phase
from sw_model.train_config import DataConfig, TrainConfig

GPU_EXTRA = "pip install 'egru-fpga[gpu]'"


@dataclass(frozen=True)
class Processes:
    """The processes that train together.

    Attributes:
        count: How many.
        rank: Which of them this one is.
        local_rank: Which of those on this machine; also the number of its GPU.
    """

    count: int = 1
    rank: int = 0
    local_rank: int = 0

    @classmethod
    def from_environment(cls) -> "Processes":
        """Return what ``torchrun`` says; one process when it did not start this one."""
        names = ("WORLD_SIZE", "RANK", "LOCAL_RANK")
        if not all(name in os.environ for name in names):
            return cls()
        return cls(*(int(os.environ[name]) for name in names))

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Take this process's GPU and meet the others; nothing to do for one process."""
        if self.count == 1:
            yield
            return
        # Before anything is allocated: to all that follows, "cuda" is the current device.
        torch.cuda.set_device(self.local_rank)
        dist.init_process_group("nccl", device_id=torch.device("cuda", self.local_rank))
        try:
            yield
            # The first process still writes when the others have ended.
            dist.barrier()
        finally:
            dist.destroy_process_group()


def require_device(settings: TrainConfig, processes: Processes | None = None, *, features: bool = False) -> None:
    """Refuse a phase that its device, or these processes, cannot train.

    Args:
        settings: The phase.
        processes: One, if not given.
        features: Whether it reads features: these are trained by the plain loop, in one process.

    Raises:
        UserError: When ``device`` is ``cuda`` and GPU, Triton or even streams are missing, or it is ``cpu``, or of features, for several
            processes.
    """
    processes = processes or Processes()
    count = processes.count
    if settings.device == "cpu":
        if count > 1:
            rule = "would train the same network in each of them"
            raise UserError(f"device=cpu with {count} processes", rule, "start one without torchrun, or give --device cuda")
        return
    if not torch.cuda.is_available():
        rule = f"needs a GPU, and torch {torch.__version__} finds none"
        raise UserError("device=cuda", rule, f"install torch for CUDA and {GPU_EXTRA}, or give --device cpu")
    if features:
        if count > 1:
            rule = "are trained by one process"
            raise UserError(f"sequences of features with {count} processes", rule, "start it without torchrun")
        return
    if importlib.util.find_spec("triton") is None:
        raise UserError("device=cuda", "needs Triton, which is not installed", f"{GPU_EXTRA}, or give --device cpu")
    if processes.local_rank >= torch.cuda.device_count():
        what = f"process {processes.local_rank + 1} of this machine"
        raise UserError(what, f"has no GPU left of {torch.cuda.device_count()}", "lower --nproc-per-node of torchrun")
    unit = STREAM_TILE * count
    if settings.streams % unit:
        rule = f"is not a multiple of {STREAM_TILE}" + (f" for each of {count} processes" if count > 1 else "")
        below = settings.streams // unit * unit
        remedy = f"use {below} or {below + unit}" if below else f"use {unit}"
        raise UserError(f"streams={settings.streams}", rule, f"{remedy}, or train on the CPU" if count == 1 else remedy)


def run_training(
    settings: TrainConfig, data: DataConfig, out: Path, start_from: Path | None, *, resume: bool, force: bool
) -> dict[str, Any] | None:
    """Run a phase; see `sw_model.train.run_phase`. A network that is gone on with keeps its unit and vocabulary, or its encoding.

    Returns:
        The metrics, or None in a process that does not report.

    Raises:
        UserError: When a folder, the text, the features, the configuration or the device will not do.
    """
    processes = Processes.from_environment()
    start = None if start_from is None else checkpoint.load(start_from)
    features = is_feature_source(data.source) if start is None else isinstance(start.manifest.data, checkpoint.FeatureDataInfo)
    require_device(settings, processes, features=features)
    dataset: TextDataset | FeatureDataset
    if start is not None and features:
        # The default names a text, which no network of features reads.
        source = None if data.source == DataConfig().source else data.source
        dataset = load_matching_features(start.features().match(), source, f"checkpoint {start_from}")
    elif start is not None:
        known = start.text()
        dataset = load_matching_text(TextInfo(known.name, known.unit, known.vocabulary), data.source)
    elif features:
        dataset = load_features(data.source)
    else:
        dataset = load_text(data.source, data.unit, max_vocabulary=data.max_vocabulary)
    with words_to_stderr(), processes.joined():
        metrics = run_phase(settings, dataset, out, start_from, resume=resume, force=force)
    return metrics if processes.rank == 0 else None


def report_training(done: str, out: Path, metrics: dict[str, Any] | None, *, as_json: bool) -> None:
    """Print what a phase measured.

    Args:
        done: What was done, in a word.
        out: Where the checkpoint is.
        metrics: As `run_training` returned them; nothing is printed for None.
        as_json: Print JSON, not a table.
    """
    if metrics is None:
        return
    if as_json:
        print_json({"checkpoint": str(out), **metrics})
        return
    shown = [name for name in metrics if name.startswith("validation_")] + ["event_density", "weight_density"]
    table = Table("steps", "best step", *(name.replace("_", " ") for name in shown), "seconds", title=f"{done}: {out}")
    counts = (metrics["steps"], metrics["best_step"])
    table.add_row(*map(str, counts), *(f"{metrics[name]:.3f}" for name in shown), f"{metrics['seconds']:.1f}")
    Console(markup=False).print(table)
