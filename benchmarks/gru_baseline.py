"""A GRU of the EGRU's shape on sequences of features: ``python -m benchmarks.gru_baseline --data DIR --hidden 192 --out FILE.json``.

The peer of the EGRU in quality: torch's GRU in float32, the mean of its outputs over each sequence's own frames, a linear decoder, cross
entropy. Sequences come in the order that the EGRU sees with this seed, and changed by the same augmentation; features are normalised by
mean and deviation of the training split. The learning rate rises over the first tenth of the steps and falls along a cosine. The best
epoch is the one of least cross entropy on the validation split; the test split is measured once, in the end.
"""

import math
import os
import time
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
import typer
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from benchmarks.results_file import errors_to_exit_codes, write_results
from egru.output import progress_console
from sw_model.augmentation import Augmentation, augment
from sw_model.errors import UserError
from sw_model.feature_dataset import FeatureDataset, FeatureSplit
from sw_model.feature_sources import load_features
from sw_model.sequence_order import SequenceOrder
from sw_model.strict_toml import StrictModel, validate
from sw_model.version import __version__

WARM_UP = 0.1
#: Sequences side by side in an evaluation.
SIDE_BY_SIDE = 256


class GruConfig(StrictModel):
    """What is trained, and how.

    Attributes:
        hidden: Units of each layer.
        layers: How many.
        epochs: Passes over the training split.
        batch: Sequences of an optimiser step.
        learning_rate: Highest of the schedule.
        weight_decay: Of AdamW; matrices only.
        dropout: Share of the outputs of each layer that is dropped while training.
        label_smoothing: Share of each label that is spread over all classes.
        gradient_clip: Largest norm of the whole gradient.
        augmentation: What is done to the sequences that are trained on.
        seed: Fixes initial weights, order, augmentation and dropout.
        device: Of torch.
    """

    hidden: int = Field(ge=1)
    layers: int = Field(ge=1)
    epochs: int = Field(ge=1)
    batch: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(ge=0)
    dropout: float = Field(ge=0, lt=1)
    label_smoothing: float = Field(ge=0, lt=1)
    gradient_clip: float = Field(gt=0)
    augmentation: Augmentation
    seed: int = Field(ge=0, lt=1 << 31)
    device: Literal["cpu", "cuda"]


