"""One training loop for every phase: dense in float, pruning with fine-tuning, quantisation-aware with the masks held.

What a step does depends on the configuration, the step's number and the weights alone: the place in the text, the dropout masks and the
learning rate are functions of seed and step. A phase that was stopped and resumed therefore ends with the same weights, bit for bit.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor
from torch.nn import functional

from sw_model import checkpoint
from sw_model.checkpoint import Checkpoint, DataInfo, Manifest
from sw_model.datasets import TextDataset
from sw_model.errors import UserError
from sw_model.evaluate import Evaluation, deal, evaluate_model, evaluate_network
from sw_model.event_gru import THRESHOLD_MAX, EventNetwork, LayerState, NetworkConfig, NetworkOutput
from sw_model.export import export_checkpoint
from sw_model.output_folder import require_free
from sw_model.pruning import apply_masks, density, magnitude_masks, require_fit
from sw_model.quantizers import QuantizedArithmetic, quantize
from sw_model.train_config import DataConfig, Recipe, TrainConfig, load_recipe

__all__ = [
    "DataConfig",
    "Evaluation",
    "Recipe",
    "TrainConfig",
    "deal",
    "evaluate_checkpoint",
    "evaluate_model",
    "evaluate_network",
    "load_recipe",
    "progress_folder",
    "run_phase",
]

BEST, OPTIMIZER, STATE = "best.", "optimizer.", "state."


def run_phase(
    config: TrainConfig,
    dataset: TextDataset,
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
        dataset: The text.
        out_folder: Where the checkpoint goes; it appears when the phase has ended.
        start_from: Checkpoint whose weights, masks and quantisation are taken; a new network when not given.
        resume: Go on from where an earlier call with the same arguments was stopped, if there is such a place.
        force: Replace what is in ``out_folder``, and drop an unfinished run.
        progress: Show a progress bar.

    Returns:
        The metrics that the checkpoint holds: ``steps``, ``best_step``, ``validation_bits``, ``event_density``, ``weight_density``,
        ``history`` and ``seconds``.

    Raises:
        UserError: When a folder may not be written, a checkpoint does not fit, or the loss is no longer a number.
    """
    out_folder = Path(out_folder)
    unfinished = progress_folder(out_folder)
    if resume and (out_folder / checkpoint.MANIFEST_FILE).is_file() and not unfinished.exists():
        return checkpoint.load(out_folder).manifest.metrics
    require_free(out_folder, force=force)
    if unfinished.exists() and not (resume or force):
        raise UserError(f"folder {unfinished}", "holds an unfinished run", "resume it, or give --force to drop it")
    with torch.random.fork_rng(devices=[]), _threads(config.threads):
        phase = _Phase(config, dataset, start_from)
        if resume and unfinished.exists():
            phase.restore(checkpoint.load(unfinished))
        phase.run(unfinished, show=progress)
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
    _require_vocabulary(loaded, dataset)
    if integer:
        return evaluate_model(export_checkpoint(folder), dataset.split(split), streams)
    return evaluate_network(loaded.network().double(), dataset.split(split), streams)


