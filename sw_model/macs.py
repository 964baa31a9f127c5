"""Counting multiply-accumulates (docs/semantics.md, section 9): dense, weight-sparse, weight- and event-sparse."""

from dataclasses import dataclass

import numpy as np

from sw_model.quantized_model import QuantizedModel
from sw_model.reference import BatchedReference, initial_state


@dataclass(frozen=True)
class EventCounts:
    """Events of a run, per layer an int64 array of shape (neurons,), summed over streams and steps.

    Attributes:
        steps: Time steps, over all streams.
        sent: Events sent.
        fed_back: Events of the step before that the layer itself read; smaller than ``sent`` by those of the last step.
    """

    steps: int
    sent: tuple[np.ndarray, ...]
    fed_back: tuple[np.ndarray, ...]

    @property
    def density(self) -> tuple[float, ...]:
        """Events per neuron and step, per layer."""
        return tuple(float(sent.sum() / (len(sent) * self.steps)) for sent in self.sent)

    @property
    def total_density(self) -> float:
        """Events per neuron and step over all layers, weighted by neurons."""
        return float(sum(sent.sum() for sent in self.sent) / (sum(len(sent) for sent in self.sent) * self.steps))


@dataclass(frozen=True)
class Macs:
    """MACs per time step of one matrix group."""

    dense: float
    weight_sparse: float
    event_sparse: float

    def __add__(self, other: "Macs") -> "Macs":
        """Add two groups."""
        return Macs(self.dense + other.dense, self.weight_sparse + other.weight_sparse, self.event_sparse + other.event_sparse)


@dataclass(frozen=True)
class MacReport:
    """MACs per time step.

    Attributes:
        layers: W (layers after the first) and R of each layer.
        decoder: The decoder, kept apart.
        input_projection: Dense embedding product that the token table replaces: zero in hardware, kept apart.
    """

    layers: tuple[Macs, ...]
    decoder: Macs
    input_projection: int

    @property
    def without_decoder(self) -> Macs:
        """Sum over the layers."""
        return sum(self.layers, Macs(0, 0, 0))

    @property
    def with_decoder(self) -> Macs:
        """Sum over the layers and the decoder."""
        return self.without_decoder + self.decoder


def count_events(model: QuantizedModel, tokens: np.ndarray) -> EventCounts:
    """Run the integer reference and count each neuron's events.

    Args:
        model: The model.
        tokens: int, shape (streams, steps); every stream starts a sequence.
    """
    reference, states = BatchedReference(model), initial_state(model, (tokens.shape[0],))
    sent = [np.zeros(layer.neurons, np.int64) for layer in model.layers]
    fed_back = [np.zeros(layer.neurons, np.int64) for layer in model.layers]
    for column in tokens.T:
        for total, state in zip(fed_back, states, strict=True):
            total += state.fired.sum(axis=0)
        for total, fired in zip(sent, reference.step(column, states).fired, strict=True):
            total += fired.sum(axis=0)
    return EventCounts(tokens.size, tuple(sent), tuple(fed_back))


def count_macs(model: QuantizedModel, events: EventCounts) -> MacReport:
    """Count MACs per time step.

    Args:
        model: Gives the stored weights.
        events: Gives how often each column is walked.
    """
    layers = []
    for index, layer in enumerate(model.layers):
        macs = _matrix(layer.recurrent_weight, events.fed_back[index], events.steps)
        if index:
            macs += _matrix(layer.input_weight, events.sent[index - 1], events.steps)
        layers.append(macs)
    decoder = _matrix(model.decoder.weight, events.sent[-1], events.steps)
    return MacReport(tuple(layers), decoder, model.input_projection.weight.size)


def weight_density(model: QuantizedModel) -> float:
    """Return the share of non-zero integers in W (layers after the first), R and the decoder."""
    matrices = [model.decoder.weight]
    for layer in model.layers:
        matrices += [layer.recurrent_weight, layer.input_weight]
    return sum(int(np.count_nonzero(m)) for m in matrices) / sum(m.size for m in matrices)


def layer_weight_densities(model: QuantizedModel) -> list[float]:
    """Return the share of non-zero weights among W (layers after the first) and R, per layer."""
    counts = [
        (np.count_nonzero(x.input_weight) + np.count_nonzero(x.recurrent_weight), x.input_weight.size + x.recurrent_weight.size)
        for x in model.layers
    ]
    return [nonzero / size for nonzero, size in counts]


def _matrix(weight: np.ndarray, walks: np.ndarray, steps: int) -> Macs:
    """Count one matrix whose last axis is the source; ``walks`` says how often each source sent an event."""
    columns = np.count_nonzero(weight, axis=tuple(range(weight.ndim - 1)))
    return Macs(weight.size, int(columns.sum()), float(columns @ walks / steps))
