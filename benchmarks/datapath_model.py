"""Models whose weight density and event density are chosen, while the arithmetic stays real.

Weights are gaussian with uneven rows and columns, pruned globally by magnitude. Who fires is decided by the token table: every step has a
token of its own, which pushes the candidate of the chosen neurons up and that of the others down, and z lets the candidate replace nearly
all of the state. The recurrent sums move gates and event values without overturning the table, so a wrong sum shows as a wrong event value
while the densities stay as asked.

The decoder has four classes, one lane's worth of rows and a handful of weights, so that it never limits the layer before it.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from sw_model.fixed_point import Formats, symmetric_limit
from sw_model.quantized_model import InputProjection, QuantizedDecoder, QuantizedLayer, QuantizedModel
from sw_model.reference import BatchedReference

WEIGHT_BITS = 8
CLASSES = 4
DECODER_COLUMNS = 4  # neurons that each class looks at
TABLE_FRAC = 6  # of the token table: int8 then covers -2 to 2
ROW_SPREAD = COLUMN_SPREAD = 0.4  # deviation of the logarithm of row and column scales
RATE_SPREAD = 0.5  # the same of the neurons' firing rates
SUM_DEVIATION = 0.2  # of the recurrent sums, as a real number; the table pushes by 1 and more
BALANCING_ROUNDS = 24
DECIDED = (1.0, 1.5)  # range of the push where it must win against the sums
SPREAD = (0.1, 1.9)  # the same where nothing opposes it: dense inputs differ from step to step
MEAN_EVENT = 0.75  # value of an event of these models, roughly


@dataclass(frozen=True)
class ControlledSpec:
    """One layer with chosen densities.

    Attributes:
        units: Neurons.
        weight_density: Share of non-zero recurrent weights, above 0 to 1.
        event_density: Share of neurons that fire in a step, above 0 to 1.
        steps: Time steps; there is one token for each, in order.
        seed: Of all draws.
    """

    units: int
    weight_density: float
    event_density: float
    steps: int
    seed: int = 1


@dataclass(frozen=True)
class DenseInputSpec:
    """Layers behind dense inputs, all weights non-zero, about half of the neurons firing.

    Attributes:
        inputs: Dense inputs: a first layer of neurons without recurrent weights that fire at every step.
        units: Neurons of each layer after it.
        steps: Time steps; there is one token for each, in order.
        seed: Of all draws.
    """

    inputs: int
    units: tuple[int, ...]
    steps: int
    seed: int = 1


def controlled_model(spec: ControlledSpec) -> QuantizedModel:
    """Draw the model that ``spec`` describes; the same spec gives the same model."""
    rng = np.random.default_rng(spec.seed)
    formats = Formats()
    recurrent = magnitude_pruned(rng, (3, spec.units, spec.units), spec.weight_density)
    fires = event_plan(rng, spec.steps, spec.units, spec.event_density)
    layer = QuantizedLayer(
        input_weight=np.zeros((3, spec.units, 0), np.int8),
        recurrent_weight=recurrent,
        weight_bits=WEIGHT_BITS,
        weight_frac=_sum_frac(recurrent, spec.event_density, SUM_DEVIATION),
        bias=_bias(rng, spec.units, formats, z=-4.0),
        reset_bias=_real(rng.normal(0.0, 0.1, spec.units), formats),
        threshold=_thresholds(rng, spec.units, formats),
    )
    return _assemble(rng, formats, _table(rng, fires, DECIDED), (layer,))


def dense_input_model(spec: DenseInputSpec) -> QuantizedModel:
    """Draw the model that ``spec`` describes; the same spec gives the same model."""
    rng = np.random.default_rng(spec.seed)
    formats = Formats()
    fires = np.ones((spec.steps, spec.inputs), bool)
    first = QuantizedLayer(
        input_weight=np.zeros((3, spec.inputs, 0), np.int8),
        recurrent_weight=np.zeros((3, spec.inputs, spec.inputs), np.int8),
        weight_bits=WEIGHT_BITS,
        weight_frac=WEIGHT_BITS - 1,
        bias=_bias(rng, spec.inputs, formats, z=-4.0),
        reset_bias=np.zeros(spec.inputs, np.int32),
        threshold=np.zeros(spec.inputs, np.int32),
    )
    layers, inputs, mean_input = [first], spec.inputs, MEAN_EVENT
    for units in spec.units:
        layers.append(_dense_layer(rng, formats, units, inputs, mean_input))
        inputs, mean_input = units, 0.5 * MEAN_EVENT
    model = _assemble(rng, formats, _table(rng, fires, SPREAD), tuple(layers))
    for turn in range(BALANCING_ROUNDS):
        model = _balanced(model, spec.steps, gain=0.5 / (1 + turn / 4))  # smaller and smaller, since the neurons push each other
    return model


def magnitude_pruned(rng: np.random.Generator, shape: tuple[int, ...], density: float) -> np.ndarray:
    """Draw uneven gaussian weights, keep the largest and quantise them to `WEIGHT_BITS`, none of the kept ones to zero.

    Args:
        rng: Source of randomness.
        shape: (gates, rows, columns); a column's scale is common to all gates.
        density: Share of weights to keep.

    Returns:
        int8, of ``shape``, with ``round(density * size)`` non-zero weights.
    """
    scale = rng.lognormal(0.0, ROW_SPREAD, (*shape[:-1], 1)) * rng.lognormal(0.0, COLUMN_SPREAD, shape[-1])
    weight = rng.normal(size=shape) * scale
    magnitude = np.abs(weight).ravel()
    kept = np.argpartition(-magnitude, round(density * weight.size) - 1)[: round(density * weight.size)]
    limit = symmetric_limit(WEIGHT_BITS)
    full_scale = np.quantile(magnitude[kept], 0.999)  # a few outliers saturate, as in a least-squares choice of the exponent
    quantised = np.zeros(weight.size, np.int8)
    quantised[kept] = np.clip(np.rint(magnitude[kept] * limit / full_scale), 1, limit) * np.sign(weight.ravel()[kept])
    return quantised.reshape(shape)


def event_plan(rng: np.random.Generator, steps: int, units: int, density: float) -> np.ndarray:
    """Choose who fires: uneven rates, another set in each step, ``density * units`` events in every step up to rounding.

    Returns:
        bool, shape (steps, units).
    """
    # The largest of log(rate) + Gumbel noise are a sample without replacement with odds in proportion to the rates.
    score = rng.normal(0.0, RATE_SPREAD, units) + rng.gumbel(size=(steps, units))
    place = np.argsort(np.argsort(-score, axis=1), axis=1)
    events = np.diff(np.rint(np.arange(steps + 1) * density * units))  # any run of steps has the density asked for
    fires: np.ndarray = place < events[:, np.newaxis]
    return fires


def _dense_layer(rng: np.random.Generator, formats: Formats, units: int, inputs: int, mean_input: float) -> QuantizedLayer:
    weight = magnitude_pruned(rng, (3, units, inputs + units), 1.0)
    input_weight, recurrent = np.split(weight, [inputs], axis=2)
    frac = _sum_frac(weight, 0.5, 1.0)
    bias = _bias(rng, units, formats, z=-2.0)
    # The mean of the inputs must not decide for good who fires.
    bias[2] = _real(-mean_input * input_weight[2].sum(axis=1) * 2.0**-frac, formats)
    return QuantizedLayer(
        input_weight=np.ascontiguousarray(input_weight),
        recurrent_weight=np.ascontiguousarray(recurrent),
        weight_bits=WEIGHT_BITS,
        weight_frac=frac,
        bias=bias,
        reset_bias=_real(rng.normal(0.0, 0.1, units), formats),
        threshold=_thresholds(rng, units, formats),
    )


def _balanced(model: QuantizedModel, steps: int, gain: float) -> QuantizedModel:
    """Push the candidate of every neuron after the first layer towards firing in half of the steps."""
    fired = [step.fired for step in BatchedReference(model).run(np.arange(steps)[np.newaxis])]
    layers = [model.layers[0]]
    for index, layer in enumerate(model.layers[1:], start=1):
        rate = np.mean([step[index][0] for step in fired], axis=0)
        bias = layer.bias.copy()
        bias[2] = np.clip(bias[2] + _real(gain * (0.5 - rate), model.formats), *model.formats.preact_limits)
        layers.append(replace(layer, bias=bias))
    return replace(model, layers=tuple(layers))


def _assemble(rng: np.random.Generator, formats: Formats, table: np.ndarray, layers: tuple[QuantizedLayer, ...]) -> QuantizedModel:
    """Put the layers between a one-hot embedding and a decoder; ``table``, int8, shape (tokens, 3, neurons), becomes the token table."""
    neurons = layers[-1].neurons
    decoder = np.zeros((CLASSES, neurons), np.int8)
    for row in decoder:
        row[rng.choice(neurons, min(DECODER_COLUMNS, neurons), replace=False)] = rng.choice([-64, -32, 32, 64])
    return QuantizedModel(
        formats=formats,
        input_projection=InputProjection(
            embedding=np.eye(len(table), dtype=np.int8),
            embedding_frac=0,
            weight=np.ascontiguousarray(table.transpose(1, 2, 0)),
            weight_frac=TABLE_FRAC,
        ),
        layers=layers,
        decoder=QuantizedDecoder(
            weight=decoder, weight_bits=WEIGHT_BITS, weight_frac=WEIGHT_BITS - 1, bias=rng.integers(-1000, 1001, CLASSES).astype(np.int32)
        ),
        sigmoid_table=formats.sigmoid_table().astype(np.int32),
        tanh_table=formats.tanh_table().astype(np.int32),
    )


def _table(rng: np.random.Generator, fires: np.ndarray, push: tuple[float, float]) -> np.ndarray:
    """Return what each token adds to z, r and g: int8, shape (steps, 3, units); ``push`` is the range of the candidate's argument."""
    table = np.empty((fires.shape[0], 3, fires.shape[1]))
    table[:, 0] = rng.normal(0.0, 0.25, fires.shape)
    table[:, 1] = rng.normal(0.0, 0.5, fires.shape)
    table[:, 2] = np.where(fires, 1.0, -1.0) * rng.uniform(*push, fires.shape)
    limit = symmetric_limit(8)
    scaled: np.ndarray = np.clip(np.rint(table * (1 << TABLE_FRAC)), -limit, limit).astype(np.int8)
    return scaled


def _bias(rng: np.random.Generator, units: int, formats: Formats, *, z: float) -> np.ndarray:
    """Return biases with z's mean as given, r's and g's zero: int32, shape (3, units)."""
    bias = rng.normal(0.0, 0.05, (3, units))
    bias[0] += z
    return _real(bias, formats)


def _thresholds(rng: np.random.Generator, units: int, formats: Formats) -> np.ndarray:
    drawn: np.ndarray = rng.integers(0, formats.state_max // 10, units).astype(np.int32)
    return drawn


def _real(value: np.ndarray, formats: Formats) -> np.ndarray:
    """Quantise real numbers to the pre-activation format, int32."""
    quantised: np.ndarray = np.clip(np.rint(value * (1 << formats.preact_frac)), *formats.preact_limits).astype(np.int32)
    return quantised


def _sum_frac(weight: np.ndarray, event_density: float, deviation: float) -> int:
    """Choose the exponent that gives the sums over the events about the ``deviation`` asked for."""
    power = np.square(weight.astype(np.float64)).sum(axis=-1).mean() * event_density * MEAN_EVENT**2
    return round(math.log2(math.sqrt(power) / deviation))