class _Phase:
    """A network on its way through one phase."""

    def __init__(self, config: TrainConfig, dataset: TextDataset, start_from: Path | None) -> None:
        torch.manual_seed(config.seed)
        self.config = config
        self.dataset = dataset
        self.masks: dict[str, Tensor] = {}
        if start_from is None:
            self.network = EventNetwork(NetworkConfig(tokens=len(dataset.vocabulary), **config.network.model_dump()))
        else:
            loaded = checkpoint.load(start_from)
            _require_vocabulary(loaded, dataset)
            self.network, self.masks = loaded.network(), loaded.masks()
        if config.quantization is not None:
            self._quantize()
        if config.pruning is not None:
            shape = self.network.config
            require_fit(config.pruning, shape.hidden_sizes, shape.tokens)
        self.network.dropout = config.dropout
        self.start_sparsity = 1.0 - density(self.network)
        self.optimizer = _optimizer(self.network, config)
        self.batches = _Batches(dataset.train, config)
        self.state: list[LayerState] | None = None
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
                if self.step % config.validate_every == 0 or self.step == config.steps:
                    self.validate()
                figures = f"loss {loss / math.log(2.0):.3f} bits"
                if self.history:
                    figures += f"  valid {self.history[-1]['bits']:.3f}  events {self.history[-1]['event_density']:.3f}"
                bar.update(task, completed=self.step, figures=figures)
                self.seconds = time.monotonic() - started
                if config.checkpoint_every and self.step % config.checkpoint_every == 0 and self.step < config.steps:
                    self.save_progress(unfinished)

    def train_step(self) -> float:
        """Do one optimiser step; return the cross entropy in nats."""
        config, network = self.config, self.network
        if config.pruning is not None and config.pruning.due(self.step):
            sparsity = config.pruning.sparsity_at(self.step, self.start_sparsity)
            self.masks = magnitude_masks(network, sparsity, config.pruning, self.masks)
            apply_masks(network, self.masks)
        chunk, first = self.batches.at(self.step)
        torch.manual_seed(config.seed * 1_000_003 + self.step)
        network.train()
        output = network(chunk[:-1], None if first else self.state)
        self.state = output.state
        cross_entropy = functional.cross_entropy(output.logits.flatten(0, 1), chunk[1:].flatten())
        if not math.isfinite(cross_entropy.item()):
            raise UserError(f"training loss at step {self.step}", "is not a number any more", f"lower learning_rate={config.learning_rate}")
        self.optimizer.zero_grad(set_to_none=True)
        (cross_entropy + self._activity_loss(output)).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), config.gradient_clip)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(config, self.step)
        self.optimizer.step()
        apply_masks(network, self.masks)
        with torch.no_grad():
            for layer in network.event_layers():
                layer.threshold.clamp_(0.0, THRESHOLD_MAX)
        return cross_entropy.item()

    def _activity_loss(self, output: NetworkOutput) -> Tensor | float:
        activity = self.config.activity
        if activity is None:
            return 0.0
        neurons = sum(self.network.config.hidden_sizes)
        events = torch.stack([fired.mean() * fired.shape[-1] for fired in output.fired]).sum() / neurons
        return activity.weight * (events - activity.target).clamp(min=0.0)

    def validate(self) -> None:
        """Measure the validation split and keep the weights when they are the best so far."""
        result = evaluate_network(self.network, self.dataset.valid, self.config.validation_streams)
        entry = {"step": self.step, "bits": result.bits_per_symbol, "event_density": result.total_event_density}
        entry["weight_density"] = density(self.network)
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
        return max(0.0, entry["event_density"] - self.config.max_event_density), entry["bits"]

    def metrics(self) -> dict[str, Any]:
        """Return what the phase measured."""
        return {
            "steps": self.step,
            "best_step": self.best["step"],
            "validation_bits": self.best["bits"],
            "event_density": self.best["event_density"],
            "weight_density": self.best["weight_density"],
            "history": self.history,
            "seconds": self.seconds,
        }

    def write(self, out_folder: Path, *, force: bool) -> None:
        """Write the best network."""
        with torch.no_grad():
            for name, parameter in self.network.named_parameters():
                parameter.copy_(self.best_weights[name])
        manifest = self._manifest(self.metrics(), {"config": self.config.model_dump(mode="json")})
        checkpoint.save(out_folder, manifest, checkpoint.network_tensors(self.network, self.best_masks), force=force)

    def save_progress(self, folder: Path) -> None:
        """Write everything that the rest of the phase depends on."""
        training = {
            "config": self.config.model_dump(mode="json"),
            "best": self.best,
            "history": self.history,
            "stale": self.stale,
            "seconds": self.seconds,
            "start_sparsity": self.start_sparsity,
        }
        tensors = checkpoint.network_tensors(self.network, self.masks)
        tensors |= {f"{BEST}{name}": weight for name, weight in self.best_weights.items()}
        tensors |= {f"{BEST}{checkpoint.MASK}{name}": mask for name, mask in self.best_masks.items()}
        for name, parameter in self.network.named_parameters():
            for key, value in self.optimizer.state.get(parameter, {}).items():
                tensors[f"{OPTIMIZER}{name}/{key}"] = value
        for index, layer in enumerate(self.state or []):
            tensors |= {f"{STATE}{index}.c": layer.c, f"{STATE}{index}.y": layer.y}
        checkpoint.save(folder, self._manifest({}, training), {name: t.clone() for name, t in tensors.items()}, force=True)

    def restore(self, loaded: Checkpoint) -> None:
        """Take up what `save_progress` wrote.

        Raises:
            UserError: When it was written by another configuration or for another text.
        """
        training = loaded.manifest.training
        if training.get("config") != self.config.model_dump(mode="json"):
            raise UserError(f"unfinished run {loaded.folder}", "has another configuration", "resume with the same one, or give --force")
        _require_vocabulary(loaded, self.dataset)
        arithmetic = self.network.arithmetic
        if isinstance(arithmetic, QuantizedArithmetic):
            arithmetic.set_exponents(loaded.manifest.exponents or {})
        self.step, self.best, self.history = loaded.manifest.step, training["best"], training["history"]
        self.stale, self.seconds, self.start_sparsity = training["stale"], training["seconds"], training["start_sparsity"]
        self.masks = loaded.masks()
        best = loaded.group(BEST)
        self.best_masks = {name.removeprefix(checkpoint.MASK): t for name, t in best.items() if name.startswith(checkpoint.MASK)}
        self.best_weights = {name: t for name, t in best.items() if not name.startswith(checkpoint.MASK)}
        weights, moments = loaded.group(checkpoint.PARAMETER), loaded.group(OPTIMIZER)
        with torch.no_grad():
            for name, parameter in self.network.named_parameters():
                parameter.copy_(weights[name])
                entries = {key.split("/")[1]: value for key, value in moments.items() if key.split("/")[0] == name}
                if entries:
                    self.optimizer.state[parameter] = entries
        layers = range(len(self.network.config.hidden_sizes))
        self.state = [LayerState(loaded.tensors[f"{STATE}{index}.c"], loaded.tensors[f"{STATE}{index}.y"]) for index in layers]

    def _manifest(self, metrics: dict[str, Any], training: dict[str, Any]) -> Manifest:
        arithmetic = self.network.arithmetic
        quantized = arithmetic if isinstance(arithmetic, QuantizedArithmetic) else None
        return Manifest(
            network=self.network.config,
            quantization=quantized.config if quantized else None,
            exponents=quantized.exponents if quantized else None,
            data=DataInfo(name=self.dataset.name, unit=self.dataset.unit, vocabulary=self.dataset.vocabulary),
            step=self.step,
            metrics=metrics,
            training=training,
        )


