"""The artifact: a trained, pruned, quantised EGRU as integers, on disk and in memory.

It is the contract between training and everything downstream. On disk it is a folder with ``tensors.safetensors`` (integers, and in a model
of features the float64 of its encoding and read-out) and ``manifest.json`` (formats, exponents, names, SHA-256 of the tensors). Nothing in
it is executed or unpickled; loading checks every shape, range and hash before a value is used.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save as save_tensors

from sw_model.errors import UserError
from sw_model.fixed_point import TABLE_SIZE, Formats, rescale, saturate, signed_limits, symmetric_limit
from sw_model.input_encoding import FeatureInput
from sw_model.model_manifest import (
    FEATURE_VERSION,
    FORMAT_NAME,
    MANIFEST_FILE,
    REMEDY,
    TENSORS_FILE,
    TOKEN_VERSION,
    FeatureManifest,
    TokenManifest,
    read_manifest,
    read_tensors,
    require_tensors,
)
from sw_model.output_folder import staged_folder
from sw_model.readout import Readout


@dataclass(frozen=True)
class InputProjection:
    """Embedding and first input weight of a token model (docs/semantics.md, section 5).

    Attributes:
        embedding: ``E``, int8, shape (tokens, embedding size), symmetric 8 bits.
        embedding_frac: Fraction bits of ``embedding``.
        weight: ``W0``, int8, shape (3, neurons of layer 0, embedding size), symmetric 8 bits.
        weight_frac: Fraction bits of ``weight``.
    """

    embedding: np.ndarray
    embedding_frac: int
    weight: np.ndarray
    weight_frac: int


@dataclass(frozen=True)
class QuantizedLayer:
    """One EGRU layer (docs/semantics.md, section 4); gates in the order z, r, g.

    Attributes:
        input_weight: ``W``, int8, shape (3, neurons, inputs); inputs is 0 in layer 0 of a token model, which the projection feeds.
        recurrent_weight: ``R``, int8, shape (3, neurons, neurons).
        weight_bits: Bits ``B`` of ``W`` and ``R``.
        weight_frac: Fraction bits ``fw`` of ``W`` and ``R``.
        bias: ``b``, int32, shape (3, neurons), pre-activation format.
        reset_bias: ``d``, int32, shape (neurons,), pre-activation format.
        threshold: ``θ``, int32, shape (neurons,), state format, 0 to M.
    """

    input_weight: np.ndarray
    recurrent_weight: np.ndarray
    weight_bits: int
    weight_frac: int
    bias: np.ndarray
    reset_bias: np.ndarray
    threshold: np.ndarray

    @property
    def neurons(self) -> int:
        """Number of neurons."""
        return int(self.recurrent_weight.shape[1])

    @property
    def inputs(self) -> int:
        """Number of input event sources; 0 in layer 0 of a token model."""
        return int(self.input_weight.shape[2])


@dataclass(frozen=True)
class QuantizedDecoder:
    """The linear read-out (docs/semantics.md, section 6).

    Attributes:
        weight: ``D``, int8, shape (classes, neurons of the last layer).
        weight_bits: Bits of ``weight``.
        weight_frac: Fraction bits ``fd`` of ``weight``.
        bias: int32, shape (classes,), at the accumulator's scale, ``fd + event_bits`` fraction bits.
    """

    weight: np.ndarray
    weight_bits: int
    weight_frac: int
    bias: np.ndarray


@dataclass(frozen=True)
class QuantizedModel:
    """A whole network. Construction validates it; an instance is always legal.

    Attributes:
        formats: Widths shared by all layers.
        input_projection: Token input of layer 0; None in a model of features.
        layers: At least one layer.
        decoder: The linear read-out.
        sigmoid_table: int32, shape (1024,).
        tanh_table: int32, shape (1024,).
        vocabulary: One string per token; empty when tokens have no names.
        metadata: Free JSON facts about where the model came from; never read by the arithmetic.
        feature_input: Feature input of layer 0; None in a model of tokens. Exactly one of the two inputs is there.
        readout: What a model of features decides from its logits; None in a model of tokens, whose logits predict the next token.
        class_names: One string per logit of a model of features; empty when classes have no names.

    Raises:
        UserError: When a shape, range or exponent breaks docs/semantics.md.
    """

    formats: Formats
    input_projection: InputProjection | None
    layers: tuple[QuantizedLayer, ...]
    decoder: QuantizedDecoder
    sigmoid_table: np.ndarray
    tanh_table: np.ndarray
    vocabulary: tuple[str, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)
    feature_input: FeatureInput | None = None
    readout: Readout | None = None
    class_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check every shape and range."""
        _validate(self)

    @property
    def tokens(self) -> int:
        """Number of distinct input tokens; 0 in a model of features."""
        return 0 if self.input_projection is None else int(self.input_projection.embedding.shape[0])

    @property
    def channels(self) -> int:
        """Number of inputs of layer 0 in a model of features; 0 in a model of tokens."""
        return 0 if self.feature_input is None else self.feature_input.channels

    @property
    def classes(self) -> int:
        """Number of logits."""
        return int(self.decoder.weight.shape[0])

    def input_table(self) -> np.ndarray:
        """Return ``p[t]``: what each token adds to layer 0's pre-activations, int64, shape (tokens, 3, neurons).

        In a model of features it has one row, the bias: what each step begins with.
        """
        projection, formats, bias = self.input_projection, self.formats, self.layers[0].bias.astype(np.int64)
        if projection is None:
            return bias[np.newaxis]
        # 8 x 8 bit products over fewer than 2**37 terms are exact in float64, and its GEMM is far faster than numpy's integer one.
        product = np.einsum("te,gne->tgn", projection.embedding.astype(np.float64), projection.weight.astype(np.float64), optimize=True)
        frac = projection.embedding_frac + projection.weight_frac
        scaled = saturate(rescale(product.astype(np.int64), frac, formats.preact_frac), *formats.preact_limits)
        table: np.ndarray = saturate(scaled + bias, *formats.preact_limits)
        return table

    def content_hash(self) -> str:
        """Return the SHA-256 of everything that the arithmetic depends on, as 64 hexadecimal digits."""
        digest = hashlib.sha256(json.dumps(_structure(self), sort_keys=True).encode())
        for name, tensor in sorted(_tensors(self).items()):
            digest.update(name.encode() + b"\0" + np.ascontiguousarray(tensor).tobytes())
        return digest.hexdigest()

    def save(self, folder: Path, *, force: bool = False) -> None:
        """Write the artifact, all or nothing.

        Args:
            folder: Where to; it must not exist or be empty unless ``force``.
            force: Replace what is there.

        Raises:
            UserError: When ``folder`` holds something and ``force`` is not given.
        """
        tensors = save_tensors(_tensors(self))
        manifest = {
            "format": FORMAT_NAME,
            **_structure(self),
            **_names(self),
            "metadata": self.metadata,
            "tensors_sha256": hashlib.sha256(tensors).hexdigest(),
        }
        with staged_folder(folder, force=force) as staging:
            (staging / TENSORS_FILE).write_bytes(tensors)
            (staging / MANIFEST_FILE).write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "QuantizedModel":
        """Read and check an artifact.

        Raises:
            UserError: When a file is missing, truncated, altered, of another version, or does not describe a legal model.
        """
        manifest = read_manifest(folder)
        return _assemble(manifest, read_tensors(folder, manifest.tensors_sha256))


