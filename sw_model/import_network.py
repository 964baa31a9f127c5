"""The way back from integers: a fake-quantised network whose export is the given model."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sw_model.event_gru import AnyNetworkConfig, EventNetwork, FeatureNetworkConfig, NetworkConfig
from sw_model.quantized_model import QuantizedModel
from sw_model.quantizers import QuantizationConfig, QuantizedArithmetic


def import_network(model: QuantizedModel) -> EventNetwork | None:
    """Build the network, in float64, of which `sw_model.export.export_network` makes ``model``.

    Returns:
        The network; None where there is none: tables of other functions, in a model of tokens another number of classes, or layers whose
        weights differ in width.
    """
    formats, widths = model.formats, {layer.weight_bits for layer in model.layers}
    own_tables = np.array_equal(model.sigmoid_table, formats.sigmoid_table()) and np.array_equal(model.tanh_table, formats.tanh_table())
    projection, decoder = model.input_projection, model.decoder
    if not own_tables or (projection is not None and model.classes != model.tokens) or len(widths) > 1:
        return None
    config = QuantizationConfig(
        weight_bits=widths.pop(),
        decoder_bits=model.decoder.weight_bits,
        event_bits=formats.event_bits,
        state_bits=formats.state_bits,
        gate_bits=formats.gate_bits,
        preact_bits=formats.preact_bits,
        preact_frac=formats.preact_frac,
    )
    exponents = {f"layers.{index}": layer.weight_frac for index, layer in enumerate(model.layers)} | {"decoder": decoder.weight_frac}
    sizes = tuple(layer.neurons for layer in model.layers)
    shape: AnyNetworkConfig
    if projection is None:
        shape = FeatureNetworkConfig(channels=model.channels, classes=model.classes, hidden_sizes=sizes)
    else:
        exponents |= {"embedding": projection.embedding_frac, "input": projection.weight_frac}
        shape = NetworkConfig(tokens=model.tokens, embedding_size=projection.embedding.shape[1], hidden_sizes=sizes)
    arithmetic = QuantizedArithmetic(config, len(model.layers), features=projection is None)
    arithmetic.set_exponents(exponents)
    network = EventNetwork(shape, arithmetic).double()
    with torch.no_grad():
        if projection is not None and network.embedding is not None and network.input_weight is not None:
            _set(network.embedding, projection.embedding, projection.embedding_frac)
            _set(network.input_weight, projection.weight, projection.weight_frac)
        _set(network.decoder_weight, decoder.weight, decoder.weight_frac)
        _set(network.decoder_bias, decoder.bias, decoder.weight_frac + formats.event_bits)
        for layer, values in zip(network.event_layers(), model.layers, strict=True):
            if layer.weight is not None:
                _set(layer.weight, values.input_weight, values.weight_frac)
            _set(layer.recurrent_weight, values.recurrent_weight, values.weight_frac)
            _set(layer.bias, values.bias, formats.preact_frac)
            _set(layer.reset_bias, values.reset_bias, formats.preact_frac)
            _set(layer.threshold, values.threshold, formats.state_frac)
    return network


def _set(parameter: Tensor, integers: np.ndarray[Any, Any], frac: int) -> None:
    parameter.copy_(torch.from_numpy(integers.astype(np.float64) * 2.0**-frac))