class _Batches:
    """The training text dealt over streams, cut into chunks, from another place in every epoch."""

    def __init__(self, tokens: np.ndarray, config: TrainConfig) -> None:
        self._tokens = tokens
        self._seed, self._chunk = config.seed, config.chunk
        self._steps = len(tokens) // config.streams
        self._streams = config.streams
        self._chunks = (self._steps - 1) // config.chunk
        if self._chunks < 1:
            raise UserError(
                f"a training text of {len(tokens)} symbols",
                f"is too short for streams={config.streams} of chunk={config.chunk}",
                "lower streams or chunk, or give a longer text",
            )
        self._epoch, self._dealt = -1, np.zeros((0, 0), np.int64)

    def at(self, step: int) -> tuple[Tensor, bool]:
        """Return the tokens of a step, int64, shape (chunk + 1, streams), and whether they begin a sequence."""
        epoch, index = divmod(step, self._chunks)
        if epoch != self._epoch:
            offset = int(np.random.default_rng((self._seed, epoch)).integers(len(self._tokens)))
            rolled = np.roll(self._tokens, -offset)[: self._streams * self._steps]
            self._epoch, self._dealt = epoch, np.ascontiguousarray(rolled.reshape(self._streams, self._steps).T)
        start = index * self._chunk
        return torch.as_tensor(self._dealt[start : start + self._chunk + 1]), index == 0


def learning_rate(config: TrainConfig, step: int) -> float:
    """Return the learning rate of a step: linear warm-up, constant, then half a cosine."""
    rate = config.learning_rate * min(1.0, (step + 1) / max(1, config.warmup_steps))
    start = min(max(config.cosine_from, config.warmup_steps), config.steps - 1)
    done = max(0, step - start) / max(1, config.steps - 1 - start)
    return rate * (config.final_learning_rate + (1.0 - config.final_learning_rate) * 0.5 * (1.0 + math.cos(math.pi * done)))


def _optimizer(network: EventNetwork, config: TrainConfig) -> torch.optim.AdamW:
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    thresholds = {id(layer.threshold) for layer in network.event_layers()}
    # Decay pulls towards zero: right for matrices, wrong for biases and thresholds.
    decayed = [p for p in trained if p.ndim > 1 and id(p) not in thresholds]
    rest = [p for p in trained if not any(p is d for d in decayed)]
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": rest, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas, fused=True)


def _require_vocabulary(loaded: Checkpoint, dataset: TextDataset) -> None:
    if loaded.manifest.data.vocabulary != dataset.vocabulary:
        raise UserError(
            f"checkpoint {loaded.folder}, trained on {loaded.manifest.data.name}",
            f"has another vocabulary than {dataset.name}",
            "give the text that it was trained on",
        )


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
