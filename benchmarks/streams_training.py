"""Trains the networks of feature streams that `benchmarks.streams` collects: ``python -m benchmarks.streams_training --data DIR --seed 1``.

A dense network in float; from it one for each density of the weights, pruned in float; from these one for each width, quantised, exported
and measured by the integer reference. A stopped command goes on where it was; a finished network is not trained again. One process
trains one seed.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from benchmarks.paper_training import overridden, pruned_phase, quantised_phase
from benchmarks.results_file import errors_to_exit_codes, require_results, write_results
from benchmarks.streams_results import FLOAT_BITS, Evaluated, EventCell, PhaseLog, StreamRecord, entry_name
from egru.evaluation import EvaluationSettings, evaluate_artifact
from egru.output import progress_console
from egru.training import require_device
from sw_model import checkpoint
from sw_model.errors import UserError
from sw_model.export import export_checkpoint
from sw_model.feature_dataset import FeatureDataset
from sw_model.feature_sources import load_features
from sw_model.pruning import prunable
from sw_model.sequence_evaluation import DEFAULT_STREAMS
from sw_model.train import run_phase
from sw_model.train_config import Recipe, TrainConfig, load_recipe
from sw_model.version import __version__

PHASES = ("dense", "prune", "qat")
#: Share of the weights that stays, and bits of those that do.
BRANCHES = ("1:8", "1:4", "0.2:8", "0.1:8", "0.1:4", "0.05:8")


@dataclass(frozen=True)
class Branch:
    """A quantised network.

    Attributes:
        density: Share of the weights that stays.
        bits: Of the weights.
    """

    density: float
    bits: int

    @classmethod
    def parse(cls, given: str) -> "Branch":
        """Read ``DENSITY:BITS``.

        Raises:
            UserError: When it is something else.
        """
        density, _, bits = given.partition(":")
        try:
            branch = cls(float(density), int(bits))
        except ValueError:
            branch = cls(0.0, 0)
        if not (0 < branch.density <= 1 and 2 <= branch.bits <= 8):
            raise UserError(f"--branch {given}", "is no density of 0 to 1 and 2 to 8 bits", "give e.g. --branch 0.1:8")
        return branch


@dataclass(frozen=True)
class _Trained:
    folder: Path
    logs: tuple[PhaseLog, ...]


def _essential(config: dict[str, Any]) -> dict[str, Any]:
    """Return what the weights depend on, but for the last bit."""
    return {name: value for name, value in config.items() if name not in ("device", "threads")}


def _device_name(folder: Path) -> str:
    """Return what a checkpoint was trained on; a GPU's name only where there is one, as a checkpoint may come from another machine."""
    if checkpoint.load(folder).manifest.training["config"]["device"] == "cpu":
        return "CPU"
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "GPU"


def recipe_digest(recipe: Recipe) -> str:
    """Return an SHA-256 over all of a recipe but seed, device, threads and place of the data."""
    given = {name: _essential(getattr(recipe, name).model_dump(mode="json")) for name in PHASES}
    for phase in given.values():
        del phase["seed"]
    return hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()


