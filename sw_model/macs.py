"""Counting multiply-accumulates (docs/semantics.md, section 9): dense, weight-sparse, weight- and event-sparse."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sw_model.quantized_model import QuantizedModel
from sw_model.reference import BatchedReference
from sw_model.strict_toml import StrictModel


@dataclass(frozen=True)
class EventCounts:
    """Events of a run, per layer an int64 array of shape (neurons,), summed over streams and steps.

    Attributes:
        steps: Time steps, over all streams.
        sent: Events sent.
        last: Those of each stream's last step, which the layer itself never read.
        inputs: Input events of a model of features, int64, shape (channels,); None in a model of tokens.
    """

    steps: int
    sent: tuple[np.ndarray, ...]
    last: tuple[np.ndarray, ...]
    inputs: np.ndarray | None = None

    def __add__(self, other: "EventCounts") -> "EventCounts":
        """Return the counts over the streams of both."""
        sent = tuple(a + b for a, b in zip(self.sent, other.sent, strict=True))
        last = tuple(a + b for a, b in zip(self.last, other.last, strict=True))
        inputs = None if self.inputs is None or other.inputs is None else self.inputs + other.inputs
        return EventCounts(self.steps + other.steps, sent, last, inputs)

    @property
    def fed_back(self) -> tuple[np.ndarray, ...]:
        """Events of the step before that the layer itself read."""
        return tuple(sent - last for sent, last in zip(self.sent, self.last, strict=True))

    @property
    def density(self) -> tuple[float, ...]:
        """Events per neuron and step, per layer."""
        return tuple(float(sent.sum() / (len(sent) * self.steps)) for sent in self.sent)

    @property
    def input_density(self) -> float | None:
        """Input events per channel and step; None in a model of tokens."""
        return None if self.inputs is None else float(self.inputs.sum() / (len(self.inputs) * self.steps))

    @property
    def total_density(self) -> float:
        """Events per neuron and step over all layers, weighted by neurons."""
        return float(sum(sent.sum() for sent in self.sent) / (sum(len(sent) for sent in self.sent) * self.steps))


class EventCounter:
    """Counts the events of a run as it goes on."""

    def __init__(self, model: QuantizedModel, lengths: np.ndarray | None = None) -> None:
        """Start at zero.

        Args:
            model: What runs.
            lengths: Steps of each stream, int, shape (streams,): what a stream does after its last step is not counted. When not given,
                all streams end where the counting ends.
        """
        self._lengths = lengths
        self._time = self._steps = 0
        self._sent = [np.zeros(layer.neurons, np.int64) for layer in model.layers]
        self._last = self._sent
        self._inputs = np.zeros(model.channels, np.int64) if model.channels else None

    def add(self, fired: Sequence[np.ndarray], inputs: np.ndarray | None = None) -> None:
        """Count one time step.

        Args:
            fired: Per layer which neurons sent an event, bool, shape (streams, neurons).
            inputs: Input events of a model of features, shape (streams, channels).
        """
        if self._lengths is None:
            self._last = [layer.sum(axis=0) for layer in fired]
            now, steps = self._last, len(fired[0])
        else:
            running, ending = self._lengths > self._time, self._lengths == self._time + 1
            self._last = [total + layer[ending].sum(axis=0) for total, layer in zip(self._last, fired, strict=True)]
            now, steps = [layer[running].sum(axis=0) for layer in fired], int(running.sum())
            inputs = None if inputs is None else inputs[running]
        self._time += 1
        self._steps += steps
        self._sent = [total + added for total, added in zip(self._sent, now, strict=True)]
        if self._inputs is not None and inputs is not None:
            self._inputs = self._inputs + np.count_nonzero(inputs, axis=0)

    def counts(self) -> EventCounts:
        """Return what was counted so far."""
        return EventCounts(self._steps, tuple(self._sent), tuple(self._last), self._inputs)


@dataclass(frozen=True)
class Macs:
    """MACs per time step of one matrix group.

    Attributes:
        dense: All weights.
        weight_sparse: The non-zero weights.
        event_sparse: The non-zero weights in the columns of the neurons that sent an event.
        dense_columns: All weights in those columns: what event sparsity alone would leave.
    """

    dense: float
    weight_sparse: float
    event_sparse: float
    dense_columns: float

    def __add__(self, other: "Macs") -> "Macs":
        """Add two groups."""
        return Macs(
            self.dense + other.dense,
            self.weight_sparse + other.weight_sparse,
            self.event_sparse + other.event_sparse,
            self.dense_columns + other.dense_columns,
        )

    @property
    def law_ratio(self) -> float | None:
        """Event-sparse MACs as a share of dense × weight density × event density; None where that product is 0.

        Weight density is that of the group, ``weight_sparse / dense``. Event density is ``dense_columns / dense``: events per source and
        step that the group's matrices read, weighted by the sizes of the matrices. The share is 1 where events and non-zero weights are
        independent of each other, and more than 1 where the neurons that send more events have the fuller columns.
        """
        law = self.weight_sparse * self.dense_columns
        return self.event_sparse * self.dense / law if law else None


class MacsSummary(StrictModel):
    """`Macs` as files hold them."""

    dense: float
    weight_sparse: float
    event_sparse: float

    @classmethod
    def of(cls, macs: Macs) -> "MacsSummary":
        """Take the figures of one matrix group."""
        return cls(dense=macs.dense, weight_sparse=macs.weight_sparse, event_sparse=macs.event_sparse)


@dataclass(frozen=True)
class MacReport:
    """MACs per time step.

    Attributes:
        layers: W (not in layer 0 of a model of tokens) and R of each layer.
        decoder: The decoder, kept apart.
        input_projection: Dense embedding product that the token table replaces: zero in hardware, kept apart. A model of features has none.
    """

    layers: tuple[Macs, ...]
    decoder: Macs
    input_projection: int

    @property
    def without_decoder(self) -> Macs:
        """Sum over the layers."""
        return sum(self.layers, Macs(0, 0, 0, 0))

    @property
    def with_decoder(self) -> Macs:
        """Sum over the layers and the decoder."""
        return self.without_decoder + self.decoder


def count_events(model: QuantizedModel, inputs: np.ndarray, lengths: np.ndarray | None = None) -> EventCounts:
    """Run the integer reference and count each neuron's events.

    Args:
        model: The model.
        inputs: Tokens, int, shape (streams, steps), or input events, int, shape (streams, steps, channels); every stream starts a sequence.
        lengths: Steps of each stream, see `EventCounter`.
    """
    counter = EventCounter(model, lengths)
    for t, step in enumerate(BatchedReference(model).run(inputs)):
        counter.add(step.fired, inputs[:, t] if model.channels else None)
    return counter.counts()


def count_macs(model: QuantizedModel, events: EventCounts) -> MacReport:
    """Count MACs per time step.

    Args:
        model: Gives the stored weights.
        events: Gives how often each column is walked.
    """
    layers = []
    for index, layer in enumerate(model.layers):
        macs = _matrix(layer.recurrent_weight, events.fed_back[index], events.steps)
        walks = events.sent[index - 1] if index else events.inputs
        if walks is not None:
            macs += _matrix(layer.input_weight, walks, events.steps)
        layers.append(macs)
    decoder = _matrix(model.decoder.weight, events.sent[-1], events.steps)
    return MacReport(tuple(layers), decoder, 0 if model.input_projection is None else model.input_projection.weight.size)


def weight_density(model: QuantizedModel) -> float:
    """Return the share of non-zero integers in W (not in layer 0 of a model of tokens), R and the decoder."""
    matrices = [model.decoder.weight]
    for layer in model.layers:
        matrices += [layer.recurrent_weight, layer.input_weight]
    return sum(int(np.count_nonzero(m)) for m in matrices) / sum(m.size for m in matrices)


def layer_weight_densities(model: QuantizedModel) -> list[float]:
    """Return the share of non-zero weights among W (not in layer 0 of a model of tokens) and R, per layer."""
    counts = [
        (np.count_nonzero(x.input_weight) + np.count_nonzero(x.recurrent_weight), x.input_weight.size + x.recurrent_weight.size)
        for x in model.layers
    ]
    return [nonzero / size for nonzero, size in counts]


def _matrix(weight: np.ndarray, walks: np.ndarray, steps: int) -> Macs:
    """Count one matrix whose last axis is the source; ``walks`` says how often each source sent an event."""
    columns = np.count_nonzero(weight, axis=tuple(range(weight.ndim - 1)))
    rows = weight.size // len(columns)
    return Macs(weight.size, int(columns.sum()), float(columns @ walks / steps), float(rows * walks.sum() / steps))