_LAYER_TENSORS = {"input_weight": np.int8, "recurrent_weight": np.int8, "bias": np.int32, "reset_bias": np.int32, "threshold": np.int32}
_MODEL_TENSORS = {"decoder.weight": np.int8, "decoder.bias": np.int32, "sigmoid_table": np.int32, "tanh_table": np.int32}
_TOKEN_TENSORS = {"input_projection.embedding": np.int8, "input_projection.weight": np.int8}
_FEATURE_TENSORS = {"feature_input.offset": np.float64, "feature_input.scale": np.float64}
_DELTA_TENSORS = {"feature_input.delta_threshold": np.int32}
_REGRESSION_TENSORS = {"readout.target_offset": np.float64, "readout.target_scale": np.float64}


def _tensors(model: QuantizedModel) -> dict[str, np.ndarray]:
    values = {
        "decoder.weight": model.decoder.weight,
        "decoder.bias": model.decoder.bias,
        "sigmoid_table": model.sigmoid_table,
        "tanh_table": model.tanh_table,
    }
    for index, layer in enumerate(model.layers):
        values |= {f"layers.{index}.{name}": getattr(layer, name) for name in _LAYER_TENSORS}
    for name in _TOKEN_TENSORS | _FEATURE_TENSORS | _DELTA_TENSORS | _REGRESSION_TENSORS:
        part, attribute = name.split(".")
        value = getattr(getattr(model, part), attribute, None)
        values |= {} if value is None else {name: value}
    return {name: np.ascontiguousarray(value) for name, value in values.items()}


