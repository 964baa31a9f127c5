"""Random legal models, for equivalence tests and fuzzing: the arithmetic is exercised where trained models seldom go."""

import math
from dataclasses import dataclass, field

import numpy as np

from sw_model.fixed_point import Formats, symmetric_limit
from sw_model.quantized_model import InputProjection, QuantizedDecoder, QuantizedLayer, QuantizedModel


@dataclass(frozen=True)
class RandomModelSpec:
    """What to draw.

    Attributes:
        hidden: Neurons of each layer.
        tokens: Symbols.
        classes: Logits.
        formats: Widths.
        weight_bits: Bits of the recurrent, input and decoder weights.
        density: Share of non-zero weights, drawn with uneven rows and columns as magnitude pruning leaves them.
        event_density: Rough share of neurons that fire; 0 gives layers that are silent, 1 layers where every neuron fires.
        silent_layer: Index of a layer whose threshold is out of reach, or none.
        seed: Of all draws.
    """

    hidden: tuple[int, ...] = (32,)
    tokens: int = 16
    classes: int = 16
    formats: Formats = field(default_factory=Formats)
    weight_bits: int = 8
    density: float = 0.2
    event_density: float = 0.3
    silent_layer: int | None = None
    seed: int = 0


def random_model(spec: RandomModelSpec) -> QuantizedModel:
    """Draw the model that ``spec`` describes; the same spec gives the same model."""
    rng = np.random.default_rng(spec.seed)
    formats = spec.formats
    layers, inputs = [], 0
    for index, neurons in enumerate(spec.hidden):
        layers.append(_layer(rng, spec, neurons, inputs, silent=index == spec.silent_layer))
        inputs = neurons
    fan_in = max(1.0, spec.density * inputs)
    decoder_frac = _weight_frac(spec.weight_bits, fan_in)
    return QuantizedModel(
        formats=formats,
        input_projection=InputProjection(
            embedding=_weights(rng, (spec.tokens, 8), 8, 1.0),
            embedding_frac=7,
            weight=_weights(rng, (3, spec.hidden[0], 8), 8, 1.0),
            weight_frac=6,
        ),
        layers=tuple(layers),
        decoder=QuantizedDecoder(
            weight=_weights(rng, (spec.classes, inputs), spec.weight_bits, spec.density),
            weight_bits=spec.weight_bits,
            weight_frac=decoder_frac,
            bias=rng.integers(-1000, 1001, spec.classes).astype(np.int32),
        ),
        sigmoid_table=formats.sigmoid_table().astype(np.int32),
        tanh_table=formats.tanh_table().astype(np.int32),
    )


def _layer(rng: np.random.Generator, spec: RandomModelSpec, neurons: int, inputs: int, *, silent: bool) -> QuantizedLayer:
    formats = spec.formats
    one = 1 << formats.preact_frac
    bias = rng.normal(0.0, 0.5 * one, (3, neurons))
    if spec.event_density >= 1.0:
        # A candidate pinned at +1 that replaces the state at once, and a threshold of zero: every neuron fires at every step.
        threshold = np.zeros(neurons)
        bias[0], bias[2] = formats.preact_limits[0], formats.preact_limits[1]
    elif spec.event_density <= 0.0 or silent:
        threshold = np.full(neurons, formats.state_max)
    else:
        threshold = rng.beta(1.0, 1.0 + 4.0 * spec.event_density, neurons) * formats.state_max * (1.0 - spec.event_density)
    low, high = formats.preact_limits
    return QuantizedLayer(
        input_weight=_weights(rng, (3, neurons, inputs), spec.weight_bits, spec.density),
        recurrent_weight=_weights(rng, (3, neurons, neurons), spec.weight_bits, spec.density),
        weight_bits=spec.weight_bits,
        weight_frac=_weight_frac(spec.weight_bits, max(1.0, spec.density * (inputs + neurons))),
        bias=np.clip(bias, low, high).astype(np.int32),
        reset_bias=np.clip(rng.normal(0.0, 0.3 * one, neurons), low, high).astype(np.int32),
        threshold=np.clip(threshold, 0, formats.state_max).astype(np.int32),
    )


def _weight_frac(bits: int, fan_in: float) -> int:
    """Choose the exponent that gives a sum over ``fan_in`` random weights a deviation of about one and a half."""
    return max(0, round(bits - 2 + 0.5 * math.log2(fan_in)))


def _weights(rng: np.random.Generator, shape: tuple[int, ...], bits: int, density: float) -> np.ndarray:
    """Draw weights whose non-zero share varies from row to row and column to column."""
    limit = symmetric_limit(bits)
    weight = rng.integers(1, limit + 1, shape) * rng.choice([-1, 1], shape)
    if density < 1.0 and weight.size:
        unevenness = rng.lognormal(0.0, 0.4, (*shape[:-1], 1)) * rng.lognormal(0.0, 0.4, shape[-1])
        keep = rng.random(shape) * np.mean(unevenness) < density * unevenness
        weight = np.where(keep, weight, 0)
    drawn: np.ndarray = weight.astype(np.int8)
    return drawn
