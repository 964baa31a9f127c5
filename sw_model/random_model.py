"""Random legal models, for equivalence tests and fuzzing: the arithmetic is exercised where trained models seldom go.

`random_model` draws a model of a shape and density that the caller chose; `draw_model` draws shape, formats and values as well, with a
preference for the ends of what is legal. `draw_events` draws what a model of features reads.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sw_model.fixed_point import TABLE_SIZE, Formats, signed_limits, symmetric_limit
from sw_model.input_encoding import Encoding, FeatureInput
from sw_model.quantized_model import InputProjection, QuantizedDecoder, QuantizedLayer, QuantizedModel
from sw_model.readout import Readout, ReadoutKind


@dataclass(frozen=True)
class RandomModelSpec:
    """What to draw.

    Attributes:
        hidden: Neurons of each layer.
        tokens: Symbols; of no meaning when there are features.
        classes: Logits.
        formats: Widths.
        weight_bits: Bits of the recurrent, input and decoder weights.
        density: Share of non-zero weights, drawn with uneven rows and columns as magnitude pruning leaves them.
        event_density: Rough share of neurons that fire; 0 gives layers that are silent, 1 layers where every neuron fires.
        silent_layer: Index of a layer whose threshold is out of reach, or none.
        seed: Of all draws.
        features: Features of a frame; 0 for a model of tokens.
        encoding: Of the features.
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
    features: int = 0
    encoding: Encoding = "dense"


def random_model(spec: RandomModelSpec) -> QuantizedModel:
    """Draw the model that ``spec`` describes; the same spec gives the same model."""
    rng = np.random.default_rng(spec.seed)
    formats = spec.formats
    source = _source(_draw_feature_input(rng, formats, spec.features, spec.encoding), "mean") if spec.features else {}
    layers, inputs = [], source["feature_input"].channels if source else 0
    for index, neurons in enumerate(spec.hidden):
        layers.append(_layer(rng, spec, neurons, inputs, silent=index == spec.silent_layer))
        inputs = neurons
    fan_in = max(1.0, spec.density * inputs)
    decoder_frac = _weight_frac(spec.weight_bits, fan_in)
    if not source:
        projection = InputProjection(
            embedding=_weights(rng, (spec.tokens, 8), 8, 1.0),
            embedding_frac=7,
            weight=_weights(rng, (3, spec.hidden[0], 8), 8, 1.0),
            weight_frac=6,
        )
        source = {"input_projection": projection}
    return QuantizedModel(
        formats=formats,
        layers=tuple(layers),
        decoder=QuantizedDecoder(
            weight=_weights(rng, (spec.classes, inputs), spec.weight_bits, spec.density),
            weight_bits=spec.weight_bits,
            weight_frac=decoder_frac,
            bias=rng.integers(-1000, 1001, spec.classes).astype(np.int32),
        ),
        sigmoid_table=formats.sigmoid_table().astype(np.int32),
        tanh_table=formats.tanh_table().astype(np.int32),
        **source,
    )


def draw_events(rng: np.random.Generator, model: QuantizedModel, shape: tuple[int, ...]) -> np.ndarray:
    """Draw input events of a model of features: silent, sparse and full frames, values of all sizes and the largest.

    Args:
        rng: Source of randomness.
        model: Gives channels and event bits.
        shape: Streams and steps, or whatever frames are arranged in.

    Returns:
        int16, shape (*shape, channels).
    """
    top, cells = model.formats.event_max, (*shape, model.channels)
    density = rng.choice([0.0, 0.1, 0.5, 1.0], shape, p=[0.2, 0.4, 0.3, 0.1])[..., None]
    values = np.where(rng.random(cells) < 0.2, top, rng.integers(1, top + 1, cells))
    return np.where(rng.random(cells) < density, values, 0).astype(np.int16)


def _source(feature_input: FeatureInput, readout: ReadoutKind, classes: int = 0) -> dict[str, Any]:
    """Return the arguments of a `QuantizedModel` of features that one of tokens has not."""
    targets = (np.zeros(classes), np.ones(classes)) if readout == "regression" else ()
    return {"input_projection": None, "feature_input": feature_input, "readout": Readout(readout, 1, *targets)}


