"""One training loop for every phase: dense in float, pruning with fine-tuning, quantisation-aware with the masks held.

What a step does depends on the configuration, the step's number and the weights alone: the place in the text, the dropout masks and the
learning rate are functions of seed and step. A phase that was stopped and resumed therefore ends with the same weights, bit for bit.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import BaseModel, Field, ValidationError, model_validator
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor

from sw_model import checkpoint
from sw_model.checkpoint import Checkpoint, DataInfo, Manifest
from sw_model.datasets import TextDataset
from sw_model.errors import UserError
from sw_model.evaluate import Evaluation, deal, evaluate_model, evaluate_network
from sw_model.export import export_checkpoint
from sw_model.feature_dataset import FeatureDataset
from sw_model.output_folder import require_free
from sw_model.pruning import apply_masks, density, magnitude_masks, require_fit
from sw_model.quantizers import QuantizedArithmetic, quantize
from sw_model.sequence_training import SequenceTask
from sw_model.stepper import rank, ranks
from sw_model.text_training import Batches, TextTask, require_vocabulary, steps_per_epoch
from sw_model.train_config import DataConfig, Recipe, TrainConfig, load_recipe
from sw_model.training_task import Task

__all__ = [
    "Batches",
    "DataConfig",
    "Evaluation",
    "Recipe",
    "TrainConfig",
    "deal",
    "evaluate_checkpoint",
    "evaluate_model",
    "evaluate_network",
    "learning_rate",
    "load_recipe",
    "progress_folder",
    "run_phase",
    "steps_per_epoch",
]

BEST, STEPPER = "best.", "stepper."
#: What validations measure of quality; which of them there are depends on the task.
VALIDATED = ("bits", "error_rate", "squared_error")
#: Steps between two looks at the loss on a GPU: a look waits for the steps under way.
LOOK_EVERY = {"cpu": 1, "cuda": 50}


def run_phase(
    config: TrainConfig,
    dataset: TextDataset | FeatureDataset,
    out_folder: Path,
    start_from: Path | None = None,
    *,
    resume: bool = False,
    force: bool = False,
    progress: bool = True,
) -> dict[str, Any]:
    """Train one phase and write its best network as a checkpoint.

    Args:
        config: The phase.
        dataset: The text, or the sequences of features.
        out_folder: Where the checkpoint goes; it appears when the phase has ended.
        start_from: Checkpoint whose weights, masks and quantisation are taken; a new network when not given.
        resume: Go on from where an earlier call with the same arguments was stopped, if there is such a place.
        force: Replace what is in ``out_folder``, and drop an unfinished run.
        progress: Show a progress bar.

    Returns:
        The metrics that the checkpoint holds: ``steps``, ``best_step``, ``validation_bits``, ``event_density``, ``weight_density``,
        ``history``, ``seconds`` and ``processes``, how many trained it together. Of a classification of sequences also
        ``validation_error_rate``, of a regression ``validation_squared_error`` in place of the bits.

    Raises:
        UserError: When a folder may not be written, a checkpoint does not fit, or the loss is no longer a number.
    """
    out_folder = Path(out_folder)
    unfinished = progress_folder(out_folder)
    # Its manifest is the first thing that goes when it is removed.
    begun = (unfinished / checkpoint.MANIFEST_FILE).is_file()
    if resume and (out_folder / checkpoint.MANIFEST_FILE).is_file():
        finished = checkpoint.load(out_folder)
        # Both are there where a run was killed between its last two acts.
        if not begun or (not force and finished.manifest.training.get("config") == config.model_dump(mode="json")):
            _remove(unfinished)
            return _metrics(finished)
    require_free(out_folder, force=force)
    if begun and not (resume or force):
        raise UserError(f"folder {unfinished}", "holds an unfinished run", "resume it, or give --force to drop it")
    with torch.random.fork_rng(devices=[]), _threads(config.threads):
        phase = _Phase(config, dataset, start_from)
        if resume and begun:
            phase.restore(checkpoint.load(unfinished))
        phase.run(unfinished, show=progress and rank() == 0)
    if rank() == 0:
        phase.write(out_folder, force=force)
        _remove(unfinished)
    return phase.metrics()


def progress_folder(out_folder: Path) -> Path:
    """Return where a run towards ``out_folder`` keeps what it needs to be resumed."""
    return out_folder.with_name(out_folder.name + ".unfinished")


def evaluate_checkpoint(folder: Path, dataset: TextDataset, split: str = "test", streams: int = 16, *, integer: bool = False) -> Evaluation:
    """Measure a checkpoint on a split of its text.

    Args:
        folder: What `run_phase` wrote.
        dataset: The text; its vocabulary must be the checkpoint's.
        split: ``train``, ``valid`` or ``test``.
        streams: See `evaluate.deal`.
        integer: Export and measure through the integer reference; a quantised network gives the same figures without.

    Raises:
        UserError: When the checkpoint is damaged, does not fit the text, or ``integer`` asks for a float network.
    """
    loaded = checkpoint.load(folder)
    require_vocabulary(loaded, dataset)
    if integer:
        return evaluate_model(export_checkpoint(folder), dataset.split(split), streams)
    return evaluate_network(loaded.network().double(), dataset.split(split), streams)


def _task(dataset: TextDataset | FeatureDataset, config: TrainConfig, start: Checkpoint | None) -> Task:
    return TextTask(dataset, config, start) if isinstance(dataset, TextDataset) else SequenceTask(dataset, config, start)


class _Phase:
    """A network on its way through one phase."""

    def __init__(self, config: TrainConfig, dataset: TextDataset | FeatureDataset, start_from: Path | None) -> None:
        torch.manual_seed(config.seed)
        self.config = config
        start = None if start_from is None else checkpoint.load(start_from)
        self.task = _task(dataset, config, start)
        self.network = self.task.new_network() if start is None else start.network()
        self.masks = {} if start is None else start.masks()
        self.device = torch.device(config.device)
        self.network.to(self.device)
        if config.quantization is not None:
            self._quantize()
            self.network.to(self.device)
        if config.pruning is not None:
            require_fit(config.pruning, self.network.config, self.network.config.classes)
        self.start_sparsity = 1.0 - density(self.network)
        self.masks = {name: mask.to(self.device) for name, mask in self.masks.items()}
        self.stepper = self.task.stepper(self.network)
        self.stepper.set_masks(self.masks)
        self.step = 0
        self.best: dict[str, Any] = {}
        self.best_weights: dict[str, Tensor] = {}
        self.best_masks: dict[str, Tensor] = {}
        self.history: list[dict[str, Any]] = []
        self.stale = 0
        self.seconds = 0.0

    def _quantize(self) -> None:
        arithmetic = self.network.arithmetic
        # A network that is in this format already keeps its scales.
        if not isinstance(arithmetic, QuantizedArithmetic) or arithmetic.config != self.config.quantization:
            assert self.config.quantization is not None
            quantize(self.network, self.config.quantization)

    def run(self, unfinished: Path, *, show: bool) -> None:
        """Train to the end, or until patience runs out."""
        config = self.config
        started = time.monotonic() - self.seconds
        with _bar(show) as bar:
            task = bar.add_task("training", total=config.steps, completed=self.step, figures="")
            while self.step < config.steps and not (config.patience and self.stale >= config.patience):
                loss = self.train_step()
                self.step += 1
                due = self.step % config.validate_every == 0 or self.step == config.steps
                if due or self.step % LOOK_EVERY[config.device] == 0:
                    unit = math.log(2.0) if self.task.quality == "bits" else 1.0
                    figures = f"loss {self.look_at(loss) / unit:.3f} {self.task.quality.replace('_', ' ')}"
                    if due:
                        self.validate()
                    if self.history:
                        figures += f"  valid {self.history[-1][self.task.quality]:.3f}  events {self.history[-1]['event_density']:.3f}"
                    bar.update(task, completed=self.step, figures=figures)
                self.seconds = time.monotonic() - started
                saves = config.checkpoint_every and self.step % config.checkpoint_every == 0 and self.step < config.steps
                if saves:
                    self.save_progress(unfinished)

    def train_step(self) -> Tensor:
        """Do one optimiser step; return its loss, see `Stepper`, which a GPU may still be computing."""
        config = self.config
        if config.pruning is not None and config.pruning.due(self.step):
            self.stepper.publish()
            sparsity = config.pruning.sparsity_at(self.step, self.start_sparsity)
            self.masks = magnitude_masks(self.network, sparsity, config.pruning, self.masks)
            apply_masks(self.network, self.masks)
            self.stepper.set_masks(self.masks)
        batch, first = self.task.batch(self.step)
        return self.stepper.step(batch, first, learning_rate(config, self.step), config.seed * 1_000_003 + self.step)

    def look_at(self, loss: Tensor) -> float:
        """Return the loss of the last step.

        Raises:
            UserError: When it is not a number.
        """
        value = loss.item()
        if not math.isfinite(value):
            what = f"training loss at step {self.step - 1}"
            raise UserError(what, "is not a number any more", f"lower learning_rate={self.config.learning_rate}")
        return value

    def validate(self) -> None:
        """Measure the validation split and keep the weights when they are the best so far."""
        self.stepper.publish()
        entry: dict[str, Any] = {"step": self.step, **self.task.validate(self.network), "weight_density": density(self.network)}
        self.history.append(entry)
        if self.config.pruning is not None and not self.config.pruning.finished(self.step - 1):
            return
        if not self.best or self._rank(entry) < self._rank(self.best):
            self.best, self.stale = entry, 0
            self.best_weights = {name: parameter.detach().clone() for name, parameter in self.network.named_parameters()}
            self.best_masks = dict(self.masks)
        else:
            self.stale += 1

    def _rank(self, entry: dict[str, Any]) -> tuple[float, float]:
        return max(0.0, entry["event_density"] - self.config.max_event_density), entry[self.task.quality]

    def metrics(self) -> dict[str, Any]:
        """Return what the phase measured."""
        return {
            "steps": self.step,
            "best_step": self.best["step"],
            **{f"validation_{name}": self.best[name] for name in VALIDATED if name in self.best},
            "event_density": self.best["event_density"],
            "weight_density": self.best["weight_density"],
            "history": self.history,
            "seconds": self.seconds,
            "processes": ranks(),
        }

    def write(self, out_folder: Path, *, force: bool) -> None:
        """Write the best network."""
        with torch.no_grad():
            for name, parameter in self.network.named_parameters():
                parameter.copy_(self.best_weights[name])
        manifest = self._manifest(self.metrics(), {"config": self.config.model_dump(mode="json")})
        checkpoint.save(out_folder, manifest, checkpoint.network_tensors(self.network, self.best_masks), force=force)

    def save_progress(self, folder: Path) -> None:
        """Write everything that the rest of the phase depends on; the first process writes for all."""
        training = {
            "config": self.config.model_dump(mode="json"),
            "best": self.best,
            "history": self.history,
            "stale": self.stale,
            "seconds": self.seconds,
            "start_sparsity": self.start_sparsity,
        }
        self.stepper.publish()
        tensors = checkpoint.network_tensors(self.network, self.masks)
        tensors |= {f"{BEST}{name}": weight for name, weight in self.best_weights.items()}
        tensors |= {f"{BEST}{checkpoint.MASK}{name}": mask for name, mask in self.best_masks.items()}
        tensors |= {f"{STEPPER}{name}": tensor for name, tensor in self.stepper.tensors().items()}
        if rank() == 0:
            checkpoint.save(folder, self._manifest({}, training), {name: t.clone() for name, t in tensors.items()}, force=True)

    def restore(self, loaded: Checkpoint) -> None:
        """Take up what `save_progress` wrote.

        Raises:
            UserError: When it was written by another configuration or for another text.
        """
        if loaded.manifest.training.get("config") != self.config.model_dump(mode="json"):
            raise UserError(f"unfinished run {loaded.folder}", "has another configuration", "resume with the same one, or give --force")
        self.task.require_match(loaded)
        try:
            _Progress.model_validate(loaded.manifest.training)
            self._take_up(loaded)
        except ValueError as error:
            raise UserError(f"unfinished run {loaded.folder}", f"is altered ({_first(error)})", "give --force to drop it") from None

    def _take_up(self, loaded: Checkpoint) -> None:
        training = loaded.manifest.training
        if loaded.manifest.network != self.network.config or not 0 < loaded.manifest.step < self.config.steps:
            raise ValueError("network or step is another")
        arithmetic = self.network.arithmetic
        if isinstance(arithmetic, QuantizedArithmetic):
            arithmetic.set_exponents(loaded.manifest.exponents or {})
        self.step, self.best, self.history = loaded.manifest.step, training["best"], training["history"]
        self.stale, self.seconds, self.start_sparsity = training["stale"], training["seconds"], training["start_sparsity"]
        self.masks = {name: mask.to(self.device) for name, mask in loaded.masks().items()}
        best = {name: tensor.to(self.device) for name, tensor in loaded.group(BEST).items()}
        self.best_masks = {name.removeprefix(checkpoint.MASK): t for name, t in best.items() if name.startswith(checkpoint.MASK)}
        self.best_weights = {name: t for name, t in best.items() if not name.startswith(checkpoint.MASK)}
        weights = loaded.group(checkpoint.PARAMETER)
        shapes = {name: weight.shape for name, weight in weights.items()} if self.best else {}
        if {name: weight.shape for name, weight in self.best_weights.items()} != shapes:
            raise ValueError("the best weights are those of another network")
        if self.best.get(self.task.quality, 0.0) is None or any(entry.get(self.task.quality) is None for entry in self.history):
            raise ValueError(f"validations do not measure {self.task.quality}")
        with torch.no_grad():
            for name, parameter in self.network.named_parameters():
                parameter.copy_(weights[name])
        # The scales are part of what a fused stepper captures.
        self.stepper = self.task.stepper(self.network)
        self.stepper.set_masks(self.masks)
        self.stepper.restore(loaded.group(STEPPER))

    def _manifest(self, metrics: dict[str, Any], training: dict[str, Any]) -> Manifest:
        arithmetic = self.network.arithmetic
        quantized = arithmetic if isinstance(arithmetic, QuantizedArithmetic) else None
        return Manifest(
            version=1 if isinstance(self.task.info, DataInfo) else 2,
            network=self.network.config,
            quantization=quantized.config if quantized else None,
            exponents=quantized.exponents if quantized else None,
            data=self.task.info,
            step=self.step,
            metrics=metrics,
            training=training,
        )


class _Entry(BaseModel):
    """What a validation measured."""

    step: int
    bits: float | None = None
    error_rate: float | None = None
    squared_error: float | None = None
    event_density: float
    weight_density: float

    @model_validator(mode="after")
    def _check_quality(self) -> "_Entry":
        if (self.bits is None) == (self.squared_error is None):
            raise ValueError("a validation measures bits, or a squared error")
        return self


class _Metrics(BaseModel):
    """What a finished phase measured, see `run_phase`."""

    steps: int
    best_step: int
    validation_bits: float | None = None
    validation_error_rate: float | None = None
    validation_squared_error: float | None = None
    event_density: float
    weight_density: float
    history: list[_Entry]
    seconds: float


class _Progress(BaseModel):
    """What a checkpoint of an unfinished phase says of training, beside its configuration."""

    best: _Entry | Annotated[dict[str, Any], Field(max_length=0)]
    history: list[_Entry]
    stale: int
    seconds: float
    start_sparsity: float


def _metrics(finished: Checkpoint) -> dict[str, Any]:
    try:
        _Metrics.model_validate(finished.manifest.metrics)
    except ValueError as error:
        what = f"checkpoint {finished.folder}"
        raise UserError(what, f"holds other metrics than a phase measures ({_first(error)})", checkpoint.REMEDY) from None
    return finished.manifest.metrics


def _first(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    detail = error.errors()[0]
    return f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}"


def learning_rate(config: TrainConfig, step: int) -> float:
    """Return the learning rate of a step: linear warm-up, constant, then half a cosine."""
    rate = config.learning_rate * min(1.0, (step + 1) / max(1, config.warmup_steps))
    start = min(max(config.cosine_from, config.warmup_steps), config.steps - 1)
    done = max(0, step - start) / max(1, config.steps - 1 - start)
    return rate * (config.final_learning_rate + (1.0 - config.final_learning_rate) * 0.5 * (1.0 + math.cos(math.pi * done)))


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Use ``count`` threads per operation, and flush denormals, which gradients through many steps are full of and which are slow."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.set_flush_denormal(False)


def _bar(show: bool) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[figures]}"))
    return Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), disable=not show)


def _remove(folder: Path) -> None:
    for file in (checkpoint.MANIFEST_FILE, checkpoint.TENSORS_FILE):
        (folder / file).unlink(missing_ok=True)
    if folder.exists():
        folder.rmdir()
