"""What `egru evaluate` and `egru demo` measure of an exported model on a split of its text."""

from dataclasses import dataclass

import numpy as np

from sw_model.datasets import Unit
from sw_model.evaluate import Evaluation, deal, evaluate_model
from sw_model.macs import MacReport, count_events, count_macs
from sw_model.quantized_model import QuantizedModel

METRICS: dict[Unit, str] = {"characters": "bits per character", "words": "perplexity"}


def quality(evaluation_bits: float, unit: Unit) -> float:
    """Turn bits per symbol into the figure that is usual for ``unit``: bits per character, perplexity of words."""
    return evaluation_bits if unit == "characters" else float(2.0**evaluation_bits)


@dataclass(frozen=True)
class ModelMeasurement:
    """Quality and cost of a model on a split.

    Attributes:
        evaluation: Bits per symbol and event density.
        macs: MACs per time step.
    """

    evaluation: Evaluation
    macs: MacReport


def measure_model(model: QuantizedModel, tokens: np.ndarray, streams: int = 16) -> ModelMeasurement:
    """Run the integer reference over ``tokens`` (int, shape (symbols,)); ``streams`` as in `sw_model.evaluate.deal`."""
    events = count_events(model, deal(tokens, streams)[:, :-1])
    return ModelMeasurement(evaluate_model(model, tokens, streams), count_macs(model, events))


def parameter_count(model: QuantizedModel) -> int:
    """Return the number of trained values, zero weights included."""
    tensors = [model.input_projection.embedding, model.input_projection.weight, model.decoder.weight, model.decoder.bias]
    for layer in model.layers:
        tensors += [layer.input_weight, layer.recurrent_weight, layer.bias, layer.reset_bias, layer.threshold]
    return sum(tensor.size for tensor in tensors)