def _draw_feature_input(rng: np.random.Generator, formats: Formats, features: int, encoding: Encoding) -> FeatureInput:
    """Draw an encoding for features of about -1 to 1."""
    scale = formats.event_max * rng.lognormal(-1.0, 0.5, features)
    threshold = rng.integers(1, max(2, formats.event_max // 8), features).astype(np.int32) if encoding == "delta" else None
    return FeatureInput(encoding, rng.normal(-1.0, 0.3, features), scale, threshold)


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


_ENCODINGS: tuple[Encoding, ...] = ("dense", "delta")
_READOUTS: tuple[ReadoutKind, ...] = ("last", "mean", "steps", "regression")
LARGEST_LAYER, LARGEST_ALPHABET, LARGEST_EMBEDDING = 24, 20, 8
DECODER_BIAS_LIMITS = signed_limits(24)


def draw_model(rng: np.random.Generator, *, trainable: bool = False, features: bool = False) -> QuantizedModel:
    """Draw a small model from everything that docs/semantics.md allows: 1 to 3 layers of 1 to 24 neurons.

    Args:
        rng: Source of randomness.
        trainable: Only what a fake-quantised network can be: the tables of the formats, a class for each token, one width for the weights
            of all layers (`sw_model.import_network`).
        features: A model of features, of any encoding and read-out, instead of one of tokens.
    """
    formats = _draw_formats(rng)
    sizes = [int(1 + LARGEST_LAYER * rng.beta(1.0, 1.5)) for _ in range(rng.choice([1, 2, 3], p=[0.35, 0.4, 0.25]))]
    bits = int(rng.integers(2, 9))
    feature_input = (
        _draw_feature_input(rng, formats, _draw_width(rng, 1, LARGEST_ALPHABET), _ENCODINGS[rng.integers(2)]) if features else None
    )
    layers, inputs = [], feature_input.channels if feature_input else 0
    for neurons in (min(size, LARGEST_LAYER) for size in sizes):
        width = bits if trainable or rng.random() < 0.6 else int(rng.integers(2, 9))
        layers.append(_draw_layer(rng, formats, neurons, inputs, width))
        inputs = neurons
    tokens, embedding = int(rng.integers(1, LARGEST_ALPHABET + 1)), int(rng.integers(1, LARGEST_EMBEDDING + 1))
    classes = tokens if trainable and not features else int(rng.integers(1, LARGEST_ALPHABET + 1))
    decoder_bits = int(rng.integers(2, 9))
    projection = InputProjection(
        embedding=np.zeros((tokens, embedding), np.int8),
        embedding_frac=_draw_frac(rng, 7),
        weight=np.zeros((3, layers[0].neurons, embedding), np.int8),
        weight_frac=_draw_frac(rng, 6),
    )
    source = _source(feature_input, _READOUTS[rng.integers(4)], classes) if feature_input else {"input_projection": projection}
    drawn = QuantizedModel(
        formats=formats,
        layers=tuple(layers),
        decoder=QuantizedDecoder(
            weight=_draw_matrix(rng, (classes, inputs), decoder_bits),
            weight_bits=decoder_bits,
            weight_frac=_draw_frac(rng, _weight_frac(decoder_bits, inputs)),
            bias=_draw_values(rng, (classes,), *DECODER_BIAS_LIMITS, 1000.0),
        ),
        sigmoid_table=formats.sigmoid_table().astype(np.int32),
        tanh_table=formats.tanh_table().astype(np.int32),
        **source,
    )
    return redraw_values(rng, drawn, trainable=trainable)


def redraw_values(rng: np.random.Generator, model: QuantizedModel, *, trainable: bool = False) -> QuantizedModel:
    """Draw embedding or encoding, biases, thresholds and tables anew.

    Weights and decoder bias stay, and with them every width and size of fixed hardware: what comes out runs on the same build.
    """
    formats = model.formats
    sigmoid, tanh = formats.sigmoid_table().astype(np.int32), formats.tanh_table().astype(np.int32)
    if not trainable and rng.random() < 0.5:
        sigmoid, tanh = _draw_tables(rng, formats)
    low, high = formats.preact_limits
    spread = 0.5 * 2.0**formats.preact_frac
    layers = tuple(
        replace(
            layer,
            bias=_draw_values(rng, layer.bias.shape, low, high, spread),
            reset_bias=_draw_values(rng, layer.reset_bias.shape, low, high, spread),
            threshold=_draw_thresholds(rng, formats, tanh, layer.neurons),
        )
        for layer in model.layers
    )
    projection, feature_input = model.input_projection, model.feature_input
    if projection is not None:
        embedding, weight = _draw_matrix(rng, projection.embedding.shape, 8), _draw_matrix(rng, projection.weight.shape, 8)
        projection = replace(projection, embedding=embedding, weight=weight)
    if feature_input is not None:
        feature_input = _draw_feature_input(rng, formats, feature_input.features, feature_input.encoding)
    return replace(model, input_projection=projection, feature_input=feature_input, layers=layers, sigmoid_table=sigmoid, tanh_table=tanh)


def redraw_weights(rng: np.random.Generator, model: QuantizedModel) -> QuantizedModel:
    """Draw all weights anew, in the same widths and scales: what hardware takes whose weights may be exchanged."""
    layers = tuple(
        replace(
            layer,
            input_weight=_draw_matrix(rng, layer.input_weight.shape, layer.weight_bits),
            recurrent_weight=_draw_matrix(rng, layer.recurrent_weight.shape, layer.weight_bits),
        )
        for layer in model.layers
    )
    decoder = replace(model.decoder, weight=_draw_matrix(rng, model.decoder.weight.shape, model.decoder.weight_bits))
    return replace(model, layers=layers, decoder=decoder)


def _draw_formats(rng: np.random.Generator) -> Formats:
    if rng.random() < 0.2:
        return Formats()
    state = _draw_width(rng, 8, 16)
    preact = _draw_width(rng, 8, 18)
    return Formats(
        event_bits=_draw_width(rng, 2, min(12, state - 1)),
        state_bits=state,
        gate_bits=_draw_width(rng, 4, state - 1),
        preact_bits=preact,
        preact_frac=_draw_width(rng, 4, preact - 2),
    )


def _draw_width(rng: np.random.Generator, low: int, high: int) -> int:
    """Draw a width, an end of its range half of the time."""
    return int(rng.choice([low, high])) if rng.random() < 0.5 else int(rng.integers(low, high + 1))


def _draw_frac(rng: np.random.Generator, usual: int) -> int:
    """Draw an exponent near the one that suits the weights, now and then any legal one."""
    return int(rng.integers(-8, 25)) if rng.random() < 0.1 else int(np.clip(usual + rng.integers(-2, 3), -8, 24))


def _draw_layer(rng: np.random.Generator, formats: Formats, neurons: int, inputs: int, bits: int) -> QuantizedLayer:
    return QuantizedLayer(
        input_weight=_draw_matrix(rng, (3, neurons, inputs), bits),
        recurrent_weight=_draw_matrix(rng, (3, neurons, neurons), bits),
        weight_bits=bits,
        weight_frac=_draw_frac(rng, _weight_frac(bits, max(1.0, 0.3 * (inputs + neurons)))),
        bias=np.zeros((3, neurons), np.int32),
        reset_bias=np.zeros(neurons, np.int32),
        threshold=np.zeros(neurons, np.int32),
    )


def _draw_matrix(rng: np.random.Generator, shape: tuple[int, ...], bits: int) -> np.ndarray:
    """Draw weights: dense, pruned or empty, with whole rows and columns empty, of any size or all at the limit."""
    limit = symmetric_limit(bits)
    smallest = limit if rng.random() < 0.2 else 1
    weight = rng.integers(smallest, limit + 1, shape) * rng.choice([-1, 1], shape)
    if rng.random() < 0.1:  # all of one sign: the largest sum that there can be
        weight = np.abs(weight) * rng.choice([-1, 1])
    density = rng.choice([0.0, 0.05, 0.2, 0.5, 1.0], p=[0.04, 0.16, 0.35, 0.25, 0.2])
    weight = np.where(rng.random(shape) < density, weight, 0)
    if rng.random() < 0.3:
        weight = weight * (rng.random((*shape[:-1], 1)) < 0.7) * (rng.random(shape[-1]) < 0.7)
    if len(shape) == 3 and rng.random() < 0.2:  # only some of the gates of a neuron are connected
        weight = weight * (rng.random((3, shape[1], 1)) < 0.5)
    drawn: np.ndarray = weight.astype(np.int8)
    return drawn


def _draw_values(rng: np.random.Generator, shape: Sequence[int], low: int, high: int, spread: float) -> np.ndarray:
    """Draw biases: none, usual ones, any legal ones, or the two ends."""
    kind = rng.choice(["zero", "usual", "any", "ends"], p=[0.1, 0.6, 0.15, 0.15])
    values = {
        "zero": np.zeros(shape),
        "usual": np.clip(np.round(rng.normal(0.0, spread, shape)), low, high),
        "any": rng.integers(low, high + 1, shape),
        "ends": rng.choice([low, high], shape),
    }
    return values[kind].astype(np.int32)


def _draw_thresholds(rng: np.random.Generator, formats: Formats, tanh: np.ndarray, neurons: int) -> np.ndarray:
    """Draw θ of each neuron: zero, the largest, low, any, or a value that a candidate takes, so that ĉ = θ comes up."""
    top = formats.state_max
    candidates = np.clip(rng.choice(tanh, neurons).astype(np.int64) << (formats.state_frac - formats.gate_bits), 0, top)
    choices = [np.zeros(neurons), np.full(neurons, top), rng.beta(1.0, 8.0, neurons) * top, rng.random(neurons) * top, candidates]
    kind = rng.choice(len(choices), neurons, p=rng.dirichlet([1.0, 0.2, 2.0, 0.5, 1.0]))
    return np.choose(kind, choices).astype(np.int32)


def _draw_tables(rng: np.random.Generator, formats: Formats) -> tuple[np.ndarray, np.ndarray]:
    """Draw σ and tanh as tables of any legal entries, or of nothing but the two ends."""
    top = (1 << formats.gate_bits) - 1
    if rng.random() < 0.5:
        sigmoid, tanh = rng.integers(0, top + 1, TABLE_SIZE), rng.integers(-top, top + 1, TABLE_SIZE)
    else:
        sigmoid, tanh = rng.choice([0, top], TABLE_SIZE), rng.choice([-top, top], TABLE_SIZE)
    tanh[TABLE_SIZE // 2] = 0
    return sigmoid.astype(np.int32), tanh.astype(np.int32)