def _structure(model: QuantizedModel) -> dict[str, Any]:
    """Return what the arithmetic depends on and is no tensor."""
    structure: dict[str, Any] = {
        "formats": asdict(model.formats),
        "layers": [{"weight_bits": layer.weight_bits, "weight_frac": layer.weight_frac} for layer in model.layers],
        "decoder": {"weight_bits": model.decoder.weight_bits, "weight_frac": model.decoder.weight_frac},
    }
    if model.input_projection is not None:
        fracs = {"embedding_frac": model.input_projection.embedding_frac, "weight_frac": model.input_projection.weight_frac}
        structure["input_projection"] = fracs
    if model.feature_input is not None and model.readout is not None:
        structure["feature_input"] = {"encoding": model.feature_input.encoding}
        structure["readout"] = {"kind": model.readout.kind, "window": model.readout.window}
    return structure


def _names(model: QuantizedModel) -> dict[str, Any]:
    if model.feature_input is None:
        return {"version": TOKEN_VERSION, "vocabulary": list(model.vocabulary)}
    names = {"feature_names": list(model.feature_input.names), "class_names": list(model.class_names)}
    return {"version": FEATURE_VERSION, **names}


def _assemble(manifest: TokenManifest | FeatureManifest, tensors: dict[str, np.ndarray]) -> QuantizedModel:
    expected: dict[str, Any] = dict(_MODEL_TENSORS)
    if isinstance(manifest, TokenManifest):
        expected |= _TOKEN_TENSORS
    else:
        expected |= _FEATURE_TENSORS
        expected |= _DELTA_TENSORS if manifest.feature_input.encoding == "delta" else {}
        expected |= _REGRESSION_TENSORS if manifest.readout.kind == "regression" else {}
    for index in range(len(manifest.layers)):
        expected |= {f"layers.{index}.{name}": dtype for name, dtype in _LAYER_TENSORS.items()}
    require_tensors(tensors, expected)
    layers = tuple(
        QuantizedLayer(
            weight_bits=entry.weight_bits,
            weight_frac=entry.weight_frac,
            **{name: tensors[f"layers.{index}.{name}"] for name in _LAYER_TENSORS},
        )
        for index, entry in enumerate(manifest.layers)
    )
    return QuantizedModel(
        formats=Formats(**manifest.formats.model_dump()),
        layers=layers,
        decoder=QuantizedDecoder(
            weight=tensors["decoder.weight"],
            weight_bits=manifest.decoder.weight_bits,
            weight_frac=manifest.decoder.weight_frac,
            bias=tensors["decoder.bias"],
        ),
        sigmoid_table=tensors["sigmoid_table"],
        tanh_table=tensors["tanh_table"],
        metadata=manifest.metadata,
        **(_token_parts(manifest, tensors) if isinstance(manifest, TokenManifest) else _feature_parts(manifest, tensors)),
    )


