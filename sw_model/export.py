"""From a trained, quantised checkpoint to the integers of a QuantizedModel."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sw_model import checkpoint
from sw_model.errors import UserError
from sw_model.event_gru import EventLayer, EventNetwork
from sw_model.input_encoding import FeatureInput
from sw_model.quantized_model import InputProjection, QuantizedDecoder, QuantizedLayer, QuantizedModel
from sw_model.quantizers import QuantizedArithmetic
from sw_model.readout import Readout


def export_checkpoint(folder: Path) -> QuantizedModel:
    """Turn a checkpoint of a QAT phase into integers.

    Args:
        folder: What `train.run_phase` wrote.

    Raises:
        UserError: When the checkpoint is damaged, not quantised, or holds a value that is no number.
    """
    loaded = checkpoint.load(folder)
    if loaded.manifest.quantization is None:
        raise UserError(f"checkpoint {folder}", "is not quantised", "run a QAT phase on it (a phase with a [quantization] table) first")
    data, metrics = loaded.manifest.data, loaded.manifest.metrics
    if isinstance(data, checkpoint.FeatureDataInfo):
        known = {"name", "frame_rate"} | ({"front_end"} if data.front_end else set())
        metadata = {"data": data.model_dump(include=known), "metrics": metrics}
        return export_network(
            loaded.network(), (), metadata, feature_input=data.feature_input(), readout=data.readout(), class_names=data.class_names
        )
    return export_network(loaded.network(), data.vocabulary, {"data": data.model_dump(), "metrics": metrics})


def export_network(
    network: EventNetwork,
    vocabulary: tuple[str, ...] = (),
    metadata: dict[str, Any] | None = None,
    *,
    feature_input: FeatureInput | None = None,
    readout: Readout | None = None,
    class_names: tuple[str, ...] = (),
) -> QuantizedModel:
    """Turn a quantised network into integers.

    Args:
        network: A network with calibrated `QuantizedArithmetic`, in any floating type.
        vocabulary: One string per token, or nothing.
        metadata: JSON facts to travel with the model.
        feature_input: How features become the inputs of a network of features, which needs it.
        readout: What such a network decides from its logits; it needs that too.
        class_names: One string per logit of such a network, or nothing.

    Raises:
        UserError: When the network is not quantised, not calibrated, or holds NaN or Inf, or what it reads does not suit it.
    """
    arithmetic = network.arithmetic
    if not isinstance(arithmetic, QuantizedArithmetic):
        raise UserError("the network", "is not quantised", "run a QAT phase first")
    for name, parameter in network.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise UserError(f"tensor {name}", "holds NaN or Inf", "train again with a lower learning rate")
    with torch.no_grad():
        return QuantizedModel(
            formats=arithmetic.formats,
            input_projection=_projection(arithmetic, network),
            layers=tuple(_layer(arithmetic, f"layers.{index}", layer) for index, layer in enumerate(network.event_layers())),
            decoder=QuantizedDecoder(
                weight=_weights(arithmetic, "decoder", network.decoder_weight),
                weight_bits=arithmetic.weights["decoder"].bits,
                weight_frac=arithmetic.weights["decoder"].frac,
                bias=_integers(arithmetic.decoder_bias_quant().to_int(network.decoder_bias.double())),
            ),
            sigmoid_table=arithmetic.formats.sigmoid_table().astype(np.int32),
            tanh_table=arithmetic.formats.tanh_table().astype(np.int32),
            vocabulary=vocabulary,
            metadata=metadata or {},
            feature_input=feature_input,
            readout=readout,
            class_names=class_names,
        )


def _projection(arithmetic: QuantizedArithmetic, network: EventNetwork) -> InputProjection | None:
    if network.embedding is None or network.input_weight is None:
        return None
    return InputProjection(
        embedding=_weights(arithmetic, "embedding", network.embedding),
        embedding_frac=arithmetic.weights["embedding"].frac,
        weight=_weights(arithmetic, "input", network.input_weight),
        weight_frac=arithmetic.weights["input"].frac,
    )


def _layer(arithmetic: QuantizedArithmetic, group: str, layer: EventLayer) -> QuantizedLayer:
    weight = torch.zeros(3, layer.neurons, 0) if layer.weight is None else layer.weight
    return QuantizedLayer(
        input_weight=_weights(arithmetic, group, weight),
        recurrent_weight=_weights(arithmetic, group, layer.recurrent_weight),
        weight_bits=arithmetic.weights[group].bits,
        weight_frac=arithmetic.weights[group].frac,
        bias=_integers(arithmetic.preactivation_int(layer.bias.double())),
        reset_bias=_integers(arithmetic.preactivation_int(layer.reset_bias.double())),
        threshold=_integers(arithmetic.threshold_int(layer.threshold.double())),
    )


def _weights(arithmetic: QuantizedArithmetic, group: str, weight: Tensor) -> np.ndarray:
    return arithmetic.weights[group].to_int(weight.double()).numpy().astype(np.int8)


def _integers(values: Tensor) -> np.ndarray:
    return values.numpy().astype(np.int32)
