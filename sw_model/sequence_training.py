"""Training on sequences of features: whole sequences in batches, padded to the longest; a `sw_model.training_task.Task`.

The state is zero at the start of every sequence, and what follows its end has no part in any loss. Loss, by the read-out: cross entropy of
the mean of the logits over a sequence's own frames (``mean``), of its last frame's (``last``), the mean over frames (``steps``); the
squared error of normalised targets (``regression``). Which sequences a step sees, and how they are changed, are functions of seed and step.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sw_model.augmentation import Augmentation, augment
from sw_model.captured_gradient import CapturedGradient
from sw_model.checkpoint import Checkpoint, FeatureDataInfo
from sw_model.dropout import DropoutMasks
from sw_model.errors import UserError
from sw_model.event_gru import EventNetwork, FeatureNetworkConfig
from sw_model.feature_dataset import FeatureDataset, FeatureSplit, offsets_of
from sw_model.feature_match import require_same_features
from sw_model.input_encoding import FeatureInput, calibrate, encode
from sw_model.readout import Readout, ReadoutKind
from sw_model.sequence_evaluation import evaluate_sequences, pad
from sw_model.sequence_order import SequenceOrder
from sw_model.stepper import Descent, Stepper, activity_loss
from sw_model.train_config import FeatureConfig, TrainConfig

#: Of an input, for initial weights: those of a channel that is nearly always silent would be large.
LEAST_DEVIATION = 0.1


@dataclass(frozen=True)
class SequenceBatch:
    """Sequences side by side.

    Attributes:
        inputs: Input events as real numbers, float32, shape (steps, sequences, channels); 0 after a sequence's end.
        lengths: Frames of each sequence, int64, shape (sequences,).
        labels: Class of each sequence, int64, shape (sequences,); None of a regression.
        targets: Normalised, float32, shape (steps, sequences, targets); None of a classification.
    """

    inputs: Tensor
    lengths: Tensor
    labels: Tensor | None
    targets: Tensor | None

    @property
    def frames(self) -> Tensor:
        """Which steps are frames of a sequence, bool, shape (steps, sequences)."""
        return torch.arange(len(self.inputs), device=self.inputs.device)[:, None] < self.lengths


def sequence_loss(kind: ReadoutKind, logits: Tensor, batch: SequenceBatch, label_smoothing: float = 0.0) -> Tensor:
    """Return the loss of the module's header: nats, or squared error.

    Args:
        kind: Read-out.
        logits: Shape (steps, sequences, outputs); what they are after a sequence's end does not matter.
        batch: What they are of.
        label_smoothing: Share of each label that is spread over all classes.
    """
    frames = batch.frames
    # Sums over frames are products with 0 and 1: to choose frames, the host would have to wait for the GPU to know how many there are.
    if kind == "regression":
        assert batch.targets is not None
        squares = (logits - batch.targets).square().mean(dim=-1)
        return (squares * frames).sum() / frames.sum()
    assert batch.labels is not None
    labels = batch.labels
    if kind == "mean":
        logits = (logits * frames[..., None]).sum(dim=0) / batch.lengths[:, None]
    elif kind == "last":
        logits = logits[batch.lengths - 1, torch.arange(len(labels), device=labels.device)]
    else:
        every = functional.cross_entropy(
            logits.flatten(0, 1), labels.expand(len(logits), -1).flatten(), label_smoothing=label_smoothing, reduction="none"
        )
        return (every * frames.flatten()).sum() / frames.sum()
    return functional.cross_entropy(logits, labels, label_smoothing=label_smoothing)


class SequenceStepper(Descent):
    """Autograd through `EventNetwork` over whole sequences, on any device."""

    def __init__(self, network: EventNetwork, config: TrainConfig, kind: ReadoutKind) -> None:
        """Train ``network`` in place by the loss of a read-out."""
        super().__init__(network, config)
        self._kind = kind
        self._gradient = CapturedGradient(network, self._loss)

    def step(self, chunk: SequenceBatch, first: bool, learning_rate: float, seed: int) -> Tensor:
        """See `Stepper`; every sequence begins here, whatever ``first`` says."""
        torch.manual_seed(seed)
        loss = self._gradient(chunk)
        self._descend(learning_rate)
        return loss

    def _loss(self, chunk: SequenceBatch) -> tuple[Tensor, Tensor]:
        shapes = self._network.mask_shapes(len(chunk.inputs))
        masks = DropoutMasks.allocate(self._config.dropout, shapes, chunk.inputs.device).draw()
        output = self._network(chunk.inputs, None, masks)
        loss = sequence_loss(self._kind, output.logits, chunk, self._config.label_smoothing)
        return loss + activity_loss(self._config, output, chunk.frames), loss


class SequenceBatches:
    """The training sequences in another order in every epoch, augmented and encoded.

    Attributes:
        order: Which sequences a step sees.
    """

    def __init__(self, split: FeatureSplit, config: TrainConfig, feature_input: FeatureInput, readout: Readout, event_bits: int) -> None:
        """Take the sequences.

        Raises:
            UserError: When they are too few, or the frames do not suit the encoding.
        """
        self.order = SequenceOrder(split, config.streams, config.seed)
        self._split, self._config, self._feature_input, self._readout = split, config, feature_input, readout
        self._event_bits = event_bits
        self._augmented = config.augmentation != Augmentation()
        self._deviation = split.features.std(axis=0, dtype=np.float64)
        self._encoded = None if self._augmented else encode(feature_input, event_bits, split.features, split.offsets).values
        self._device = torch.device(config.device)

    def at(self, step: int) -> SequenceBatch:
        """Return what a step trains on."""
        indices, split = self.order.at(step), self._split
        lengths, labels, targets = split.lengths[indices], None, None
        if split.labels is not None:
            labels = torch.as_tensor(split.labels[indices]).to(self._device)
        if split.targets is not None and self._readout.target_offset is not None:
            normalised = (split.targets - self._readout.target_offset) / self._readout.target_scale
            targets = self._tensor(pad([normalised[split.offsets[i] : split.offsets[i + 1]] for i in indices]))
        inputs = pad(self._augment(step, indices) if self._encoded is None else self._stored(indices))
        return SequenceBatch(self._tensor(inputs * 2.0**-self._event_bits), torch.as_tensor(lengths).to(self._device), labels, targets)

    def _stored(self, indices: np.ndarray) -> list[np.ndarray]:
        assert self._encoded is not None
        return [self._encoded[self._split.offsets[i] : self._split.offsets[i + 1]] for i in indices]

    def _augment(self, step: int, indices: np.ndarray) -> list[np.ndarray]:
        # A key of three: that of an epoch's order has two.
        rng = np.random.default_rng((self._config.seed, step, 1))
        changed = [augment(self._split.sequence(i), rng, self._config.augmentation, self._deviation) for i in indices]
        offsets = offsets_of([len(one) for one in changed])
        values = encode(self._feature_input, self._event_bits, np.concatenate(changed), offsets).values
        return np.split(values, offsets[1:-1])

    def _tensor(self, values: np.ndarray) -> Tensor:
        return torch.as_tensor(values.astype(np.float32)).to(self._device)


class SequenceTask:
    """See `sw_model.training_task.Task`."""

    def __init__(self, dataset: FeatureDataset, config: TrainConfig, start: Checkpoint | None = None) -> None:
        """Take the data set; encoding and read-out are those of ``start``, or new ones fitted to the training split.

        Raises:
            UserError: When ``start`` reads something else, or the configuration does not fit the data set.
        """
        self._dataset, self._config = dataset, config
        self.info = describe(dataset, config.features) if start is None else self._known(start)
        if config.quantization is not None and config.quantization.event_bits != self.info.event_bits:
            rule = f"is not the event_bits={self.info.event_bits} of the encoding, which the first phase has fixed"
            raise UserError(f"event_bits={config.quantization.event_bits} of the quantisation", rule, "use the same in both")
        self._feature_input, self._readout = self.info.feature_input(), self.info.readout()
        self._batches = SequenceBatches(dataset.train, config, self._feature_input, self._readout, self.info.event_bits)

    @property
    def quality(self) -> str:
        """See `Task`. Of a classification the cross entropy: it is finer than the error rate, which ties on small validation splits."""
        return "squared_error" if self._readout.kind == "regression" else "bits"

    def new_network(self) -> EventNetwork:
        """See `Task`."""
        outputs = len(self._dataset.class_names or self._dataset.target_names)
        shape = self._config.network.model_dump()
        if shape.get("tied_decoder"):
            raise UserError("tied_decoder", "needs an embedding, which a network of features has not", "leave it out")
        network = EventNetwork(FeatureNetworkConfig(channels=self._feature_input.channels, classes=outputs, **shape))
        self._centre(network)
        return network

    def _centre(self, network: EventNetwork) -> None:
        """Begin as if inputs had mean 0 and deviation 1; they are not negative, and all of them are far from 0 together."""
        split, layer = self._dataset.train, network.event_layers()[0]
        inputs = encode(self._feature_input, self.info.event_bits, split.features, split.offsets).values * 2.0**-self.info.event_bits
        assert layer.weight is not None
        with torch.no_grad():
            layer.weight.div_(torch.as_tensor(np.maximum(inputs.std(axis=0), LEAST_DEVIATION), dtype=torch.float32))
            layer.bias.sub_(layer.weight @ torch.as_tensor(inputs.mean(axis=0), dtype=torch.float32))

    def require_match(self, loaded: Checkpoint) -> None:
        """See `Task`."""
        if self._known(loaded) != self.info:
            raise UserError(f"checkpoint {loaded.folder}", "encodes its features otherwise", "give --force to drop it")

    def _known(self, loaded: Checkpoint) -> FeatureDataInfo:
        known = loaded.features()
        require_same_features(known.match(), self._dataset, f"checkpoint {loaded.folder}")
        return known

    def stepper(self, network: EventNetwork) -> Stepper[SequenceBatch]:
        """See `Task`."""
        return SequenceStepper(network, self._config, self._readout.kind)

    def batch(self, step: int) -> tuple[SequenceBatch, bool]:
        """See `Task`."""
        return self._batches.at(step), True

    def validate(self, network: EventNetwork) -> dict[str, float]:
        """See `Task`."""
        streams = self._config.validation_streams
        found = evaluate_sequences(network, self._dataset.valid, self._feature_input, self._readout, self.info.event_bits, streams)
        entry = {"event_density": found.events.total_density}
        if found.squared_error is not None:
            return entry | {"squared_error": float(found.squared_error.mean())}
        assert found.accuracy is not None
        assert found.bits is not None
        return entry | {"bits": found.bits, "error_rate": 1.0 - found.accuracy}


def describe(dataset: FeatureDataset, config: FeatureConfig) -> FeatureDataInfo:
    """Choose encoding and read-out for a data set, by its training split.

    Raises:
        UserError: When the configuration does not make a legal encoding or read-out.
    """
    features = dataset.train.features
    feature_input = calibrate(
        features,
        config.event_bits,
        config.encoding,
        quantiles=config.quantiles,
        delta_threshold=config.delta_threshold,
        names=dataset.feature_names,
    )
    readout = Readout(config.readout, config.window)
    if dataset.train.targets is not None:
        targets = dataset.train.targets.astype(np.float64)
        deviation = targets.std(axis=0)
        readout = Readout("regression", 1, targets.mean(axis=0), np.where(deviation > 0, deviation, 1.0))
    outputs = dataset.class_names or dataset.target_names
    return FeatureDataInfo.of(dataset.name, feature_input, readout, outputs, dataset.frame_rate, config.event_bits, dataset.front_end)
