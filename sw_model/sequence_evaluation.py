"""How well a network of features does on a split: accuracy, cross entropy or error, events; float, fake-quantised or integer.

All three go through the same arithmetic: the logits of a sequence's own frames, as float64. Those of a quantised network are integers
times a power of two, which float64 holds exactly, so its figures are those of the integer reference to the last bit. No figure of a
quantised network depends on how many sequences are computed side by side.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np
import torch

from sw_model.digest import RunDigest
from sw_model.errors import UserError
from sw_model.evaluate import Advance
from sw_model.event_gru import EventNetwork
from sw_model.feature_dataset import FeatureSplit
from sw_model.input_encoding import EncodedInput, FeatureInput, encode
from sw_model.macs import EventCounts
from sw_model.quantized_model import QuantizedModel
from sw_model.quantizers import QuantizedArithmetic
from sw_model.readout import Readout
from sw_model.reference import BatchedReference

DEFAULT_STREAMS = 64


@dataclass(frozen=True)
class SequenceEvaluation:
    """What was measured over a split.

    Attributes:
        sequences: How many.
        events: How often each neuron sent an event, and each input channel had one.
        saturated: Features of all frames that the encoding could not hold.
        bits: Mean of -log2 p of the right class; None of a regression. Of the read-out ``mean`` p is of the mean logits, of ``last`` of the
            last; of ``steps`` the mean is over all frames.
        confusion: Decisions, int64, shape (classes, classes), the right class first: sequences, or of ``steps`` frames. None of a
            regression.
        squared_error: Mean squared error per target, in units of the target's variance over the training split, shape (targets,); None of a
            classification.
        digest: Of every event and logit, sequence by sequence; None when it was not asked for.
    """

    sequences: int
    events: EventCounts
    saturated: int
    bits: float | None
    confusion: np.ndarray | None
    squared_error: np.ndarray | None
    digest: str | None = None

    @property
    def accuracy(self) -> float | None:
        """Share of right decisions; None of a regression."""
        return None if self.confusion is None else float(np.trace(self.confusion) / self.confusion.sum())


@dataclass(frozen=True)
class _Run:
    """Sequences side by side, padded to the longest: all that figures depend on.

    Attributes:
        logits: As real numbers, float64, shape (steps, sequences, classes).
        events: Per layer the event values, as real numbers, shape (steps, sequences, neurons).
        fired: Per layer which neurons sent an event, bool, same shape.
    """

    logits: np.ndarray
    events: Sequence[np.ndarray]
    fired: Sequence[np.ndarray]


#: Runs input events of shape (steps, sequences, channels).
_Runner = Callable[[np.ndarray], _Run]


@dataclass(frozen=True)
class _Judge:
    """Turns runs into figures."""

    readout: Readout
    split: FeatureSplit
    encoded: EncodedInput
    #: Logits and events to integers; None where no digest is wanted.
    scales: tuple[float, float] | None

    def inputs(self, indices: np.ndarray) -> np.ndarray:
        """Return the input events of these sequences, int16, shape (steps, sequences, channels)."""
        return pad([self.encoded.values[self.split.offsets[i] : self.split.offsets[i + 1]] for i in indices])

    def count(self, run: _Run, inputs: np.ndarray, lengths: np.ndarray) -> EventCounts:
        """Count the events of the sequences' own frames."""
        own = (np.arange(len(inputs))[:, None] < lengths)[..., None]
        sent = tuple((fired & own).sum(axis=(0, 1)) for fired in run.fired)
        last = tuple(fired[lengths - 1, np.arange(len(lengths))].sum(axis=0) for fired in run.fired)
        return EventCounts(int(lengths.sum()), sent, last, np.count_nonzero(inputs, axis=(0, 1)))

    def quality(self, logits: np.ndarray, index: int) -> np.ndarray:
        """Return what one sequence adds: bits and frames or sequences decided for each class; of a regression squared errors and frames."""
        if self.readout.kind == "regression":
            assert self.split.targets is not None
            assert self.readout.target_scale is not None
            targets = self.split.targets[self.split.offsets[index] : self.split.offsets[index + 1]]
            errors = (self.readout.outputs(logits, 0) - targets) / self.readout.target_scale
            return np.append((errors**2).sum(axis=0), len(logits))
        assert self.split.labels is not None
        label, classes = int(self.split.labels[index]), logits.shape[-1]
        decided = np.bincount(np.atleast_1d(self.readout.decisions(logits)), minlength=classes)
        if self.readout.kind == "mean":
            logits = logits.mean(axis=0, keepdims=True)
        elif self.readout.kind == "last":
            logits = logits[-1:]
        shifted = logits - logits.max(axis=-1, keepdims=True)
        nats = np.log(np.exp(shifted).sum(axis=-1)) - shifted[:, label]
        return np.append(nats.sum() / np.log(2.0), decided)

    def digest(self, run: _Run, place: int, length: int) -> RunDigest:
        """Digest one sequence."""
        assert self.scales is not None
        logit_scale, event_scale = self.scales
        found = RunDigest(1)
        for t in range(length):
            at = (t, slice(place, place + 1))
            found.update(
                [layer[at] * event_scale for layer in run.events], [layer[at] for layer in run.fired], run.logits[at] * logit_scale
            )
        return found