class GruRecord(BaseModel):
    """What one training gave.

    Attributes:
        format: What the file is.
        dataset: Name of the data set.
        dataset_digest: See `FeatureDataset.digest`.
        config: What was trained.
        accuracy: Share of right decisions on the test split.
        validation_accuracy: On the validation split, of the same epoch.
        validation_bits: Cross entropy there, per sequence.
        best_epoch: The epoch of these weights, the first is 1.
        parameters: Trained values.
        weights: Of them those in matrices.
        macs_per_frame: See `macs_per_frame`.
        macs_without_decoder: The same without the decoder.
        seconds: Of the whole training, validations included.
        hardware: GPU, or CPU.
        versions: Of torch and of this package.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["egru-gru-baseline-1"] = "egru-gru-baseline-1"
    dataset: str
    dataset_digest: str
    config: GruConfig
    accuracy: float
    validation_accuracy: float
    validation_bits: float
    best_epoch: int
    parameters: int
    weights: int
    macs_per_frame: int
    macs_without_decoder: int
    seconds: float
    hardware: str
    versions: dict[str, str]


def macs_per_frame(features: int, hidden: int, layers: int, classes: int) -> int:
    """Count the multiply-accumulates of a frame.

    A layer has three gates, each a product with its input and with its own state: 3 hidden (inputs + hidden). The decoder, hidden times
    classes, counts in every frame, as the EGRU's does: the logits of the mean are the mean of the logits.
    """
    inputs = [features] + [hidden] * (layers - 1)
    return sum(3 * hidden * (count + hidden) for count in inputs) + hidden * classes


class GruNetwork(nn.Module):
    """GRU layers, mean over a sequence's own frames, linear decoder."""

    def __init__(self, features: int, classes: int, config: GruConfig) -> None:
        """Draw initial weights from torch's generator."""
        super().__init__()
        between = config.dropout if config.layers > 1 else 0.0
        self.gru = nn.GRU(features, config.hidden, config.layers, dropout=between)
        self.dropout = nn.Dropout(config.dropout)
        self.decoder = nn.Linear(config.hidden, classes)

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Return logits, shape (sequences, classes).

        Args:
            features: Normalised, shape (frames of the longest, sequences, features); what comes after a sequence's end has no part.
            lengths: Frames of each sequence, int64, shape (sequences,).
        """
        outputs = self.gru(features)[0]
        own = torch.arange(len(features), device=features.device)[:, None] < lengths
        mean = (outputs * own[..., None]).sum(dim=0) / lengths[:, None]
        logits: Tensor = self.decoder(self.dropout(mean))
        return logits


class Training:
    """A GRU on its way through a data set."""

    def __init__(self, dataset: FeatureDataset, config: GruConfig) -> None:
        """Draw initial weights.

        Raises:
            UserError: When the data set is no classification or too small for a batch, or there is no such device.
        """
        if dataset.task != "classification":
            raise UserError(f"data set {dataset.name}", "is no classification", "give one with classes")
        if config.device == "cuda" and not torch.cuda.is_available():
            raise UserError("--device cuda", "needs a GPU that torch can use", "choose cpu")
        torch.manual_seed(config.seed)
        self.dataset, self.config = dataset, config
        self._order = SequenceOrder(dataset.train, config.batch, config.seed)
        self._device = torch.device(config.device)
        features = dataset.train.features
        self._deviation = features.std(axis=0, dtype=np.float64)
        self._mean, self._scale = features.mean(axis=0, dtype=np.float64), np.where(self._deviation > 0, self._deviation, 1.0)
        self.network = GruNetwork(features.shape[1], len(dataset.class_names), config).to(self._device)
        matrices = [parameter for parameter in self.network.parameters() if parameter.ndim > 1]
        biases = [parameter for parameter in self.network.parameters() if parameter.ndim == 1]
        groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": biases, "weight_decay": 0.0}]
        self._optimizer = torch.optim.AdamW(groups, lr=config.learning_rate)
        steps = self._order.batches * config.epochs
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimizer, config.learning_rate, steps, pct_start=WARM_UP, cycle_momentum=False, final_div_factor=1e3
        )

    def run(self) -> GruRecord:
        """Train, and measure the test split with the best weights.

        Raises:
            UserError: When the loss is no longer a number.
        """
        begun, best, weights = time.monotonic(), (math.inf, 0.0, 0), {}
        for epoch in range(1, self.config.epochs + 1):
            loss = self._epoch(epoch)
            bits, accuracy = self.evaluate(self.dataset.valid)
            if bits < best[0]:
                best = (bits, accuracy, epoch)
                weights = {name: value.detach().clone() for name, value in self.network.state_dict().items()}
            _say(f"epoch {epoch}: loss {loss:.3f} nats, validation {bits:.3f} bits, {accuracy:.2%}; {time.monotonic() - begun:.0f} s")
        seconds = time.monotonic() - begun
        self.network.load_state_dict(weights)
        config, sizes = self.config, [parameter.numel() for parameter in self.network.parameters()]
        macs = macs_per_frame(len(self._mean), config.hidden, config.layers, len(self.dataset.class_names))
        return GruRecord(
            dataset=self.dataset.name,
            dataset_digest=self.dataset.digest(),
            config=config,
            accuracy=self.evaluate(self.dataset.test)[1],
            validation_accuracy=best[1],
            validation_bits=best[0],
            best_epoch=best[2],
            parameters=sum(sizes),
            weights=sum(parameter.numel() for parameter in self.network.parameters() if parameter.ndim > 1),
            macs_per_frame=macs,
            macs_without_decoder=macs - config.hidden * len(self.dataset.class_names),
            seconds=seconds,
            hardware=torch.cuda.get_device_name() if config.device == "cuda" else "CPU",
            versions={"torch": torch.__version__, "egru-fpga": __version__},
        )

    def _epoch(self, epoch: int) -> float:
        """Train one epoch; return the mean of its losses, in nats."""
        split, config, losses = self.dataset.train, self.config, []
        assert split.labels is not None
        self.network.train()
        for step in range((epoch - 1) * self._order.batches, epoch * self._order.batches):
            indices, rng = self._order.at(step), np.random.default_rng((config.seed, step, 1))
            changed = [augment(split.sequence(i), rng, config.augmentation, self._deviation) for i in indices]
            logits = self.network(*self._batch(changed))
            labels = torch.as_tensor(split.labels[indices]).to(self._device)
            loss = functional.cross_entropy(logits, labels, label_smoothing=config.label_smoothing)
            self._optimizer.zero_grad()
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(self.network.parameters(), config.gradient_clip)
            self._optimizer.step()
            self._schedule.step()
            losses.append(loss.detach())
        mean = float(torch.stack(losses).mean())
        if not math.isfinite(mean):
            raise UserError(f"training loss of epoch {epoch}", "is not a number any more", f"lower learning_rate={config.learning_rate}")
        return mean

    @torch.no_grad()
    def evaluate(self, split: FeatureSplit) -> tuple[float, float]:
        """Return cross entropy in bits per sequence, and accuracy."""
        assert split.labels is not None
        order, bits, right = np.argsort(split.lengths, kind="stable"), 0.0, 0
        self.network.eval()
        for start in range(0, split.sequences, SIDE_BY_SIDE):
            indices = order[start : start + SIDE_BY_SIDE]
            logits = self.network(*self._batch([split.sequence(i) for i in indices])).double()
            labels = torch.as_tensor(split.labels[indices]).to(self._device)
            bits += functional.cross_entropy(logits, labels, reduction="sum").item() / math.log(2.0)
            right += int((logits.argmax(dim=1) == labels).sum())
        return bits / split.sequences, right / split.sequences

    def _batch(self, sequences: list[np.ndarray]) -> tuple[Tensor, Tensor]:
        normalised = [torch.as_tensor(((one - self._mean) / self._scale).astype(np.float32)) for one in sequences]
        lengths = torch.as_tensor([len(one) for one in sequences])
        return pad_sequence(normalised).to(self._device), lengths.to(self._device)


def run(
    data: Annotated[str, typer.Option(help="Feature streams: a folder that egru data wrote, or generated.")],
    out: Annotated[Path, typer.Option(help="JSON file of the result.")],
    hidden: Annotated[int, typer.Option(help="Units of each layer.")] = 128,
    layers: Annotated[int, typer.Option(help="Layers.")] = 1,
    epochs: Annotated[int, typer.Option(help="Passes over the training split.")] = 12,
    batch: Annotated[int, typer.Option(help="Sequences of an optimiser step.")] = 64,
    learning_rate: Annotated[float, typer.Option(help="Highest of the schedule.")] = 3e-3,
    weight_decay: Annotated[float, typer.Option(help="Of AdamW; matrices only.")] = 0.01,
    dropout: Annotated[float, typer.Option(help="Share of the outputs of each layer that is dropped.")] = 0.0,
    label_smoothing: Annotated[float, typer.Option(help="Share of each label that is spread over all classes.")] = 0.0,
    gradient_clip: Annotated[float, typer.Option(help="Largest norm of the whole gradient.")] = 1.0,
    time_shift: Annotated[int, typer.Option(help="Most frames by which a sequence comes earlier or later.")] = 0,
    time_mask: Annotated[int, typer.Option(help="Most frames in a row that are hidden.")] = 0,
    feature_mask: Annotated[int, typer.Option(help="Most features side by side that are hidden.")] = 0,
    noise: Annotated[float, typer.Option(help="Deviation of the noise, as a share of each feature's own.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Of weights, order, augmentation and dropout.")] = 1,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Train a GRU on feature streams and measure it."""
    # cuBLAS, which cuDNN calls on several streams, adds in a fixed order only with workspaces of a fixed size.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    with errors_to_exit_codes():
        given = {
            "hidden": hidden,
            "layers": layers,
            "epochs": epochs,
            "batch": batch,
            "learning_rate": learning_rate,
            "weight_decay": weight_decay,
            "dropout": dropout,
            "label_smoothing": label_smoothing,
            "gradient_clip": gradient_clip,
            "augmentation": {"time_shift": time_shift, "time_mask": time_mask, "feature_mask": feature_mask, "noise": noise},
            "seed": seed,
            "device": device,
        }
        config = validate(given, GruConfig, "options")
        record = Training(load_features(data), config).run()
        write_results(record, out)
        _say(f"seed {seed}: {record.accuracy:.2%} of the test split, {record.parameters:,} parameters, {record.seconds:.0f} s")


def _say(words: str) -> None:
    progress_console.print(words, soft_wrap=True, highlight=False)


if __name__ == "__main__":
    typer.run(run)