def _token_parts(manifest: TokenManifest, tensors: dict[str, np.ndarray]) -> dict[str, Any]:
    projection = InputProjection(
        embedding=tensors["input_projection.embedding"],
        embedding_frac=manifest.input_projection.embedding_frac,
        weight=tensors["input_projection.weight"],
        weight_frac=manifest.input_projection.weight_frac,
    )
    return {"input_projection": projection, "vocabulary": tuple(manifest.vocabulary)}


def _feature_parts(manifest: FeatureManifest, tensors: dict[str, np.ndarray]) -> dict[str, Any]:
    feature_input = FeatureInput(
        encoding=manifest.feature_input.encoding,
        offset=tensors["feature_input.offset"],
        scale=tensors["feature_input.scale"],
        delta_threshold=tensors.get("feature_input.delta_threshold"),
        names=tuple(manifest.feature_names),
    )
    targets = (tensors.get("readout.target_offset"), tensors.get("readout.target_scale"))
    readout = Readout(manifest.readout.kind, manifest.readout.window, *targets)
    parts = {"input_projection": None, "feature_input": feature_input, "readout": readout}
    return parts | {"class_names": tuple(manifest.class_names)}


def _shape(name: str, tensor: np.ndarray, expected: tuple[int, ...]) -> None:
    if tensor.shape != expected:
        raise UserError(f"{name} of shape {tensor.shape}", f"disagrees with the expected {expected}", REMEDY)


def _range(name: str, tensor: np.ndarray, low: int, high: int) -> None:
    if not np.issubdtype(tensor.dtype, np.integer):
        raise UserError(f"{name} of type {tensor.dtype}", "is not an integer tensor", REMEDY)
    if tensor.size and (int(tensor.min()) < low or int(tensor.max()) > high):
        raise UserError(f"{name} with values {int(tensor.min())} to {int(tensor.max())}", f"leaves {low} to {high}", REMEDY)


def _exponent(name: str, value: int) -> None:
    if not -8 <= value <= 24:
        raise UserError(f"{name}={value}", "is outside -8 to 24", REMEDY)


def _weight(name: str, tensor: np.ndarray, bits: int) -> None:
    if not 2 <= bits <= 8:
        raise UserError(f"weight_bits={bits} of {name}", "is outside 2 to 8", "quantise to 2 to 8 bits")
    _range(name, tensor, -symmetric_limit(bits), symmetric_limit(bits))


