"""Trains the language models that `benchmarks.paper` collects: a dense trunk, and from it one branch per sparsity and width of the weights.

Every phase is resumed when the command is given again, so a machine that is lent for some minutes at a time is enough. With several GPUs,
``torchrun`` trains the trunk on all of them, and then each GPU can have branches of its own: a command with its own ``--sparsity``.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from benchmarks.paper_results import EVALUATION_STREAMS, MODEL_FOLDER, RECORD_FILE, CurvePoint, Dataset, RunRecord
from benchmarks.results_file import errors_to_exit_codes, write_results
from egru.training import Processes, require_device
from sw_model import checkpoint
from sw_model.datasets import TextDataset, load_text
from sw_model.errors import UserError
from sw_model.evaluate import evaluate_network
from sw_model.export import export_checkpoint
from sw_model.output_folder import staged_folder
from sw_model.pruning import density
from sw_model.stepper import rank
from sw_model.train import run_phase, steps_per_epoch
from sw_model.train_config import Recipe, TrainConfig, load_recipe

app = typer.Typer(add_completion=False)


@app.command()
def main(
    data: Annotated[Path, typer.Option(help="Folder of the text: Penn Treebank, or WikiText-2.")],
    out: Annotated[Path, typer.Option(help="Checkpoints go here.")],
    dataset: Annotated[Dataset, typer.Option(help="Which of the two it is.")] = "ptb",
    recipe: Annotated[str, typer.Option(help="A recipe's name, or a TOML file.")] = "ptb",
    sparsity: Annotated[list[float] | None, typer.Option(help="A branch; 0 prunes nothing. May be repeated.")] = None,
    weight_bits: Annotated[list[int] | None, typer.Option(help="Quantise every branch so; may be repeated.")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="Of the branches, in place of the recipe's; the trunk keeps its own.")] = None,
    seed: Annotated[int | None, typer.Option(help="In place of the recipe's.")] = None,
    records: Annotated[Path | None, typer.Option(help="Records and models go here; the folder of the checkpoints if not given.")] = None,
) -> None:
    """Train trunk and branches, and leave a folder with run.json and, where quantised, the exported model for each."""
    with errors_to_exit_codes():
        settings = overridden(load_recipe(recipe), weight_decay, seed)
        processes = Processes.from_environment()
        if sparsity and processes.count > 1:
            rule = "trains branches, each of which takes one GPU"
            raise UserError(f"--sparsity on {processes.count} processes", rule, "use torchrun without it, for the trunk")
        require_device(settings.dense, processes)
        text = load_text(data, settings.data.unit, max_vocabulary=settings.data.max_vocabulary)
        series = _Series(settings, text, dataset, Path(recipe).stem, _seed_suffix(seed), _decay_suffix(weight_decay), out, records or out)
        with processes.joined():
            series.run(sparsity or [], weight_bits or [])


def overridden(recipe: Recipe, weight_decay: float | None, seed: int | None) -> Recipe:
    """Return a recipe with another seed everywhere, and another weight decay in the branches."""
    of_all = {} if seed is None else {"seed": seed}
    of_branches = of_all if weight_decay is None else of_all | {"weight_decay": weight_decay}
    changes = {"dense": of_all, "prune": of_branches, "qat": of_branches}
    return recipe.model_copy(update={phase: getattr(recipe, phase).model_copy(update=change) for phase, change in changes.items()})


def pruned_phase(config: TrainConfig, sparsity: float) -> TrainConfig:
    """Return a phase that prunes to this sparsity; 0 prunes nothing."""
    if not sparsity or config.pruning is None:
        return config.model_copy(update={"pruning": None})
    return config.model_copy(update={"pruning": config.pruning.model_copy(update={"sparsity": sparsity})})


def quantised_phase(config: TrainConfig, bits: int) -> TrainConfig:
    """Return a phase that quantises the weights of its layers to this width."""
    assert config.quantization is not None  # the recipe's phase for it
    return config.model_copy(update={"quantization": config.quantization.model_copy(update={"weight_bits": bits})})


def _decay_suffix(weight_decay: float | None) -> str:
    return "" if weight_decay is None else f"-decay{weight_decay:g}"


def _seed_suffix(seed: int | None) -> str:
    """Tell runs that differ in the seed apart; `benchmarks.paper` takes what ends so for repetitions."""
    return "" if seed is None else f"-seed{seed}"


@dataclass(frozen=True)
class _Phase:
    """A phase that has been trained: its checkpoint, and what `run_phase` returned."""

    folder: Path
    metrics: dict[str, Any]


class _Series:
    """All runs that share a trunk."""

    def __init__(
        self, recipe: Recipe, text: TextDataset, dataset: Dataset, name: str, seed: str, decay: str, out: Path, records: Path
    ) -> None:
        self._recipe, self._text, self._dataset, self._out, self._records = recipe, text, dataset, out, records
        self._name, self._trunk, self._suffix = name, f"trunk{seed}", decay + seed

    def run(self, sparsities: Iterable[float], widths: Iterable[int]) -> None:
        """Train what is not trained yet."""
        trunk = self._phase(self._trunk, self._recipe.dense, None)
        for sparsity in sparsities:
            name = f"{self._name}-{round(100 * sparsity):02d}"
            branch = self._phase(f"{name}{self._suffix}", pruned_phase(self._recipe.prune, sparsity), trunk.folder)
            self._record(f"{name}-float{self._suffix}", [trunk, branch], sparsity, None)
            for bits in widths:
                run = f"{name}-w{bits}{self._suffix}"
                quantised = self._phase(run, quantised_phase(self._recipe.qat, bits), branch.folder)
                self._record(run, [trunk, branch, quantised], sparsity, bits)

    def _phase(self, name: str, config: TrainConfig, start_from: Path | None) -> _Phase:
        folder = self._out / name
        started = time.monotonic()
        metrics = run_phase(config, self._text, folder, start_from, resume=True, progress=False)
        perplexity, seconds = 2.0 ** metrics["validation_bits"], time.monotonic() - started
        if rank() == 0:
            print(f"{name}: {metrics['steps']} steps, validation {perplexity:.2f}, {seconds:.0f} s of this call", flush=True)
        return _Phase(folder, metrics)

    def _record(self, name: str, phases: list[_Phase], sparsity: float, bits: int | None) -> None:
        if (self._records / name / RECORD_FILE).is_file():
            return
        last, histories = phases[-1], [phase.metrics for phase in phases]
        device = torch.device(self._recipe.prune.device)
        network = checkpoint.load(last.folder).network().double().to(device)
        measured = evaluate_network(network, self._text.test, EVALUATION_STREAMS[self._dataset], digest=bits is not None)
        config = self._recipe.prune
        per_epoch = steps_per_epoch(self._text.train, config)
        record = RunRecord(
            name=name,
            dataset=self._dataset,
            cell="egru",
            hidden_sizes=list(network.config.hidden_sizes),
            sparsity=sparsity,
            weight_bits=bits,
            weight_decay=config.weight_decay,
            epochs=sum(metrics["steps"] for metrics in histories) / per_epoch,
            steps=sum(metrics["steps"] for metrics in histories),
            seconds=sum(metrics["seconds"] for metrics in histories),
            gpu=torch.cuda.get_device_name() if device.type == "cuda" else "none",
            gpus=max(metrics["processes"] for metrics in histories),
            seed=config.seed,
            recipe=self._name,
            parameters=sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad),
            validation_perplexity=2.0 ** last.metrics["validation_bits"],
            test_perplexity=measured.perplexity,
            event_density=list(measured.event_density),
            weight_density=density(network),
            digest=measured.digest,
            curve=_curve(histories, per_epoch),
        )
        print(f"{name}: test {measured.perplexity:.2f}, events {[round(d, 3) for d in measured.event_density]}", flush=True)
        with staged_folder(self._records / name, force=True) as staging:
            if bits is not None:
                export_checkpoint(last.folder).save(staging / MODEL_FOLDER)
            write_results(record, staging / RECORD_FILE)


def _curve(histories: list[dict[str, Any]], per_epoch: int) -> list[CurvePoint]:
    points, before = [], 0
    for metrics in histories:
        for entry in metrics["history"]:
            points.append(
                CurvePoint(
                    epoch=(before + entry["step"]) / per_epoch,
                    validation_perplexity=2.0 ** entry["bits"],
                    event_density=[entry["event_density"]],
                    weight_density=entry["weight_density"],
                )
            )
        before += metrics["steps"]
    return points


if __name__ == "__main__":
    app()