def pad(sequences: Sequence[np.ndarray]) -> np.ndarray:
    """Put sequences of shape (frames, ...) side by side, shape (longest, sequences, ...), with zeros after their ends."""
    longest = max(len(one) for one in sequences)
    padded = np.zeros((longest, len(sequences), *sequences[0].shape[1:]), sequences[0].dtype)
    for place, one in enumerate(sequences):
        padded[: len(one), place] = one
    return padded


def evaluate_sequences(
    network: EventNetwork,
    split: FeatureSplit,
    feature_input: FeatureInput,
    readout: Readout,
    event_bits: int,
    streams: int = DEFAULT_STREAMS,
    *,
    digest: bool = False,
    advance: Advance | None = None,
) -> SequenceEvaluation:
    """Measure a float or fake-quantised network in its own floating type; every sequence starts at zero state.

    Args:
        network: On any device; left in the mode it was in.
        split: Its sequences, with labels or targets.
        feature_input: The encoding.
        readout: What is decided from the logits.
        event_bits: Bits of an input event.
        streams: Sequences side by side.
        digest: Whether to digest the run; a network that equals its exported model gives the digest of `evaluate_sequence_model`.
        advance: Called as the run goes on.

    Raises:
        UserError: When the frames do not suit the encoding, or a digest is wanted of a network that is not quantised and in float64.
    """
    device, arithmetic, scales = network.decoder_bias.device, network.arithmetic, None
    if digest:
        if not isinstance(arithmetic, QuantizedArithmetic) or network.decoder_bias.dtype != torch.float64:
            rule = "needs integers, which only a quantised network in float64 computes"
            raise UserError("the digest of a run", rule, "quantise the network and call its double()")
        scales = (2.0 ** (arithmetic.weights["decoder"].frac + event_bits), 2.0**event_bits)

    def run(inputs: np.ndarray) -> _Run:
        with torch.no_grad():
            output = network(torch.as_tensor(inputs * 2.0**-event_bits).to(device, network.decoder_bias.dtype))
        events = [layer.cpu().numpy() for layer in output.events] if digest else []
        return _Run(output.logits.double().cpu().numpy(), events, [layer.cpu().numpy() > 0 for layer in output.fired])

    was_training = network.training
    network.eval()
    try:
        judge = _Judge(readout, split, encode(feature_input, event_bits, split.features, split.offsets), scales)
        return _evaluate(run, judge, streams, 1, advance)
    finally:
        network.train(was_training)