class Series:
    """All networks of one seed."""

    def __init__(self, recipe: Recipe, name: str, source: str, checkpoints: Path, runs: Path, jobs: int = 1) -> None:
        """Read the data.

        Args:
            recipe: With its seed and device.
            name: Of the recipe.
            source: The feature streams, see `load_features`.
            checkpoints: Folder that the phases' checkpoints go to.
            runs: Folder of the records.
            jobs: Threads of the integer reference.

        Raises:
            UserError: When the data cannot be read, or is no classification.
        """
        self._dataset: FeatureDataset = load_features(source)
        if self._dataset.task != "classification":
            raise UserError(f"data set {self._dataset.name}", "is no classification", "give one with classes")
        self._recipe, self._name, self._source, self._jobs = recipe, name, source, jobs
        self._seed = recipe.dense.seed
        self._cell: EventCell = "egru-delta" if recipe.dense.features.encoding == "delta" else "egru"
        self._checkpoints = checkpoints / self._dataset.name / f"{self._cell}-seed{self._seed}"
        self._runs = runs / self._dataset.name

    def run(self, branches: Iterable[Branch]) -> None:
        """Train and measure what is not there yet.

        Raises:
            UserError: When a record is there that was made with another recipe or other data.
        """
        dense = self._phase("dense", "dense", self._recipe.dense, None)
        self._record(dense, 1.0, FLOAT_BITS)
        for branch in branches:
            start, density = dense, branch.density
            if density < 1:
                start = self._phase(f"pruned-{density:g}", "prune", pruned_phase(self._recipe.prune, round(1 - density, 9)), dense)
                self._record(start, density, FLOAT_BITS)
            settings = quantised_phase(self._recipe.qat, branch.bits)
            self._record(self._phase(f"quantised-{density:g}-{branch.bits}", "qat", settings, start), density, branch.bits)

    def _phase(self, name: str, phase: str, config: TrainConfig, start: _Trained | None) -> _Trained:
        folder = self._checkpoints / name
        metrics = run_phase(config, self._dataset, folder, None if start is None else start.folder, resume=True, progress=False)
        # A finished phase is taken as it is.
        if _essential(checkpoint.load(folder).manifest.training["config"]) != _essential(config.model_dump(mode="json")):
            raise UserError(f"checkpoint {folder}", "was trained with another recipe", "give another --out, or move it away")
        log = PhaseLog(phase=phase, **{key: metrics[key] for key in ("steps", "best_step", "seconds", "history")})
        return _Trained(folder, (*(() if start is None else start.logs), log))

    def _record(self, trained: _Trained, density: float, bits: int) -> None:
        folder = self._runs / entry_name(self._cell, density, bits)
        path, model = folder / f"seed{self._seed}.json", folder / f"seed{self._seed}-model"
        if path.is_file():
            self._require_same(path, require_results(path, StreamRecord))
            return
        model_hash, equal = None, None
        if bits != FLOAT_BITS:
            exported = export_checkpoint(trained.folder)
            exported.save(model, force=True)
            model_hash = exported.content_hash()
        report = self._evaluate(trained.folder if model_hash is None else model, digest=model_hash is not None)
        if model_hash is not None:
            equal = report["digest"] == self._evaluate(trained.folder, digest=True, integer=False)["digest"]
        network = checkpoint.load(trained.folder).network()
        record = StreamRecord(
            dataset=self._dataset.name,
            dataset_digest=self._dataset.digest(),
            frame_rate=self._dataset.frame_rate,
            cell=self._cell,
            weight_density=density,
            weight_bits=bits,
            seed=self._seed,
            hidden_sizes=list(network.config.hidden_sizes),
            parameters=sum(values.numel() for values in network.parameters() if values.requires_grad),
            weights=sum(values.numel() for values in prunable(network).values()),
            recipe=self._name,
            recipe_digest=recipe_digest(self._recipe),
            model_hash=model_hash,
            equals_fake_quantised=equal,
            phases=list(trained.logs),
            evaluation=Evaluated.model_validate(report),
            hardware=_device_name(trained.folder),
            versions={"torch": torch.__version__, "egru-fpga": __version__},
        )
        write_results(record, path)
        words = f"{folder.name}, seed {self._seed}: {record.evaluation.accuracy:.2%}, events {record.evaluation.event_density:.3f}"
        progress_console.print(words, soft_wrap=True, highlight=False)

    def _evaluate(self, artifact: Path, *, digest: bool, integer: bool = True) -> dict[str, Any]:
        settings = EvaluationSettings(self._source, "test", DEFAULT_STREAMS, self._jobs, digest=digest, integer=integer)
        return evaluate_artifact(artifact, settings)

    def _require_same(self, path: Path, record: StreamRecord) -> None:
        for what, found, wanted in (
            ("recipe", record.recipe_digest, recipe_digest(self._recipe)),
            ("data set", record.dataset_digest, self._dataset.digest()),
        ):
            if found != wanted:
                raise UserError(f"record {path}", f"was made with another {what}", "give another --runs, or move it away")


def run(
    data: Annotated[str, typer.Option(help="Feature streams: a folder that egru data wrote, or generated.")],
    recipe: Annotated[str, typer.Option(help="A recipe's name, or a TOML file.")] = "spoken_digits",
    seed: Annotated[int, typer.Option(help="In place of the recipe's.")] = 1,
    out: Annotated[Path, typer.Option(help="Checkpoints go here.")] = Path("runs/streams/checkpoints"),
    runs: Annotated[Path, typer.Option(help="Records and exported models go here.")] = Path("runs/streams/runs"),
    branch: Annotated[list[str] | None, typer.Option(help="DENSITY:BITS; repeatable. Six of them if not given.")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    jobs: Annotated[int, typer.Option(help="Threads of the integer reference.", min=1)] = 1,
) -> None:
    """Train, prune, quantise, export and measure the networks of one seed."""
    with errors_to_exit_codes():
        branches = [Branch.parse(given) for given in branch or BRANCHES]
        settings = on_device(overridden(load_recipe(recipe), None, seed), device)
        require_device(settings.dense, features=True)
        Series(settings, Path(recipe).stem, data, out, runs, jobs).run(branches)


def on_device(recipe: Recipe, device: str) -> Recipe:
    """Return a recipe whose phases are trained on a device.

    Raises:
        UserError: When there is none of that name.
    """
    if device not in ("cpu", "cuda"):
        raise UserError(f"--device {device}", "is not known", "choose cpu or cuda")
    return recipe.model_copy(
        update={name: getattr(recipe, name).model_copy(update={"device": device}) for name in ("dense", "prune", "qat")}
    )


if __name__ == "__main__":
    typer.run(run)
