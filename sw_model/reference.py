"""The integer reference: docs/semantics.md as code. Normative, torch-free, exact.

Two forms share one element-wise update. `BatchedReference` takes many streams at once through GEMMs; `EventDrivenStream` takes one stream
and walks the columns of the neurons that sent an event, as the hardware does, and counts events and MACs.

Where a model of tokens takes a token, a model of features takes the input events of its channels, as `sw_model.input_encoding` makes them:
integers, 0 for silence.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from itertools import count
from operator import iadd

import numpy as np

from sw_model.fixed_point import SIGMOID_FRAC, TANH_FRAC, rescale, saturate, table_index
from sw_model.quantized_model import QuantizedLayer, QuantizedModel


@dataclass(frozen=True)
class Accumulators:
    """The four sums of a layer before the update; int64, shape (..., neurons)."""

    z: np.ndarray
    r: np.ndarray
    g_input: np.ndarray
    g_recurrent: np.ndarray


@dataclass
class LayerState:
    """What a layer carries from step to step; int64, shape (..., neurons).

    Attributes:
        c: State, ``state_bits - 1`` fraction bits.
        y: Event values of the last step, ``event_bits`` fraction bits; 0 where no event was sent.
        fired: Whether an event was sent (its value may round to 0).
    """

    c: np.ndarray
    y: np.ndarray
    fired: np.ndarray


@dataclass(frozen=True)
class Step:
    """What the network did in one time step.

    Attributes:
        events: Per layer the event values, int64, shape (..., neurons).
        fired: Per layer which neurons sent an event, bool, same shape.
        logits: int64, shape (..., classes), ``decoder.weight_frac + event_bits`` fraction bits.
    """

    events: tuple[np.ndarray, ...]
    fired: tuple[np.ndarray, ...]
    logits: np.ndarray


def update(model: QuantizedModel, layer: QuantizedLayer, acc: Accumulators, p: np.ndarray, c: np.ndarray) -> LayerState:
    """Element-wise part of a time step (docs/semantics.md, section 4).

    Args:
        model: Gives formats and tables.
        layer: Gives reset bias, threshold and accumulator scale.
        acc: The four sums.
        p: Input pre-activations, int64, shape (..., 3, neurons).
        c: State before the step, int64, shape (..., neurons).

    Returns:
        State and events after the step.
    """
    formats = model.formats
    frac, gate, state = formats.preact_frac, formats.gate_bits, formats.state_frac
    acc_frac = layer.weight_frac + formats.event_bits

    def preactivation(value: np.ndarray) -> np.ndarray:
        limited: np.ndarray = saturate(rescale(value, acc_frac, frac), *formats.preact_limits)
        return limited

    a_z = preactivation(acc.z) + p[..., 0, :]
    a_r = preactivation(acc.r) + p[..., 1, :]
    a_gx = preactivation(acc.g_input) + p[..., 2, :]
    a_gr = preactivation(acc.g_recurrent) + layer.reset_bias
    z = model.sigmoid_table.astype(np.int64)[table_index(a_z, frac, SIGMOID_FRAC)]
    r = model.sigmoid_table.astype(np.int64)[table_index(a_r, frac, SIGMOID_FRAC)]
    g = model.tanh_table.astype(np.int64)[table_index((a_gx << gate) + r * a_gr, frac + gate, TANH_FRAC)]
    candidate = g << (state - gate)
    c_hat = candidate + rescale(z * (c - candidate), gate, 0)
    fired = c_hat > layer.threshold
    value = np.minimum(rescale(c_hat, state, formats.event_bits), formats.event_max)
    return LayerState(c=c_hat - layer.threshold * fired, y=value * fired, fired=fired)


def initial_state(model: QuantizedModel, streams: tuple[int, ...] = ()) -> list[LayerState]:
    """Return the state at the start of a sequence, for an array of ``streams``."""
    shapes = [(*streams, layer.neurons) for layer in model.layers]
    return [LayerState(np.zeros(s, np.int64), np.zeros(s, np.int64), np.zeros(s, bool)) for s in shapes]


class _ExactProduct:
    """``y @ weight.T`` over integers through float32 GEMMs that cannot round.

    Event values are not negative, so in every order of summation every partial sum of a row lies between the sum of its negative and the
    sum of its positive weights, each times the largest event (docs/semantics.md, section 7). float32 holds every integer up to 2**24; the
    columns are cut into as many parts as keep all rows within that, and the parts are added as integers. Even a dozen parts take less time
    than one float64 GEMM. One column always fits: its products have at most 19 bits.
    """

    _LIMIT = 1 << 24

    def __init__(self, weight: np.ndarray, largest_event: int) -> None:
        for parts in count(1):
            columns = np.array_split(weight.T, parts)
            if all(_largest_sum(part) * largest_event <= self._LIMIT for part in columns):
                break
        self._parts = [np.ascontiguousarray(part, dtype=np.float32) for part in columns]
        self._cuts = np.cumsum([len(part) for part in columns])[:-1]

    def __call__(self, y: np.ndarray) -> np.ndarray:
        events = np.split(y.astype(np.float32), self._cuts, axis=-1)
        total: np.ndarray = reduce(iadd, ((x @ part).astype(np.int64) for x, part in zip(events, self._parts, strict=True)))
        return total


def _largest_sum(columns: np.ndarray) -> int:
    """Return the largest magnitude that the positive or the negative weights of one row sum up to; int, shape (columns, rows)."""
    sums = (np.maximum(columns, 0).sum(axis=0, dtype=np.int64), -np.minimum(columns, 0).sum(axis=0, dtype=np.int64))
    return max(int(rows.max()) for rows in sums)


class BatchedReference:
    """Many streams in lock-step through exact GEMMs."""

    def __init__(self, model: QuantizedModel) -> None:
        """Prepare the weights of ``model`` for GEMM."""
        self._model = model
        self._input_table = model.input_table()
        top = model.formats.event_max
        self._input = [_ExactProduct(_rows(layer.input_weight), top) for layer in model.layers]
        self._recurrent = [_ExactProduct(_rows(layer.recurrent_weight), top) for layer in model.layers]
        self._decoder = _ExactProduct(model.decoder.weight, top)

    def step(self, inputs: np.ndarray, states: list[LayerState]) -> Step:
        """Advance every stream by one time step.

        Args:
            inputs: Tokens, int, shape (streams,); input events of a model of features, int, shape (streams, channels).
            states: One per layer, shape (streams, neurons); replaced in place.

        Raises:
            ValueError: When the inputs are no events of this model.
        """
        model = self._model
        x = require_events(model, inputs) if model.channels else None
        for index, layer in enumerate(model.layers):
            p = layer.bias.astype(np.int64) if index or model.channels else self._input_table[inputs]
            recurrent = self._recurrent[index](states[index].y).reshape(-1, 3, layer.neurons)
            below = np.zeros_like(recurrent) if x is None else self._input[index](x).reshape(-1, 3, layer.neurons)
            acc = Accumulators(
                z=below[:, 0] + recurrent[:, 0], r=below[:, 1] + recurrent[:, 1], g_input=below[:, 2], g_recurrent=recurrent[:, 2]
            )
            states[index] = update(model, layer, acc, p, states[index].c)
            x = states[index].y
        assert x is not None  # a QuantizedModel has at least one layer
        logits = self._decoder(x) + model.decoder.bias
        return Step(tuple(s.y for s in states), tuple(s.fired for s in states), logits)

    def run(self, inputs: np.ndarray, states: list[LayerState] | None = None) -> Iterator[Step]:
        """Yield one `Step` per time step of ``inputs``, carrying ``states`` across.

        Args:
            inputs: Tokens, int, shape (streams, steps), or input events, int, shape (streams, steps, channels).
            states: One per layer; replaced in place. Those of the start of a sequence when not given.
        """
        states = initial_state(self._model, (inputs.shape[0],)) if states is None else states
        for column in np.moveaxis(inputs, 1, 0):
            yield self.step(column, states)


@dataclass
class WorkCounts:
    """What an event-driven engine did, summed over steps.

    Attributes:
        steps: Time steps.
        events: Events sent, one entry per layer.
        macs: Non-zero weights walked, one entry per layer.
        decoder_macs: Non-zero decoder weights walked.
        input_events: Input events of a model of features; their MACs are among those of layer 0.
    """

    steps: int
    events: list[int]
    macs: list[int]
    decoder_macs: int
    input_events: int = 0


class EventDrivenStream:
    """One stream, column by column, as the hardware computes it; counts its work."""

    def __init__(self, model: QuantizedModel) -> None:
        """Compress the columns of ``model`` and start a sequence."""
        self._model = model
        self._input_table = model.input_table()
        self._input_columns = [_columns(_rows(layer.input_weight)) for layer in model.layers]
        self._recurrent_columns = [_columns(_rows(layer.recurrent_weight)) for layer in model.layers]
        self._decoder_columns = _columns(model.decoder.weight)
        self.counts = WorkCounts(0, [0] * len(model.layers), [0] * len(model.layers), 0)
        self.states = initial_state(model)

    def reset(self) -> None:
        """Start a new sequence; the counts go on."""
        self.states = initial_state(self._model)

    def step(self, inputs: int | np.ndarray) -> Step:
        """Advance by one time step.

        Args:
            inputs: A token; in a model of features the input events, int, shape (channels,).

        Raises:
            ValueError: When the inputs are no events of this model.
        """
        model = self._model
        x = fired = None
        if model.channels:
            x = require_events(model, np.asarray(inputs))
            fired = x > 0
            self.counts.input_events += int(fired.sum())
        for index, layer in enumerate(model.layers):
            before = self.states[index]
            recurrent, macs = _walk(self._recurrent_columns[index], before.y, before.fired, 3 * layer.neurons)
            below = np.zeros_like(recurrent)
            if x is not None and fired is not None:
                below, input_macs = _walk(self._input_columns[index], x, fired, 3 * layer.neurons)
                macs += input_macs
            (rz, rr, rg), (xz, xr, xg) = recurrent.reshape(3, -1), below.reshape(3, -1)
            p = layer.bias.astype(np.int64) if index or model.channels else self._input_table[inputs]
            acc = Accumulators(z=xz + rz, r=xr + rr, g_input=xg, g_recurrent=rg)
            after = self.states[index] = update(model, layer, acc, p, before.c)
            self.counts.events[index] += int(after.fired.sum())
            self.counts.macs[index] += macs
            x, fired = after.y, after.fired
        assert x is not None  # a QuantizedModel has at least one layer
        assert fired is not None
        logits, decoder_macs = _walk(self._decoder_columns, x, fired, model.classes)
        self.counts.decoder_macs += decoder_macs
        self.counts.steps += 1
        return Step(tuple(s.y for s in self.states), tuple(s.fired for s in self.states), logits + model.decoder.bias)


def require_events(model: QuantizedModel, inputs: np.ndarray) -> np.ndarray:
    """Check the input events of a model of features: sums are exact only for what the encoding can make.

    Args:
        model: The model.
        inputs: Shape (..., channels).

    Returns:
        The same as int64.

    Raises:
        ValueError: When they have another number of channels, or a value is no integer of 0 to the largest event.
    """
    top = model.formats.event_max
    if inputs.shape[-1:] != (model.channels,) or not np.issubdtype(inputs.dtype, np.integer):
        raise ValueError(f"input events of shape {inputs.shape}, {inputs.dtype} are not integers of {model.channels} channels")
    if inputs.size and not 0 <= inputs.min() <= inputs.max() <= top:
        raise ValueError(f"input events of {inputs.min()} to {inputs.max()} leave 0 to {top}")
    return inputs.astype(np.int64)


def _rows(weight: np.ndarray) -> np.ndarray:
    """Stack the gates: (3, neurons, inputs) to (3 * neurons, inputs)."""
    gates, neurons, inputs = weight.shape
    return weight.reshape(gates * neurons, inputs)


def _columns(weight: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return per column the rows and values of its non-zero weights."""
    columns = []
    for column in weight.T.astype(np.int64):
        rows = np.flatnonzero(column)
        columns.append((rows, column[rows]))
    return columns


def _walk(columns: list[tuple[np.ndarray, np.ndarray]], values: np.ndarray, fired: np.ndarray, rows: int) -> tuple[np.ndarray, int]:
    """Accumulate the columns of the sources that fired; return the sums and the MACs spent."""
    sums, macs = np.zeros(rows, np.int64), 0
    for source in np.flatnonzero(fired):
        index, weight = columns[source]
        sums[index] += weight * values[source]
        macs += len(index)
    return sums, macs