def evaluate_sequence_model(
    model: QuantizedModel,
    split: FeatureSplit,
    streams: int = DEFAULT_STREAMS,
    *,
    jobs: int = 1,
    digest: bool = False,
    advance: Advance | None = None,
) -> SequenceEvaluation:
    """Measure an exported model of features through the integer reference; every sequence starts at zero state.

    Args:
        model: The model.
        split: Its sequences, with labels or targets.
        streams: Sequences side by side.
        jobs: Threads that they are dealt over; the result is the same, to the last bit, for any number.
        digest: Whether to digest the run.
        advance: Called as the run goes on.

    Raises:
        UserError: When the model reads no features, or the frames do not suit its encoding.
    """
    if model.feature_input is None or model.readout is None:
        raise UserError("a model of tokens", "reads no features", "give a model of features, or a text")
    event_bits, reference = model.formats.event_bits, BatchedReference(model)
    logit_scale, event_scale = 2.0 ** (model.decoder.weight_frac + event_bits), 2.0**event_bits

    def run(inputs: np.ndarray) -> _Run:
        steps = list(reference.run(np.moveaxis(inputs, 0, 1)))
        layers = range(len(model.layers))
        events = [np.stack([step.events[layer] for step in steps]) / event_scale for layer in layers] if digest else []
        fired = [np.stack([step.fired[layer] for step in steps]) for layer in layers]
        return _Run(np.stack([step.logits for step in steps]) / logit_scale, events, fired)

    encoded = encode(model.feature_input, event_bits, split.features, split.offsets)
    judge = _Judge(model.readout, split, encoded, (logit_scale, event_scale) if digest else None)
    return _evaluate(run, judge, streams, jobs, advance)


def _evaluate(run: _Runner, judge: _Judge, streams: int, jobs: int, advance: Advance | None) -> SequenceEvaluation:
    split = judge.split
    # Sequences of about the same length go together; figures are added up in the order of the split.
    order = np.argsort(-split.lengths, kind="stable")
    batches = [order[start : start + streams] for start in range(0, split.sequences, streams)]
    found: list[np.ndarray] = [np.empty(0)] * split.sequences
    digests = [RunDigest(0)] * split.sequences
    outputs = 0

    def measure(indices: np.ndarray) -> EventCounts:
        nonlocal outputs
        inputs, lengths = judge.inputs(indices), split.lengths[indices]
        done = run(inputs)
        for place, index in enumerate(indices):
            found[index] = judge.quality(done.logits[: lengths[place], place], int(index))
            if judge.scales is not None:
                digests[index] = judge.digest(done, place, int(lengths[place]))
        outputs = done.logits.shape[-1]
        return judge.count(done, inputs, lengths)

    events = reduce(add, _with_progress(measure, batches, split, jobs, advance))
    digest = reduce(add, digests).hexdigest() if judge.scales is not None else None
    rows, saturated = np.stack(found), judge.encoded.saturated
    if judge.readout.kind == "regression":
        total = rows.sum(axis=0)
        return SequenceEvaluation(split.sequences, events, saturated, None, None, total[:-1] / total[-1], digest)
    assert split.labels is not None
    confusion = np.zeros((outputs, outputs), np.int64)
    np.add.at(confusion, split.labels, rows[:, 1:].astype(np.int64))
    return SequenceEvaluation(split.sequences, events, saturated, float(rows[:, 0].sum() / confusion.sum()), confusion, None, digest)


def _with_progress(
    measure: Callable[[np.ndarray], EventCounts], batches: list[np.ndarray], split: FeatureSplit, jobs: int, advance: Advance | None
) -> Iterator[EventCounts]:
    if jobs == 1:
        # Without a thread of its own: torch's settings, as whether gradients are taken, are a thread's.
        results: Iterator[EventCounts] = map(measure, batches)
        yield from _told(results, batches, split, advance)
        return
    with ThreadPoolExecutor(jobs) as pool:
        yield from _told(pool.map(measure, batches), batches, split, advance)


def _told(results: Iterator[EventCounts], batches: list[np.ndarray], split: FeatureSplit, advance: Advance | None) -> Iterator[EventCounts]:
    for counts, indices in zip(results, batches, strict=True):
        if advance is not None:
            advance(len(indices), split.sequences)
        yield counts