def _validate(model: QuantizedModel) -> None:
    formats = model.formats
    if not model.layers:
        raise UserError("a model of 0 layers", "has nothing to compute", "give at least one layer")
    if (model.input_projection is None) == (model.feature_input is None):
        raise UserError("a model", "has no input, or tokens and features at once", "give exactly one input")
    inputs = model.channels
    for index, layer in enumerate(model.layers):
        _validate_layer(f"layers.{index}", layer, inputs, formats)
        inputs = layer.neurons
    if model.input_projection is not None:
        _validate_tokens(model, model.input_projection)
    if model.feature_input is not None:
        _validate_features(model, model.feature_input)
    decoder = model.decoder
    if decoder.weight.ndim != 2 or decoder.weight.shape[0] < 1:
        raise UserError(f"decoder.weight of shape {decoder.weight.shape}", "is not (classes, neurons)", REMEDY)
    _shape("decoder.weight", decoder.weight, (decoder.weight.shape[0], inputs))
    _weight("decoder.weight", decoder.weight, decoder.weight_bits)
    _exponent("decoder.weight_frac", decoder.weight_frac)
    _shape("decoder.bias", decoder.bias, (decoder.weight.shape[0],))
    _range("decoder.bias", decoder.bias, *signed_limits(24))
    top = (1 << formats.gate_bits) - 1
    for name, table, low in (("sigmoid_table", model.sigmoid_table, 0), ("tanh_table", model.tanh_table, -top)):
        _shape(name, table, (TABLE_SIZE,))
        _range(name, table, low, top)
    if model.tanh_table[TABLE_SIZE // 2] != 0:
        raise UserError(f"tanh_table[{TABLE_SIZE // 2}]={model.tanh_table[TABLE_SIZE // 2]}", "is not 0", REMEDY)


def _validate_tokens(model: QuantizedModel, projection: InputProjection) -> None:
    if projection.embedding.ndim != 2 or 0 in projection.embedding.shape:
        raise UserError(f"input_projection.embedding of shape {projection.embedding.shape}", "is not (tokens, size)", REMEDY)
    _weight("input_projection.embedding", projection.embedding, 8)
    _weight("input_projection.weight", projection.weight, 8)
    _exponent("input_projection.embedding_frac", projection.embedding_frac)
    _exponent("input_projection.weight_frac", projection.weight_frac)
    _shape("input_projection.weight", projection.weight, (3, model.layers[0].neurons, projection.embedding.shape[1]))
    if model.vocabulary and len(model.vocabulary) != model.tokens:
        raise UserError(f"vocabulary of {len(model.vocabulary)} symbols", f"disagrees with {model.tokens} embedding rows", REMEDY)
    if model.readout is not None or model.class_names:
        raise UserError("a model of tokens", "predicts the next token, so it has no read-out nor class names", REMEDY)


def _validate_features(model: QuantizedModel, feature_input: FeatureInput) -> None:
    threshold, readout = feature_input.delta_threshold, model.readout
    if threshold is not None:
        _range("feature_input.delta_threshold", threshold, 1, model.formats.event_max)
    if model.vocabulary:
        raise UserError(f"vocabulary of {len(model.vocabulary)} symbols", "has no place in a model of features", REMEDY)
    if readout is None:
        raise UserError("a model of features", "has no read-out", "give last, mean, steps or regression")
    classes = model.decoder.weight.shape[:1]
    for name, values in (("readout.target_offset", readout.target_offset), ("readout.target_scale", readout.target_scale)):
        if values is not None:
            _shape(name, values, classes)
    if model.class_names and len(model.class_names) != model.classes:
        raise UserError(f"{len(model.class_names)} class names", f"disagree with {model.classes} classes", REMEDY)


def _validate_layer(name: str, layer: QuantizedLayer, inputs: int, formats: Formats) -> None:
    recurrent = layer.recurrent_weight
    if recurrent.ndim != 3 or recurrent.shape[0] != 3 or recurrent.shape[1] < 1:
        raise UserError(f"{name}.recurrent_weight of shape {recurrent.shape}", "is not (3, neurons, neurons)", REMEDY)
    neurons = recurrent.shape[1]
    _shape(f"{name}.recurrent_weight", recurrent, (3, neurons, neurons))
    _shape(f"{name}.input_weight", layer.input_weight, (3, neurons, inputs))
    _shape(f"{name}.bias", layer.bias, (3, neurons))
    _shape(f"{name}.reset_bias", layer.reset_bias, (neurons,))
    _shape(f"{name}.threshold", layer.threshold, (neurons,))
    _weight(f"{name}.input_weight", layer.input_weight, layer.weight_bits)
    _weight(f"{name}.recurrent_weight", recurrent, layer.weight_bits)
    _exponent(f"{name}.weight_frac", layer.weight_frac)
    _range(f"{name}.bias", layer.bias, *formats.preact_limits)
    _range(f"{name}.reset_bias", layer.reset_bias, *formats.preact_limits)
    _range(f"{name}.threshold", layer.threshold, 0, formats.state_max)
